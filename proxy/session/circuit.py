"""A circuit breaker: whoever did not answer many times over is spared, and so is who would wait."""

from __future__ import annotations

FAILURES = 5
PAUSE = 1.0
"""Seconds from one probe to the next: also the longest that a return goes unnoticed."""


class Circuit:
    """Opens after ``FAILURES`` in a row; then one question in ``PAUSE`` is let through to probe.

    Any answer closes it. ``now`` is of any clock that never goes back.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._probe_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES

    def admits(self, now: float) -> bool:
        """Whether to ask. Who asks reports back."""
        if not self.is_open:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + PAUSE
        return True

    def failed(self, now: float) -> bool:
        """Report no answer; returns whether this one opened it."""
        self._failures += 1
        if self._failures != FAILURES:
            return False
        self._probe_at = now + PAUSE
        return True

    def answered(self) -> bool:
        """Report an answer; returns whether this one closed it."""
        closed, self._failures = self.is_open, 0
        return closed
