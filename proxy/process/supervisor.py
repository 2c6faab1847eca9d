"""The supervisor: binds, forks workers, replaces them, reloads, and stops them.

A plain synchronous process. It never runs an event loop, so that it can fork at any time.
"""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.process.channel import Order
from proxy.process.fleet import Fleet, Worker
from proxy.process.generation import Generation, Handed, OpenLog, prepare
from proxy.process.shelf_folder import shelf_folder
from proxy.process.signals import heeded
from proxy.process.vacancies import Vacancies
from proxy.web import board as at
from proxy.web.activation import Activation
from proxy.web.log import Log
from proxy.web.world import World

_START_WITHIN: Final = 15.0
_EXTRA: Final = 2.0
"""Seconds that a worker may take to end, besides draining."""
_HURRY: Final = 0.7
"""The same, at the second signal."""
_IDLE: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Orders:
    """What the supervisor works with. ``reread`` gives the configuration as it is now.

    ``locate`` puts the place where its option was set in front of a problem.
    """

    settings: Settings
    reread: Callable[[], Settings]
    activation: Activation
    open_log: OpenLog
    world: World
    locate: Callable[[str], str] = str


class Supervisor:
    """``run`` it once, in the main thread of a process that has no other."""

    def __init__(self, orders: Orders, now: Callable[[], float] = time.monotonic) -> None:
        self._orders = orders
        self._now = now
        self._log: Log = orders.open_log(orders.settings, 0)
        self._selector = selectors.DefaultSelector()
        self._fleet = Fleet(self._selector, now)
        self._current: Generation | None = None
        self._coming: Generation | None = None
        self._coming_by = 0.0
        self._vacancies = Vacancies()
        self._reload_again = False
        self._status: int | None = None
        self._folder = ""

    def run(self) -> int:
        """The exit status: 0 after an orderly stop, 2 when it could not start."""
        with heeded() as wakeup, self._selector, shelf_folder() as self._folder:
            self._selector.register(wakeup, selectors.EVENT_READ)
            try:
                self._begin(self._orders.settings)
            except ConfigError as exc:
                self._complain(exc.problems)
                return 2
            while self._status is None or self._fleet.workers:
                self._turn(wakeup)
            if self._status == 0:
                self._log.event("info", "stopped")
            return self._status

    # --- the loop -----------------------------------------------------------------------------

    def _turn(self, wakeup: socket.socket) -> None:
        for key, events in self._selector.select(self._pause()):
            worker = key.data
            if worker is None:
                self._signalled(wakeup)
                continue
            if events & selectors.EVENT_WRITE:
                self._fleet.flush(worker)
            if events & selectors.EVENT_READ:
                self._hear(worker)
        for worker, status in self._fleet.bury():
            while self._hear(worker):
                pass  # its last words matter
            self._fleet.forget(worker)
            self._ended(worker, status)
        self._on_time()
        self._count()

    def _pause(self) -> float:
        due = self._vacancies.moments()
        due += [worker.kill_at for worker in self._fleet.workers if worker.kill_at is not None]
        if self._coming is not None:
            due.append(self._coming_by)
        return max(0.0, min([_IDLE, *(moment - self._now() for moment in due)]))

    def _signalled(self, wakeup: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in wakeup.recv(4096):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._stop()
                elif number == signal.SIGHUP:
                    self._reload()

    def _on_time(self) -> None:
        now = self._now()
        for worker in self._fleet.workers:
            if worker.kill_at is not None and worker.kill_at <= now:
                worker.kill_at = None
                self._fleet.signal(worker, signal.SIGKILL)
        for number in self._vacancies.fill(now):
            self._replace(number)
        if self._coming is not None and self._coming_by <= now:
            self._abandon([f"the new workers were not ready within {_START_WITHIN:.0f} seconds"])

    def _count(self) -> None:
        serving = sum(worker.ready and not worker.leaving for worker in self._fleet.workers)
        self._fleet.totals[at.WORKERS] = serving

    # --- workers ------------------------------------------------------------------------------

    def _fork(self, generation: Generation, number: int, *, fresh: bool) -> None:
        if generation.certificates is not None and not fresh:
            generation.certificates.refresh()  # the others' watchers may have found a newer pair
        orders, both = self._orders, (self._current, self._coming)
        handed = Handed(
            open_log=orders.open_log,
            board=self._fleet.board,
            open_sockets=[listener for one in both if one for listener in one.shares],
            fresh=fresh,
        )
        job = generation.job(number, handed)
        worker = self._fleet.fork(number, generation.number, job, self._log)
        if not fresh:
            worker.kill_at = self._now() + _START_WITHIN

    def _hear(self, worker: Worker) -> bool:
        """Was there anything to hear?"""
        messages = self._fleet.hear(worker)
        for message in messages:
            if "ready" in message:
                worker.ready = True
                if not worker.leaving:
                    worker.kill_at = None
                    self._tell_replacement(worker)
                self._maybe_complete()
            elif "leaving" in message:
                self._leaves(worker)
            elif "failed" in message:
                worker.problems = _texts(message["failed"])
        return bool(messages)

    def _tell_replacement(self, worker: Worker) -> None:
        if self._is_needed(worker):  # the first of a generation are ready before it is in force
            fields: dict[str, object] = {"pid": worker.pid}
            self._log.event("info", f"worker {worker.number} serves again", fields)

    def _leaves(self, worker: Worker) -> None:
        """Somebody else told it to stop: its place is taken before it has drained."""
        if not worker.leaving and self._is_needed(worker):
            self._vacancies.open(worker.number, self._now())
        self._dismissed(worker)

    def _is_needed(self, worker: Worker) -> bool:
        current = self._current
        return self._status is None and current is not None and worker.generation == current.number

    def _ended(self, worker: Worker, status: int) -> None:
        if worker.leaving:
            return
        what = f"worker {worker.number} ended ({_in_words(status)})"
        if self._coming is not None and worker.generation == self._coming.number:
            self._abandon(worker.problems or [f"{what} while it started"])
        elif self._is_needed(worker):
            self._complain(worker.problems)
            now = self._now()
            self._vacancies.died(worker.number, now - worker.started, now)
            fields: dict[str, object] = {"pid": worker.pid}
            self._log.event("error", f"{what}: another takes its place", fields)

    def _replace(self, number: int) -> None:
        if self._current is None or self._status is not None:
            return
        try:
            self._fork(self._current, number, fresh=False)
            self._fleet.totals[at.RESTARTS] += 1
        except OSError as exc:
            self._log.event("error", f"worker {number} cannot be replaced yet: {exc}")
            self._vacancies.open(number, self._now() + 1.0)

    def _dismiss(
        self, workers: Iterable[Worker], settings: Settings, order: Order = Order.RETIRE
    ) -> None:
        """Let them drain and end."""
        for worker in workers:
            if not worker.leaving:
                self._fleet.send(worker, {"order": order})
            self._dismissed(worker, settings)

    def _dismissed(self, worker: Worker, settings: Settings | None = None) -> None:
        settings = settings or (self._current.settings if self._current else None)
        drain = settings.server.drain_timeout if settings else 0.0
        worker.leaving = True
        worker.kill_at = worker.kill_at or self._now() + drain + _EXTRA

    # --- generations --------------------------------------------------------------------------

    def _begin(self, settings: Settings) -> None:
        """Bind and fork for ``settings``. Raises ConfigError; then nothing has changed."""
        orders = self._orders
        coming = prepare(
            settings, orders.activation, orders.world.random, self._current, self._folder
        )
        self._coming, self._coming_by = coming, self._now() + _START_WITHIN
        try:
            for number in range(1, coming.workers + 1):
                self._fork(coming, number, fresh=True)
        except OSError as exc:
            self._abandon([f"no worker can be started: {exc}"])

    def _maybe_complete(self) -> None:
        """The coming generation takes over once all of its workers serve."""
        coming, before = self._coming, self._current
        if coming is None:
            return
        ready = [w for w in self._fleet.workers if w.generation == coming.number and w.ready]
        if len(ready) < coming.workers:
            return
        self._current, self._coming = coming, None
        self._vacancies.clear()
        if before is not None:
            self._dismiss([w for w in self._fleet.workers if w not in ready], before.settings)
            before.shares.release(keep=coming.shares)
            self._log = self._orders.open_log(coming.settings, 0)
            self._log.event("info", "the new configuration is in force")
            self._fleet.totals[at.RELOADED] += 1
        self._next_reload()

    def _abandon(self, problems: Iterable[str]) -> None:
        """The coming generation cannot serve: the current one goes on, or else we stop."""
        coming, self._coming = self._coming, None
        if coming is None:
            return
        mine = [w for w in self._fleet.workers if w.generation == coming.number]
        self._dismiss(mine, coming.settings)
        coming.shares.release(keep=self._current.shares if self._current else None)
        if self._current is not None:
            self._refuse(problems)
            self._next_reload()
            return
        self._complain(problems)
        self._status = 2
        for worker in mine:
            self._fleet.signal(worker, signal.SIGKILL)

    def _reload(self) -> None:
        if self._status is not None:
            return
        if self._coming is not None:
            self._reload_again = True  # there may be news since that one was read
            return
        self._log.event("info", "SIGHUP: reading the configuration again")
        try:
            self._begin(self._orders.reread())
        except ConfigError as exc:
            self._refuse(exc.problems)
        except Exception as exc:  # a fault of ours must not end what serves
            self._log.exception(exc, "-")
            self._refuse([])

    def _next_reload(self) -> None:
        if self._reload_again:
            self._reload_again = False
            self._reload()

    def _refuse(self, problems: Iterable[str]) -> None:
        self._complain(problems)
        self._log.event("error", "the configuration was not reloaded: the old one stays in force")
        self._fleet.totals[at.RELOAD_FAILED] += 1

    def _complain(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self._log.event("error", self._orders.locate(problem))

    # --- the end ------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Drain everybody; the second time, in a hurry."""
        workers = self._fleet.workers
        if self._status is None:
            self._status = 0
            self._log.event("info", "stopping: running requests may finish")
            for generation in (self._current, self._coming):
                if generation is not None:
                    generation.shares.release()
                    members = [w for w in workers if w.generation == generation.number]
                    self._dismiss(members, generation.settings, Order.DRAIN)
            self._coming = None
            self._vacancies.clear()
            return
        for worker in workers:
            worker.kill_at = self._now() + _HURRY
            self._fleet.send(worker, {"order": Order.HURRY})


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _in_words(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
