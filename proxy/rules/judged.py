"""What a decision about a person is made of: the circumstances, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from proxy.errors import Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """The circumstances of a request: Unix seconds; empty where there is no request.

    ``client`` is an address; anything else counts as unknown.
    """

    now: float
    method: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class StepUp:
    """The sign-in that would be enough: with one of ``acr_values``, where there are any, and at
    most ``max_age`` seconds old, where that is not None.
    """

    acr_values: tuple[str, ...] = ()
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class Denial:
    """Why somebody may not pass.

    ``rule`` is the name of the innermost named rule that refused, else the place of what did,
    such as ``access.groups`` or ``route /admin/*: any``. ``remedy`` is for people, and may be
    empty. ``step_up`` is set when a stronger or fresher sign-in is all that is missing.
    """

    reason: Reason
    rule: str = ""
    remedy: str = ""
    step_up: StepUp | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation: ``holds`` is None where nobody knows."""

    depth: int
    words: str
    holds: bool | None


class Lists(Protocol):
    """Files of addresses that rules name."""

    def addresses(self, path: str) -> frozenset[str]:
        """The addresses in the file, normalised, as of now."""

    def are_all(self, path: str) -> bool:
        """False if there may be more in the file: of anybody else nobody knows."""


@dataclass(frozen=True, slots=True)
class _Nothing:
    def addresses(self, path: str) -> frozenset[str]:
        return frozenset()

    def are_all(self, path: str) -> bool:
        return True


NO_LISTS: Lists = _Nothing()
"""Where no file is read: nobody is listed."""
