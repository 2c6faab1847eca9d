"""The text of ``routes[].authorization_template``: what is fixed, and the claims in between."""

from __future__ import annotations

import re
from typing import Final

_PIECES: Final = re.compile(r"([^{}]*)(?:\{([^{}]*)\})?")
_FIXED: Final = re.compile(r"[ -~]*")
_EXAMPLE: Final = "as in Bearer {upstream_key}"

Part = tuple[str, str]
"""A fixed text, and the name of the claim that follows it; the last one may be empty."""


def parts(text: str) -> tuple[Part, ...]:
    """Raises ValueError, in words that follow the option's name, for what is no template.

    A template without a claim would be one secret for everybody, shown wherever options are.
    """
    if not _FIXED.fullmatch(text):
        raise ValueError("may hold visible ASCII characters and spaces only")
    if text != text.strip():
        raise ValueError("must neither begin nor end with a space")
    found, position = [], 0
    while position < len(text):
        piece = _PIECES.match(text, position)
        if piece is None or piece.end() == position:
            raise ValueError(f"has a brace without its other half; claims are {_EXAMPLE}")
        fixed, claim = piece[1], piece[2]
        if claim is not None and (not claim or claim != claim.strip()):
            raise ValueError(f"needs the name of a claim between braces, {_EXAMPLE}")
        found.append((fixed, claim or ""))
        position = piece.end()
    if not any(claim for _, claim in found):
        raise ValueError(f"needs a claim, {_EXAMPLE}")
    return tuple(found)
