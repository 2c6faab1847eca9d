"""Tokens of our own: random text that scanners recognise, of which only a digest is kept.

``apx_p`` and 49 more: the prefix of the settings, an underscore, a letter for the kind, 43 base62
digits of 256 random bits, and 6 of the CRC-32 of all that comes before. The checksum keeps nobody
out: it tells a token from a slip without asking anybody, for people and for secret scanners.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Final, Literal

Letter = Literal["p", "t", "s", "r"]
"""A personal token, a terminal's, a service's; and what a terminal renews its own with."""

_LETTERS: Final[tuple[Letter, ...]] = ("p", "t", "s", "r")
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BYTES: Final = 32
_SECRET: Final = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM: Final = 6
_REST: Final = re.compile(rf"[pstr][0-9A-Za-z]{{{_SECRET + _CHECKSUM}}}")


def make(prefix: str, letter: Letter, random: Callable[[int], bytes]) -> str:
    """A new token. ``random``: n → n random bytes."""
    secret = _base62(int.from_bytes(random(_BYTES)), _SECRET)
    text = f"{prefix}_{letter}{secret}"
    return text + _checksum(text)


def looks_like(text: str, prefix: str) -> bool:
    """Is ``text`` meant to be one of ours? Good or bad, it is nobody else's business then."""
    return text.startswith(f"{prefix}_")


def kind_of(text: str, prefix: str) -> Letter | Literal[""]:
    """The letter of a token that is whole, with a checksum that fits; "" for anything else."""
    rest = text.removeprefix(f"{prefix}_") if looks_like(text, prefix) else ""
    if not _REST.fullmatch(rest) or _checksum(text[:-_CHECKSUM]) != text[-_CHECKSUM:]:
        return ""
    return next(letter for letter in _LETTERS if letter == rest[0])


def digest(text: str) -> str:
    """SHA-256 in hexadecimal digits. There is nothing to guess in 256 random bits: no salt and no
    slow hash is needed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def public_id(text: str) -> str:
    """The token's public name, for people and logs: it begins ``tok_`` and opens nothing."""
    return f"tok_{digest(text)[:16]}"


def pattern(prefix: str) -> str:
    """The regular expression by which secret scanners find our tokens."""
    return rf"\b{re.escape(prefix)}_[pstr][0-9A-Za-z]{{{_SECRET + _CHECKSUM}}}\b"


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii", "replace")), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
