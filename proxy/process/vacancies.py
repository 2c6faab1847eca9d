"""Which workers are to be replaced, and when: at once, but not again and again."""

from __future__ import annotations

from typing import Final

_STEADY_AFTER: Final = 5.0
"""Seconds after which a death has nothing to do with the start."""
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 30.0


class Vacancies:
    """Numbers of workers, each with the moment when another is to take its place."""

    def __init__(self) -> None:
        self._due: dict[int, float] = {}
        self._crashes: dict[int, int] = {}

    def died(self, number: int, lived: float, now: float) -> None:
        """The worker died after ``lived`` seconds. A second early death makes us wait."""
        crashes = 0 if lived >= _STEADY_AFTER else self._crashes.get(number, 0) + 1
        self._crashes[number] = crashes
        pause = _FIRST_PAUSE * 2 ** min(crashes - 2, 20) if crashes > 1 else 0.0
        self._due[number] = now + min(pause, _LONGEST_PAUSE)

    def open(self, number: int, due: float) -> None:
        """Its place is to be taken at that moment, whatever happened before."""
        self._due[number] = due

    def fill(self, now: float) -> list[int]:
        """Those that are due; they are vacancies no longer."""
        numbers = [number for number, due in self._due.items() if due <= now]
        for number in numbers:
            del self._due[number]
        return numbers

    def moments(self) -> list[float]:
        """When each is due."""
        return list(self._due.values())

    def clear(self) -> None:
        """Other workers are there: what these did does not matter any more."""
        self._due.clear()
        self._crashes.clear()
