"""Readers of event streams: how late each event is, and whether all of them came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

import uvloop

from bench.clients.bodies import head
from bench.model import ScenarioFailed
from bench.place import Subject


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of all streams together; delays in nanoseconds, sorted."""

    delays: list[int]
    lost: int

    def below(self, share: float) -> float:
        """The delay that ``share`` of the events stay below, in milliseconds."""
        return self.delays[min(len(self.delays) - 1, int(len(self.delays) * share))] / 1e6


class Reader(asyncio.Protocol):
    """One stream of ``wanted`` events; ``done`` once the last one or the end has come."""

    def __init__(self, request: bytes, wanted: int, delays: list[int]) -> None:
        self._request = request
        self._wanted = wanted
        self._delays = delays
        self._held = b""
        self.heard = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        *whole, self._held = (self._held + data).split(b"\n\n")
        for text in whole:
            _, found, fields = text.partition(b"data: ")
            if not found:
                continue
            number, stamp = fields.split()
            if int(number) == self.heard:  # whatever follows a gap counts as lost
                self.heard += 1
                self._delays.append(now - int(stamp))
        if self.heard == self._wanted:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


def listen(subject: Subject, streams: int, every: float, seconds: float) -> Heard:
    """Open ``streams`` at once, each with an event ``every`` so many seconds.

    Their events are spread evenly over time, so that no queue forms before the proxy.
    """
    return uvloop.run(_listen(subject, streams, every, seconds))


async def _listen(subject: Subject, streams: int, every: float, seconds: float) -> Heard:
    loop, wanted = asyncio.get_running_loop(), max(1, int(seconds / every))
    delays: list[int] = []
    readers: list[Reader] = []
    settle = 0.3 + streams / 1000
    for number in range(streams):
        first = int((settle + every * number / streams) * 1e6)
        query = f"n={wanted}&every={int(every * 1e6)}&first={first}"
        request = head("GET", subject.port, f"/stream/events?{query}", subject.headers)
        _, reader = await loop.create_connection(
            lambda request=request: Reader(request, wanted, delays),  # type: ignore[misc]
            "127.0.0.1",
            subject.port,
        )
        readers.append(reader)
    await asyncio.wait([reader.done for reader in readers], timeout=seconds + settle + 10)
    for reader in readers:
        reader.transport.abort()
    if not delays:
        raise ScenarioFailed(f"{subject.name}: no event came")
    return Heard(sorted(delays), streams * wanted - sum(reader.heard for reader in readers))
