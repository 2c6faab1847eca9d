"""The process around an ``App``: its log, its signals, its exit status."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import TextIO

import uvloop

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.web.app import App
from proxy.web.log import Log, LogHandler
from proxy.web.parts import World


async def serve(settings: Settings, log: Log) -> None:
    """Serve until SIGTERM or SIGINT; then drain. A second signal stops at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with App(settings, log) as app:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await stop.wait()
        log.event("info", "stopping: running requests may finish")
        again = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, again.set)
        draining = loop.create_task(app.drain())
        impatient = loop.create_task(again.wait())
        await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, impatient):
            task.cancel()
        await asyncio.gather(draining, impatient, return_exceptions=True)
        log.event("info", "stopped")


def make_log(settings: Settings, stream: TextIO = sys.stderr) -> Log:
    """Our log on ``stream``; libraries' loggers write into it."""
    options = settings.log
    log = Log(stream, World().clock, options.format, options.level, options.access)
    root = logging.getLogger()
    root.handlers[:] = [LogHandler(log)]
    root.setLevel(logging.WARNING)
    return log


def run(settings: Settings) -> int:
    """``auth-proxy serve``: 0 after an orderly stop, 2 when it cannot start."""
    log = make_log(settings)
    try:
        uvloop.run(serve(settings, log))
    except ConfigError as exc:
        for problem in exc.problems:
            log.event("error", problem)
        return 2
    except OSError as exc:
        log.event("error", f"cannot listen: {exc}")
        return 2
    finally:
        log.flush()
    return 0
