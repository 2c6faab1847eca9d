"""Where log lines go: standard error, without ever waiting for whoever reads it."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator, Sequence
from typing import TextIO


class Sink:
    """Writes lines to ``stream``.

    A pipe, socket or terminal takes them in parts that are not torn (pipe(7)), since several
    processes may write to it, and only while there is room: a reader that has stopped must not
    stop us.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._poll: select.poll | None = None
        try:
            number = stream.fileno()
            mode = os.fstat(number).st_mode
        except (OSError, ValueError, io.UnsupportedOperation):
            return
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(number):
            self._poll = select.poll()
            self._poll.register(number, select.POLLOUT)

    def write(self, lines: Sequence[str]) -> int:
        """Write as many as there is room for; returns how many. Raises OSError, ValueError."""
        if self._poll is None:
            self._put(lines)
            return len(lines)
        done = 0
        for some in atoms(lines):
            if not self._poll.poll(0):
                break
            self._put([_cut(line) for line in some] if len(some) == 1 else some)
            done += len(some)
        return done

    def _put(self, lines: Sequence[str]) -> None:
        self._stream.write("\n".join(lines) + "\n")
        self._stream.flush()


def _cut(line: str) -> str:
    """What fits into the room that a pipe promises; more of it could make us wait."""
    data = line.encode(errors="replace")
    if len(data) < select.PIPE_BUF:
        return line
    return data[: select.PIPE_BUF - 4].decode(errors="ignore") + "…"


def atoms(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """``lines`` in parts that a pipe takes whole.

    A line that is longer than that comes alone.
    """
    start = size = 0
    for end, line in enumerate(lines):
        length = (len(line) if line.isascii() else len(line.encode(errors="replace"))) + 1
        if size and size + length > select.PIPE_BUF:
            yield lines[start:end]
            start, size = end, 0
        size += length
    if size:
        yield lines[start:]
