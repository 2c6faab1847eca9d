"""A configuration in force: its sockets, its keys, and how its workers begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.config.settings import Settings
from proxy.config.workers import AUTO
from proxy.errors import ConfigError
from proxy.process.channel import Channel
from proxy.process.cpus import usable_cpus
from proxy.process.shares import Shares, open_shares
from proxy.process.worker import Assignment, work
from proxy.web.activation import Activation
from proxy.web.board import Board
from proxy.web.certificates import Certificates
from proxy.web.crew import Crew
from proxy.web.files import file_problems
from proxy.web.listeners import Listener
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.runtime import Made, compile_runtime
from proxy.web.server import check_parser

OpenLog = Callable[[Settings, int], Log]
"""Settings and the number of a worker, 0 for none → the log of a process."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Handed:
    """What a worker gets from its supervisor.

    ``open_sockets`` are all that the supervisor has: what is not the worker's own, it closes,
    or else an address that is given up would stay open. ``fresh``: it replaces none that died.
    """

    open_log: OpenLog
    board: Board
    open_sockets: Sequence[Listener]
    fresh: bool


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Generation:
    """All that workers of one configuration have in common. Numbers go up from 1."""

    number: int
    settings: Settings
    workers: int
    shares: Shares
    made: Made
    certificates: Certificates | None = None
    """What TLS listeners show: a worker that comes later begins with it."""

    def job(self, number: int, handed: Handed) -> Callable[[int, Channel], int]:
        """What worker ``number`` does in its process, with a row and a channel."""

        def run(row: int, channel: Channel) -> int:
            listeners = self.shares.dealt(number, self.workers)
            mine = {id(listener.sock) for listener in listeners}
            for listener in handed.open_sockets:
                if id(listener.sock) not in mine:
                    listener.sock.close()
            log = handed.open_log(self.settings, number if self.workers > 1 else 0)
            crew = Crew(
                metrics=Metrics(handed.board, row),
                made=self.made,
                speaks=number == 1,
                relieves=handed.fresh and self.number > 1,
                replaces=not handed.fresh,
                certificates=self.certificates,
                workers=self.workers,
            )
            try:
                return work(Assignment(self.settings, listeners, channel, crew, log))
            except Exception as exc:
                log.exception(exc, "-")
                return 1
            finally:
                log.flush()

        return run


def prepare(
    settings: Settings,
    activation: Activation,
    random: Callable[[int], bytes],
    before: Generation | None = None,
    folder: str = "",
) -> Generation:
    """The next generation, its sockets bound. Raises ConfigError with all that is wrong.

    ``folder`` is where its workers may keep what they share.
    """
    check_parser()
    made = Made.for_settings(settings, random, before.made if before else None)
    if folder:
        made = replace(made, shelf=str(Path(folder, "sessions.db")))
    workers = usable_cpus() if settings.server.workers == AUTO else settings.server.workers
    problems = file_problems(settings)
    if workers > 1 and not (made.shelf or settings.session.file or settings.redis.url):
        problems.append("session.file: needed for several workers: no temporary file can be made")
    certificates = None
    if not problems:
        made = made.with_keys(settings)
        compile_runtime(settings, random, made)
        certificates = _certificates(settings)
    try:
        shares = open_shares(
            settings.server, workers, activation, before.shares if before else None
        )
    except ConfigError as exc:
        raise ConfigError([*problems, *exc.problems]) from exc
    if problems:
        shares.release(keep=before.shares if before else None)
        raise ConfigError(problems)
    number = before.number + 1 if before else 1
    return Generation(number, settings, workers, shares, made, certificates)


def _certificates(settings: Settings) -> Certificates | None:
    """Raises ConfigError."""
    return Certificates(settings.server, None) if settings.server.tls_listen else None
