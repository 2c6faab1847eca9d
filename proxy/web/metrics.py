"""What is counted. No label ever holds what a client or person sent."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable

from proxy.errors import Reason
from proxy.web import board as at
from proxy.web.board import Board


def _nothing() -> int:
    return 0


class Metrics:
    """The counters of one process, in its row of a board; by default on a board of its own."""

    def __init__(self, board: Board | None = None, row: int | None = None) -> None:
        self.board = board or Board(1)
        self._cells = self.board.cells(self.board.take() if row is None else row)
        self._cells[at.PID] = os.getpid()
        self._running: Callable[[], int] = _nothing
        self._sockets: Callable[[], int] = _nothing

    def answered(self, status: int, seconds: float) -> None:
        """One request has been answered."""
        cells = self._cells
        if 100 <= status < 600:
            cells[status - 100] += 1
        cells[at.SECONDS + bisect_left(at.BOUNDS, seconds)] += 1
        cells[at.SECONDS_SUM] += seconds

    def refuse(self, reason: Reason) -> None:
        """A request or sign-in was refused."""
        self._cells[at.REASON_CELLS[reason]] += 1

    def logged_in(self) -> None:
        self._cells[at.LOGINS] += 1

    def lose(self, lines: int) -> None:
        """Lines of the log could not be written."""
        self._cells[at.LOST_LINES] += lines

    def eject(self) -> None:
        """An address of an upstream began to fail, and is left out."""
        self._cells[at.EJECTIONS] += 1

    def logged_out(self, sessions: int = 1) -> None:
        self._cells[at.LOGOUTS] += sessions

    def called(self, call: str, outcome: str, seconds: float) -> None:
        """A call to the provider is over; ``outcome`` is a status or ``error``."""
        call = call if call in at.CALLS else at.OTHER
        outcome = outcome if outcome in at.OUTCOMES else at.OTHER
        cells, start = self._cells, at.CALL_CELLS[call, outcome]
        cells[start + bisect_left(at.CALL_BOUNDS, seconds)] += 1
        cells[start + at.CALL_WIDTH - 1] += seconds

    def watch(self, running: Callable[[], int], sockets: Callable[[], int]) -> None:
        """Where to ask for the number of running requests and open WebSockets."""
        self._running, self._sockets = running, sockets

    def publish(self) -> None:
        """Let the other processes see these numbers; to be called now and then."""
        self._cells[at.RUNNING] = self._running()
        self._cells[at.SOCKETS] = self._sockets()

    def render(self) -> bytes:
        """Prometheus text: the sum over every process of the board."""
        from proxy.web.scrape import exposition  # late: for the first scrape

        self.publish()
        return exposition(self.board)
