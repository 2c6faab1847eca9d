"""A worker: the process that serves. It lives as long as its supervisor wants it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.process.channel import Channel, Order
from proxy.process.link import Link
from proxy.web.app import App
from proxy.web.crew import Crew
from proxy.web.listeners import Listener
from proxy.web.log import Log
from proxy.web.metrics import Metrics

_PUBLISH_EVERY = 1.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Assignment:
    """What a worker is to do, and with what."""

    settings: Settings
    listeners: Sequence[Listener]
    channel: Channel
    crew: Crew
    log: Log


def work(assignment: Assignment) -> int:
    """Serve until told to drain, by the supervisor or SIGTERM, or until the supervisor is gone.

    Returns the exit status. Who signals a whole group signals us twice: only the supervisor
    makes us hurry.
    """
    return uvloop.run(_work(assignment))


async def _work(assignment: Assignment) -> int:
    loop, log = asyncio.get_running_loop(), assignment.log
    stop, hurry, retire = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def obey(order: Order) -> None:
        if order is Order.RETIRE:
            retire.set()
        (hurry if order is Order.HURRY else stop).set()

    link = Link(assignment.channel, loop)
    crew = assignment.crew
    app = App(assignment.settings, log, listeners=assignment.listeners, crew=crew)
    try:
        async with app:
            link.listen(obey)
            link.ready()
            publishing = loop.create_task(_publish(crew.metrics))
            await stop.wait()
            link.leaving()
            await _drain(app, hurry, retiring=retire.is_set())
            publishing.cancel()
    except ConfigError as exc:
        link.failed(exc.problems)
        return 2
    except OSError as exc:
        link.failed([f"a worker cannot serve: {exc}"])
        return 2
    finally:
        link.close()
    return 0


async def _publish(metrics: Metrics) -> None:
    """The other workers show our numbers, too."""
    while True:
        metrics.publish()
        await asyncio.sleep(_PUBLISH_EVERY)


async def _drain(app: App, hurry: asyncio.Event, *, retiring: bool) -> None:
    loop = asyncio.get_running_loop()
    draining = loop.create_task(app.drain(retiring=retiring))
    impatient = loop.create_task(hurry.wait())
    await asyncio.wait({draining, impatient}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, impatient):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
