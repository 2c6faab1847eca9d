"""Where processes count: a row of numbers for each, in memory that all of them see."""

from __future__ import annotations

import mmap
from types import MappingProxyType
from typing import Final

from proxy.errors import Reason

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
"""Upper bounds in seconds of the answers' histogram; those beyond have a bucket of their own."""
CALL_BOUNDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""The same for calls to the provider."""
OTHER: Final = "other"
CALLS: Final = (
    "metadata",
    "keys",
    "token",
    "refresh",
    "userinfo",
    "groups",
    "revoke",
    "push",
    "introspect",
    OTHER,
)
_CODES = (
    *(200, 201, 202, 204, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 409),
    *(410, 413, 415, 421, 422, 429, 431, 500, 501, 502, 503, 504, 505, 521, 522, 523, 524),
)
OUTCOMES: Final = ("error", *map(str, _CODES), OTHER)

# The cells of a row. What a call takes is its buckets, the one beyond them, and the sum.
STATUS: Final = 0
SECONDS: Final = STATUS + 500
SECONDS_SUM: Final = SECONDS + len(BOUNDS) + 1
LOGINS: Final = SECONDS_SUM + 1
LOGOUTS: Final = LOGINS + 1
RUNNING: Final = LOGOUTS + 1
SOCKETS: Final = RUNNING + 1
PID: Final = SOCKETS + 1
WORKERS: Final = PID + 1
RESTARTS: Final = WORKERS + 1
RELOADED: Final = RESTARTS + 1
RELOAD_FAILED: Final = RELOADED + 1
PAST_CPU: Final = RELOAD_FAILED + 1
LOST_LINES: Final = PAST_CPU + 1
EJECTIONS: Final = LOST_LINES + 1
_REFUSED: Final = EJECTIONS + 1
REASON_CELLS: Final = MappingProxyType({r: _REFUSED + i for i, r in enumerate(Reason)})
_CALLED: Final = _REFUSED + len(REASON_CELLS)
CALL_WIDTH: Final = len(CALL_BOUNDS) + 2
CALL_CELLS: Final = MappingProxyType(
    {
        (call, outcome): _CALLED + (i * len(OUTCOMES) + j) * CALL_WIDTH
        for i, call in enumerate(CALLS)
        for j, outcome in enumerate(OUTCOMES)
    }
)
ROW: Final = _CALLED + len(CALL_CELLS) * CALL_WIDTH
_GAUGES: Final = (RUNNING, SOCKETS, PID, WORKERS)


class Board:
    """``rows`` rows, shared with every process that is forked later.

    A row has one writer at a time. It is never cleared: who takes it over counts on, so that
    no sum of counters ever goes back. Memory is used by the rows that were ever taken.
    """

    def __init__(self, rows: int) -> None:
        self._memory = memoryview(mmap.mmap(-1, (1 + rows * ROW) * 8)).cast("d")
        self._free = list(range(rows - 1, -1, -1))

    def take(self) -> int:
        """A free row, the lowest one. Raises IndexError when there is none."""
        row = self._free.pop()
        self._memory[0] = max(self._memory[0], row + 1)
        return row

    def give_back(self, row: int) -> None:
        """Its writer is gone, and with it all that it had open."""
        cells = self.cells(row)
        for cell in _GAUGES:
            cells[cell] = 0
        self._free.append(row)
        self._free.sort(reverse=True)

    def cells(self, row: int) -> memoryview[float]:
        """The row's numbers, to be changed in place."""
        start = 1 + row * ROW
        return self._memory[start : start + ROW]

    def sums(self) -> list[float]:
        """A row that is the sum of all; its ``PID`` cell means nothing."""
        rows = (self.cells(row).tolist() for row in range(max(self._used, 1)))
        return [sum(column) for column in zip(*rows, strict=True)]

    def pids(self) -> list[int]:
        """The processes that have a row now."""
        return [pid for row in range(self._used) if (pid := int(self.cells(row)[PID]))]

    @property
    def _used(self) -> int:
        return int(self._memory[0])
