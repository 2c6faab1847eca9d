"""Places with a real Redis, people who are signed in there, and what they are answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proxy.demo.people import User
from proxy.web.world import World
from tests.fakes.faulty_tcp import FaultyTcp
from tests.fakes.redis_servers import Server
from tests.process.served import RealClock
from tests.web.place import Answer, Browser, Place

ROUTES = [{"path": "/open/*", "access": "public"}]
LASTING = ("appendonly yes", "appendfsync always")
"""What Redis is told so that it has after a SIGKILL what it had before."""
STORES = ["redis", "cookie"]
BACK = 2.0
"""Seconds within which all works again once Redis does."""
CACHED = 1.0
"""Seconds that an opened session is taken as read: ``session.cache``."""
SLACK = 0.5
"""Seconds more than the bar allows, for machines that others use as well."""


class RealPlace(Place):
    """A place in real time, as a cache and a Redis have it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(world=World(clock=RealClock()), **settings)
        self.clock = RealClock()


def settings(store: str, *urls: str, **more: Any) -> dict[str, Any]:
    """Sessions in ``store``; ``more`` settings go over these, section by section."""
    given: dict[str, Any] = {
        "session": {"store": store},
        "redis": {"url": list(urls)},
        "routes": ROUTES,
    }
    for section, values in more.items():
        merged = isinstance(values, dict) and section in given
        given[section] = {**given[section], **values} if merged else values
    return given


@asynccontextmanager
async def through_faults(server: Server, store: str, **more: Any) -> AsyncIterator[tuple[Any, ...]]:
    """A place, and the faulty way that it has to its Redis."""
    async with (
        FaultyTcp(server.port) as way,
        RealPlace(**settings(store, f"redis://127.0.0.1:{way.port}", **more)) as place,
    ):
        yield place, way


async def people(place: Place, count: int, port: int = 0) -> list[Person]:
    """So many, each signed in."""
    known = dict(place.provider.provider.users)
    for number in range(count):
        name = f"person{number}"
        known[name] = User(name, f"sub-{number}", name, name, name, f"{name}@example.org")
    place.provider.provider.users = known
    found = [Person(place.browser(), f"person{number}", f"sub-{number}") for number in range(count)]
    for person in found:
        answer = await person.sign_in(port)
        assert answer.status == 303, answer
    return found


@dataclass
class Person:
    """Somebody with a browser; ``sub`` is who upstreams should see."""

    browser: Browser
    name: str
    sub: str

    async def sign_in(self, port: int = 0, path: str = "/") -> Answer:
        """The callback's answer."""
        start = await self.browser.get(path, port=port)
        assert start.status == 302, start
        provider = self.browser._place.provider
        provider.forget()
        return await self.browser.get(await provider.sign_in(start.location, self.name), port=port)

    async def ask(self, path: str = "/", *, page: bool = False, port: int = 0) -> Shot:
        """One request with the cookies of now; nothing is taken from the answer."""
        asking = self.browser._place.browser()
        asking.cookies = dict(self.browser.cookies)
        began = time.monotonic()
        answer = await asking.get(path, page=page, port=port)
        return Shot(self, began, time.monotonic() - began, answer)


async def sign_out_and_keep(person: Person, port: int = 0) -> None:
    """Sign out, and go on with the cookies that a thief would have."""
    kept = dict(person.browser.cookies)
    assert (await person.browser.post("/oauth2/sign_out", port=port)).status == 303
    person.browser.cookies = kept


@dataclass(frozen=True)
class Shot:
    """What somebody asked at ``began`` and was answered ``seconds`` later."""

    person: Person = field(repr=False)
    began: float
    seconds: float
    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def ended(self) -> float:
        return self.began + self.seconds

    @property
    def is_unavailable(self) -> bool:
        """503 as it should be: when to come again, no way to sign in, and no cookie touched."""
        headers = self.answer.headers
        return (
            self.status == 503
            and int(headers.get("Retry-After", "-1")) > 0
            and "Location" not in headers
            and not self.answer.set_cookies
        )

    @property
    def is_own(self) -> bool:
        """200, and the upstream saw who asked."""
        return self.status == 200 and f'["X-Forwarded-User", "{self.person.sub}"]' in (
            self.answer.text
        )

    def check(self) -> None:
        """Whatever happens, an answer is one of these two."""
        assert self.is_own or self.is_unavailable, (self.answer, self.person.sub)


class Crowd:
    """About ``rate`` requests a second of ``everybody``, by turns pages and programs.

    ``async with Crowd(...) as crowd``: they ask until the block ends; ``shots`` by their end.
    """

    def __init__(
        self, everybody: Sequence[Person], rate: float = 200, ports: Sequence[int] = (0,)
    ) -> None:
        self.shots: list[Shot] = []
        self._everybody = everybody
        self._pause = 1 / rate
        self._ports = ports
        self._asked: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Crowd:
        self._asking = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        """Ask no more, and wait for what was asked."""
        self._asking.cancel()
        await asyncio.wait([self._asking])
        await asyncio.gather(*self._asked)

    async def _go_on(self) -> None:
        began, number = time.monotonic(), 0
        while True:
            task = asyncio.create_task(self._ask(number))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)
            number += 1
            await asyncio.sleep(max(0.0, began + number * self._pause - time.monotonic()))

    async def _ask(self, number: int) -> None:
        person = self._everybody[number % len(self._everybody)]
        port = self._ports[number % len(self._ports)]
        page = number // len(self._everybody) % 2 == 0
        self.shots.append(await person.ask(page=page, port=port))

    def between(self, first: float, last: float) -> list[Shot]:
        """What was asked then."""
        return [shot for shot in self.shots if first <= shot.began <= last]


async def within(seconds: float, happened: Callable[[], Awaitable[bool]]) -> float:
    """Wait for it; returns how long it took."""
    began = time.monotonic()
    while not await happened():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


def record_of(place: Place, browser: Browser) -> str:
    """The key in Redis under which a browser's session lies."""
    store = place.app.parts.keeping.store
    return f"auth-proxy:session:{store.handle(str(browser.session))}"


def figure(name: str, **values: float) -> None:
    """For whoever runs these with -s."""
    print(f"\n{name}:", ", ".join(f"{key} {value:.3g}" for key, value in values.items()))


def p99(seconds: Sequence[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]


def folder(path: Path, name: str) -> Path:
    made = path / name
    made.mkdir()
    return made
