"""What a person may wish for a token of theirs, and what they do wish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from proxy.config.programs import Tokens
from proxy.config.types import parse_duration, show_duration
from proxy.model import Identity
from proxy.web.forms import Fields, only

_DAY: Final = 86_400.0
_LIFETIMES: Final = (_DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY)
_USUAL: Final = 30 * _DAY
_SHORTEST: Final = 60.0
LONGEST_NAME: Final = 60

Mistake = Literal["name", "expires", "groups", "scopes"]
"""The field that cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """One that is offered, in seconds; ``text`` stands for it in the form."""

    seconds: float
    text: str
    is_usual: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What was chosen: ``groups`` None and ``scopes`` empty for all. ``lifetime`` in seconds."""

    name: str
    lifetime: float
    groups: tuple[str, ...] | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose from: nothing that they do not have themselves."""

    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    longest: float

    @classmethod
    def of(cls, person: Identity, tokens: Tokens, scope: str) -> Choices:
        """``scope``: that of identity JWTs where a hook gives the person none of their own."""
        scopes = tokens.scopes or tuple((person.scope or scope).split())
        return cls(person.groups, tuple(dict.fromkeys(scopes)), tokens.max_lifetime)

    def lifetimes(self) -> list[Lifetime]:
        """The shortest first; the last one is the longest allowed."""
        offered = [*(each for each in _LIFETIMES if each < self.longest), self.longest]
        usual = max((each for each in offered if each <= _USUAL), default=offered[0])
        return [Lifetime(each, show_duration(each), each == usual) for each in offered]

    def read(self, fields: Fields) -> Wish | Mistake:
        """What a form, or a program in its place, asks for.

        All of one's groups are given to whoever says ``groups=all``, some for ``groups=chosen``
        with a ``group`` for each; scopes likewise. Nothing said is nothing given.
        """
        name = only(fields, "name").strip()
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            return "name"
        lifetime = self._lifetime(only(fields, "expires"))
        if lifetime is None:
            return "expires"
        groups = _chosen(fields, "groups", "group", self.groups)
        if groups == ():
            return "groups"
        scopes = _chosen(fields, "scopes", "scope", self.scopes)
        if scopes == ():
            return "scopes"
        return Wish(name, lifetime, groups, scopes or ())

    def _lifetime(self, text: str) -> float | None:
        try:
            seconds = parse_duration(text)
        except ValueError:
            return None
        return seconds if _SHORTEST <= seconds <= self.longest else None


def _chosen(fields: Fields, how: str, which: str, all_: tuple[str, ...]) -> tuple[str, ...] | None:
    """None for all, empty for a choice that is none, or contradicts itself."""
    named = {value for field, value in fields if field == which}
    match only(fields, how), named:
        case "all", _ if not named:
            return None
        case "chosen", _ if named <= set(all_):
            return tuple(each for each in all_ if each in named)
        case _:
            return ()
