"""An Authorization header made of what is known of a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from proxy.config.template import Part, parts
from proxy.model import Identity
from proxy.rules.headers import FACTS, fact

_LONGEST: Final = 4096
_SAFE: Final = re.compile(r"[!-~]+")
_ENDING: Final = frozenset('",;\\')
"""What would end a parameter, or the whole credential, and begin another (RFC 9110 section 11)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Template:
    """``Bearer {upstream_key}``, compiled."""

    _parts: tuple[Part, ...]

    @classmethod
    def compile(cls, text: str) -> Template:
        """Raises ValueError for what is no template."""
        return cls(parts(text))

    @property
    def claims(self) -> frozenset[str]:
        """The claims that a session must keep for it."""
        return frozenset(claim for _, claim in self._parts if claim) - FACTS

    def value(self, person: Identity) -> bytes | None:
        """The header's value; None where anything is ``lacking``."""
        if self.lacking(person):
            return None
        texts = (fixed + str(fact(person, claim) if claim else "") for fixed, claim in self._parts)
        return "".join(texts).encode("ascii")

    def lacking(self, person: Identity) -> tuple[str, ...]:
        """The claims that are missing, or that cannot stand in it: a list, an object, an empty or
        very long text; spaces, quotes, commas, semicolons, anything but ASCII.

        A value that was mended would be another's credential, or two.
        """
        claims = (claim for _, claim in self._parts if claim)
        return tuple(claim for claim in claims if not _fits(fact(person, claim)))


def _fits(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    text = str(value)
    return len(text) <= _LONGEST and bool(_SAFE.fullmatch(text)) and not _ENDING & set(text)
