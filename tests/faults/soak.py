"""Logins and logouts in fast time, and what they leave in memory (F28).

By hand: ``python -m tests.faults.soak --logins 1000000 redis://127.0.0.1:6379``, or a file for
SQLite; ``:memory:`` is SQLite without one. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import aiohttp

from proxy.config.settings import Settings
from proxy.model import Identity, Kind, Session, Target, Tokens
from proxy.web.crew import Crew
from proxy.web.log import Log
from proxy.web.lru import Lru
from proxy.web.parts import Parts, assemble
from proxy.web.sessions import Sessions
from proxy.web.visit import Visit
from proxy.web.world import World
from proxy.wire.inbound import Request
from tests.fakes.clock import FakeClock
from tests.web.place import HOST, PUBLIC, SECRET

MIB = 1024 * 1024
AT_ONCE = 16
SAMPLES = 40
STEP = 5.0
"""Seconds of fast time from one login to the next."""


@dataclass(frozen=True)
class Found:
    """``slope``: MiB per 100,000 logins after the warm-up. ``growth``: MiB in all of them."""

    logins: int
    seconds: float
    warm: float
    growth: float
    slope: float
    peak: float


def resident() -> float:
    """MiB that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def options(place: str) -> dict[str, Any]:
    shared: dict[str, Any] = {"session": {"store": "file", "file": place}}
    if "://" in place:
        shared = {"session": {"store": "redis"}, "redis": {"url": place}}
    if place == ":memory:":
        shared = {"session": {"store": "file"}}
    return {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:9",
        "cookie": {"secret": SECRET},
        "provider": {
            "issuer_url": "http://127.0.0.1:9",
            "client_id": "proxy",
            "client_secret": "proxy-secret",
        },
        **shared,
    }


class Soak:
    """People who come and go."""

    def __init__(self, sessions: Sessions, clock: FakeClock) -> None:
        self._sessions = sessions
        self._clock = clock
        self._number = 0
        self.samples: list[tuple[int, float]] = []

    async def run(self, logins: int, warm_up: int) -> Found:
        began = time.monotonic()
        await self._all(warm_up)
        warm = resident()
        self.samples = [(0, warm)]
        portion = max(1, logins // SAMPLES)
        done = 0
        while done < logins:
            await self._all(portion)
            done += portion
            self.samples.append((done, resident()))
        last = self.samples[-1][1]
        seconds = time.monotonic() - began
        peak = max(size for _, size in self.samples)
        return Found(warm_up + done, seconds, warm, last - warm, self._slope(), peak)

    def _slope(self) -> float:
        """Least squares, in MiB per 100,000."""
        count = len(self.samples)
        middle = sum(number for number, _ in self.samples) / count
        height = sum(size for _, size in self.samples) / count
        above = sum((number - middle) * (size - height) for number, size in self.samples)
        below = sum((number - middle) ** 2 for number, _ in self.samples)
        return above / below * 100_000

    async def _all(self, count: int) -> None:
        left = iter(range(count))

        async def some() -> None:
            for _ in left:
                await self._one()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())

    async def _one(self) -> None:
        """Sign in, be there, sign out, and be there no more."""
        sessions, number = self._sessions, self._number
        self._number += 1
        self._clock.advance(STEP)
        cookies = await sessions.begin(self._session(number), self._visit())
        pairs = [(cookie.name.encode(), cookie.value.encode()) for cookie in cookies]
        opened = await sessions.find(pairs, self._clock())
        assert opened is not None
        await sessions.end(opened, self._clock())
        assert await sessions.find(pairs, self._clock()) is None

    def _session(self, number: int) -> Session:
        now, name = self._clock(), f"person{number}"
        person = Identity(
            issuer="http://127.0.0.1:9",
            subject=name,
            user=name,
            email=f"{name}@example.org",
            email_verified=True,
            groups=("staff",),
        )
        tokens = Tokens(f"the ID token of {name}", "", f"the refresh token of {name}")
        return Session(
            id=self._sessions.new_id(),
            identity=person,
            tokens=tokens,
            created_at=now,
            expires_at=now + 12 * 3600,
            seen_at=now,
            provider_sid=f"sid of {name}",
        )

    def _visit(self) -> Visit:
        headers = [(b"Host", HOST.encode()), (b"User-Agent", b"Browser/1.0")]
        request = Request("GET", "/", headers, True, True, 0, False)
        visit = Visit(request, "id", self._clock(), "127.0.0.1")
        visit.target = Target("GET", "https", HOST, "/", "/", "", Kind.NAVIGATION, "127.0.0.1")
        return visit


def _forgetful(parts: Parts, remembered: int) -> None:
    """Caches so small that they are full soon."""
    sessions, endings = parts.sessions, parts.keeping.endings
    sessions._ended, sessions._opened = Lru(remembered), Lru(remembered)
    endings._names = lru_cache(remembered)(endings._make_names)


async def soak(place: str, logins: int, warm_up: int, remembered: int) -> Found:
    """As a process that serves would have it, but for the network in front."""
    clock = FakeClock()
    settings = Settings.model_validate(options(place))
    async with aiohttp.ClientSession() as http:
        log = Log(io.StringIO(), clock, "json", "error")
        parts = assemble(settings, http, log, World(clock=clock), Crew())
        if remembered:
            _forgetful(parts, remembered)
        listening = asyncio.create_task(parts.sessions.listen(clock))
        try:
            return await Soak(parts.sessions, clock).run(logins, warm_up)
        finally:
            listening.cancel()
            await asyncio.wait([listening])
            await parts.keeping.shelf.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("place", help="redis://…, a file, or :memory:")
    parser.add_argument("--logins", type=int, default=1_000_000)
    parser.add_argument("--warm-up", type=int, default=100_000)
    parser.add_argument("--remembered", type=int, default=0, help="size of every cache")
    given = parser.parse_args()
    found = asyncio.run(soak(given.place, given.logins, given.warm_up, given.remembered))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
