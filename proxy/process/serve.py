"""The process ``auth-proxy serve``: its log and its exit status."""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Callable
from typing import Final, TextIO

from proxy.config.settings import Settings
from proxy.process.supervisor import Orders, Supervisor
from proxy.web.activation import NOT_ACTIVATED, Activation
from proxy.web.log import Log, LogHandler
from proxy.web.world import World

_MOST_FILES: Final = 1 << 20


def make_log(settings: Settings, stream: TextIO = sys.stderr, worker: int = 0) -> Log:
    """Our log on ``stream``; libraries' loggers write into it. ``worker`` 0 stands in no line."""
    options = settings.log
    log = Log(stream, World().clock, options.format, options.level, options.access, worker)
    root = logging.getLogger()
    root.handlers[:] = [LogHandler(log)]
    root.setLevel(logging.WARNING)
    return log


def run(
    settings: Settings,
    reread: Callable[[], Settings],
    activation: Activation = NOT_ACTIVATED,
    locate: Callable[[str], str] = str,
) -> int:
    """Serve until told to stop: 0 after that, 2 when it cannot start.

    ``reread`` is called at SIGHUP, and raises ConfigError when what it reads cannot be used.
    ``locate`` puts the place where its option was set in front of a problem.
    """

    raise_file_limit()

    def open_log(now: Settings, worker: int) -> Log:
        return make_log(now, worker=worker)

    orders = Orders(settings, reread, activation, open_log, World(), locate)
    return Supervisor(orders).run()


def raise_file_limit() -> None:
    """Take as many open files as the system allows: each connection is one, or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
