"""A clock that a test moves by hand."""

from __future__ import annotations

START = 1_800_000_000.0


class FakeClock:
    """Calling it tells ``now``, in Unix seconds; only ``advance`` moves it."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
