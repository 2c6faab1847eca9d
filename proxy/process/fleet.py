"""The workers as processes: forked, heard, signalled, and buried."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import selectors
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from proxy.process.channel import LARGEST_BACKLOG, Channel, Message
from proxy.web import board as at
from proxy.web.board import Board
from proxy.web.log import Log

_ROWS: Final = 1024
_DEAF: Final = frozenset({signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2})
_PLAIN: Final = frozenset({signal.SIGTERM, signal.SIGCHLD})


@dataclass(slots=True, eq=False, repr=False)
class Worker:
    """A running worker; times are those of the supervisor's clock."""

    pid: int
    number: int
    generation: int
    row: int
    channel: Channel
    started: float
    ready: bool = False
    leaving: bool = False
    kill_at: float | None = None
    problems: list[str] = field(default_factory=list)


class Fleet:
    """Every worker, of every generation. ``now`` gives seconds that only go up.

    Row 0 of the board is the supervisor's own.
    """

    def __init__(self, selector: selectors.BaseSelector, now: Callable[[], float]) -> None:
        self.board = Board(_ROWS)
        self.totals = self.board.cells(self.board.take())
        self.totals[at.PID] = os.getpid()
        self.workers: list[Worker] = []
        self._selector = selector
        self._now = now

    def fork(
        self, number: int, generation: int, job: Callable[[int, Channel], int], log: Log
    ) -> Worker:
        """A new process that ends with what ``job(row, channel)`` returns. Raises OSError.

        It has its defaults for signals, but that it ignores those of a terminal: the supervisor
        gets them as well. Of our files it keeps what ``job`` does not close.
        """
        ours, theirs = Channel.pair()
        try:
            row = self.board.take()
        except IndexError as exc:
            ours.close()
            theirs.close()
            raise OSError(errno.EAGAIN, "too many workers have not ended yet") from exc
        gc.freeze()  # pages that no collection touches stay shared
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                os._exit(self._live(lambda: job(row, theirs), ours, signals, log))
        except OSError:
            self.board.give_back(row)
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            theirs.close()
        worker = Worker(pid, number, generation, row, ours, self._now())
        self.workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)
        return worker

    def _live(self, job: Callable[[], int], ours: Channel, mask: Iterable[int], log: Log) -> int:
        """In the new process; nothing may be raised into what was the supervisor."""
        try:
            signal.set_wakeup_fd(-1)
            for number in _DEAF:
                signal.signal(number, signal.SIG_IGN)
            for number in _PLAIN:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            # Else the others would not notice when the supervisor goes.
            for channel in (ours, *(worker.channel for worker in self.workers)):
                channel.close()
            self._selector.close()
            return job()
        except BaseException as exc:
            log.exception(exc, "-")
            return 1

    def hear(self, worker: Worker) -> list[Message]:
        """What the worker says; nothing more once it has closed its end, or talks nonsense."""
        try:
            return worker.channel.receive()
        except ValueError:
            self.signal(worker, signal.SIGKILL)
            return []
        except EOFError:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.channel)
            return []

    def send(self, worker: Worker, message: Message) -> None:
        """Queue a message. A worker that has not listened for very long is ended."""
        worker.channel.send(message)
        if worker.channel.waiting > LARGEST_BACKLOG:
            self.signal(worker, signal.SIGKILL)
        self.flush(worker)

    def flush(self, worker: Worker) -> None:
        worker.channel.flush()
        events = selectors.EVENT_READ
        if worker.channel.waiting:
            events |= selectors.EVENT_WRITE
        with contextlib.suppress(KeyError):
            self._selector.modify(worker.channel, events, worker)

    def signal(self, worker: Worker, number: signal.Signals) -> None:
        if worker in self.workers:  # until it has been buried, its pid is nobody else's
            os.kill(worker.pid, number)

    def bury(self) -> list[tuple[Worker, int]]:
        """Workers that have ended, with their exit status (negative: the signal).

        They are no longer among ``workers``, so that nobody signals a pid that is not ours.

        As process 1 of a container we are everybody's parent: others are buried as well.
        """
        dead: list[tuple[Worker, int]] = []
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return dead
            if pid == 0:
                return dead
            for worker in [worker for worker in self.workers if worker.pid == pid]:
                self.totals[at.PAST_CPU] += usage.ru_utime + usage.ru_stime
                dead.append((worker, os.waitstatus_to_exitcode(status)))
                self.workers.remove(worker)

    def forget(self, worker: Worker) -> None:
        """Give back what a buried worker had."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(worker.channel)
        worker.channel.close()
        self.board.give_back(worker.row)
