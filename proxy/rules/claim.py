"""Conditions on one claim of a person."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final

from proxy.config.access import ClaimRule
from proxy.errors import Reason
from proxy.model import UNREADABLE_CLAIM, Identity
from proxy.rules.conditions import Condition
from proxy.rules.judged import Asked

_LONGEST: Final = 1024
"""Characters of a value that a regular expression is tried on at most."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClaimHolds(Condition):
    """Every part that is given must hold. An absent claim holds nothing, but for ``present``."""

    kind: ClassVar[str] = "claims"
    reason: ClassVar[Reason] = Reason.CLAIM_NOT_ALLOWED
    claim: str
    any_of: frozenset[str]
    one_of: frozenset[str]
    all_of: frozenset[str]
    equals: str | None
    pattern: re.Pattern[str] | None
    present: bool | None

    @classmethod
    def compile(cls, rule: ClaimRule) -> ClaimHolds:
        """Raises re.error for a pattern that is none."""
        return cls(
            words=_words(rule),
            claim=rule.claim,
            any_of=frozenset(rule.any_of),
            one_of=frozenset(rule.in_),
            all_of=frozenset(rule.all_of),
            equals=rule.equals,
            pattern=re.compile(rule.matches) if rule.matches is not None else None,
            present=rule.present,
        )

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        value = person.claims.get(self.claim)
        parts = [*self._about_all(value), *self._about_one(value)]
        if self.present is not None:
            is_there = None if value == UNREADABLE_CLAIM else value is not None
            parts.append(None if is_there is None else is_there is self.present)
        return False if False in parts else None if None in parts else True

    def _about_all(self, value: object) -> list[bool | None]:
        """The parts that a list may meet with any of its values."""
        items = value if isinstance(value, list | tuple) else [value]
        texts = [_text(item) for item in items]
        known = {text for text in texts if text is not None}
        no = None if None in texts else False  # what cannot be read might be it
        parts: list[bool | None] = []
        if self.any_of:
            parts.append(True if known & self.any_of else no)
        if self.all_of:
            parts.append(True if known >= self.all_of else no)
        if self.pattern is not None:
            short = [text for text in known if len(text) <= _LONGEST]
            met = any(self.pattern.fullmatch(text) for text in short)
            parts.append(True if met else no if len(short) == len(known) else None)
        return parts

    def _about_one(self, value: object) -> list[bool | None]:
        """The parts that ask for one text; of a list nobody knows what it would be."""
        text = _text(value)
        parts: list[bool | None] = []
        if self.one_of:
            parts.append(None if text is None else text in self.one_of)
        if self.equals is not None:
            parts.append(None if text is None else text == self.equals)
        return parts


def _text(value: object) -> str | None:
    """A value as rules write it; None for null, lists and objects."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 2.0 and 2e0 are the number 2 (RFC 8259 section 6)
    return str(value) if isinstance(value, str | int | float) else None


def _words(rule: ClaimRule) -> str:
    said = [
        rule.any_of and f"is one of {', '.join(rule.any_of)}",
        rule.in_ and f"is in {', '.join(rule.in_)}",
        rule.all_of and f"holds {', '.join(rule.all_of)}",
        rule.equals is not None and f"equals {rule.equals}",
        rule.matches is not None and f"matches {rule.matches}",
        rule.present is not None and ("is there" if rule.present else "is not there"),
    ]
    return f"{rule.claim} {', '.join(part for part in said if part)}"
