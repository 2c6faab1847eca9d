"""Limits: exact among all who share a shelf, given back whatever happens; and the brake."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from proxy.config.access import Access
from proxy.config.programs import Limit
from proxy.config.settings import Route as RouteSettings
from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import TooMany
from proxy.model import Grant, Kind, Target
from proxy.rules.limits import quotas
from proxy.rules.routes import Route
from proxy.session.shelf import Shelf
from proxy.session.sqlite import SqliteShelf
from proxy.session.store import Kept
from proxy.web.limits import LEASE, Failures, Limits, Pass
from proxy.web.sessions import Life, Opened
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import person, session
from tests.session.shelf_basics import until

SECRET = bytes(range(32))


class Pause:
    """Waits as long as the test says: glances end at once, renewals when they are let go."""

    def __init__(self) -> None:
        self.renewals = asyncio.Semaphore(0)
        self.glances = 0
        self.at_glance: Callable[[], None] = lambda: None

    async def __call__(self, seconds: float) -> None:
        if seconds < 1:
            self.glances += 1
            self.at_glance()
            for _ in range(3):
                await asyncio.sleep(0)
        else:
            await self.renewals.acquire()


@dataclass
class Stage:
    """Replicas that share a shelf, and requests to them."""

    shelf: Shelf
    clock: FakeClock = field(default_factory=FakeClock)
    pause: Pause = field(default_factory=Pause)
    told: list[str] = field(default_factory=list)
    replicas: list[Limits] = field(default_factory=list)
    number: int = 0

    def replica(self, shelf: Shelf | None = None) -> Limits:
        names = Pseudonyms([SECRET], "limits")
        made = Limits(shelf or self.shelf, names, self.clock, self.told.append, self.pause)
        self.replicas.append(made)
        return made

    def visit(self, address: str = "192.0.2.1") -> Visit:
        self.number += 1
        request = Request("GET", "/api", [], http11=True, keep_alive=True, length=0, upgrade=False)
        visit = Visit(request, f"request-{self.number}", self.clock(), address)
        visit.target = Target("GET", "https", "h", "/api", "/api", "", Kind.PROGRAM, address)
        return visit

    async def asks(
        self, limits: Limits, route: Route, who: Opened | None = None, address: str = "192.0.2.1"
    ) -> Pass | int:
        """The pass, or the seconds after which to come again."""
        try:
            return await limits.enter(route, self.visit(address), who)
        except TooMany as refused:
            return refused.retry_after if refused.status == 429 else 0

    async def admitted(self, route: Route, times: int, who: Opened | None = None) -> list[Pass]:
        """Those of so many at once, over all replicas, that were let in."""
        answers = await asyncio.gather(
            *(self.asks(self.replicas[n % len(self.replicas)], route, who) for n in range(times))
        )
        return [answer for answer in answers if isinstance(answer, Pass)]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = FakeClock()
    clock.advance(-clock() % 3600)  # a window of any length begins
    stage = Stage(MemoryShelf(clock), clock)
    yield stage
    for replica in stage.replicas:
        await replica.close()


def route(*limits: Limit, shared: tuple[Limit, ...] = (), path: str = "/api/*") -> Route:
    settings = RouteSettings(path=path, limits=limits)
    return Route(path, Access.REQUIRED, ("http://app",), quotas=quotas(shared, settings))


def somebody(subject: str = "704e", grant: Grant | None = None, sid: str = "s" * 43) -> Opened:
    kept = Kept(session(identity=person(subject=subject), id=sid), "value")
    return Opened(kept, "sid", b"key", Life(False), 0.0, grant=grant)


RATE = Limit(requests=30, window=60)
PLACES = Limit(concurrent=30)


# Requests in a window


async def test_as_many_as_the_limit_says_over_all_replicas(stage: Stage) -> None:
    stage.replicas = [stage.replica(), stage.replica()]
    assert len(await stage.admitted(route(RATE), 100, somebody())) == 30
    assert len(await stage.admitted(route(RATE), 20, somebody("another"))) == 20


async def test_as_many_as_the_limit_says_in_a_file_of_two_processes(
    stage: Stage, tmp_path: Path
) -> None:
    shelves = [SqliteShelf(str(tmp_path / "shelf.db"), stage.clock) for _ in range(2)]
    stage.replicas = [stage.replica(shelf) for shelf in shelves]
    try:
        passes = await stage.admitted(route(RATE, PLACES), 100, somebody())
        assert len(passes) == 30
        stage.clock.advance(20)
        for replica in stage.replicas:
            await replica.renew()
        stage.clock.advance(40)  # the next window: now the places count
        for replica in stage.replicas:
            await replica.renew()
    finally:
        for replica in stage.replicas:
            await replica.close()
        for shelf in shelves:
            await shelf.close()


async def test_a_window_ends_by_the_clock(stage: Stage) -> None:
    limits, limited = stage.replica(), route(Limit(requests=2, window=600))
    stage.clock.advance(599.2)
    assert [type(await stage.asks(limits, limited)) for _ in range(2)] == [Pass, Pass]
    assert await stage.asks(limits, limited) == 1
    stage.clock.advance(0.7)
    assert await stage.asks(limits, limited) == 1
    stage.clock.advance(0.1)
    assert len(await stage.admitted(limited, 5)) == 2
    assert await stage.asks(limits, limited) == 600
    stage.clock.advance(100.5)
    assert await stage.asks(limits, limited) == 500


async def test_a_clock_that_is_behind_counts_in_the_same_window(stage: Stage) -> None:
    ahead, behind = stage.replica(), stage.replica()
    limited = route(Limit(requests=1, window=60))
    stage.clock.advance(61)
    visit = stage.visit()
    visit.now -= 2  # it still has the window before
    assert isinstance(await stage.asks(ahead, limited), Pass)
    assert isinstance(await behind.enter(limited, visit, None), Pass)
    late = stage.visit()
    late.now -= 2
    with pytest.raises(TooMany):
        await ahead.enter(limited, late, None)


async def test_whoever_is_over_does_not_cost_a_call_each(stage: Stage) -> None:
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    limits, limited = stage.replica(), route(Limit(requests=1, window=60))
    await stage.asks(limits, limited)
    assert shelf.asked == 1
    await stage.asks(limits, limited)
    asked = shelf.asked
    assert [await stage.asks(limits, limited) for _ in range(50)] == [60] * 50
    assert shelf.asked == asked
    stage.clock.advance(1)
    assert await stage.asks(limits, limited) == 59
    assert shelf.asked == asked + 1


async def test_several_limits_cost_one_call(stage: Stage) -> None:
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    limited = route(RATE, PLACES, shared=(Limit(per="address", requests=9), Limit(concurrent=3)))
    await stage.asks(stage.replica(), limited, somebody())
    assert shelf.asked == 1


async def test_what_one_limit_refuses_the_others_do_not_count(stage: Stage) -> None:
    limits = stage.replica()
    wide, narrow = Limit(per="address", requests=3), Limit(per="route", requests=1, window=3600)
    first, second = route(narrow, shared=(wide,)), route(path="/b", shared=(wide,))
    assert isinstance(await stage.asks(limits, first), Pass)
    assert [await stage.asks(limits, first) for _ in range(5)] == [3600] * 5
    assert len(await stage.admitted(second, 5)) == 2


# Whom it is counted for


TOKEN = Grant("personal", "tok_1")


@pytest.mark.parametrize(
    ("per", "first", "second", "is_same"),
    [
        pytest.param("person", somebody(), somebody(sid="other"), True, id="two sessions"),
        pytest.param("person", somebody(), somebody(grant=TOKEN), True, id="session and token"),
        pytest.param("person", somebody(), somebody("bob"), False, id="two people"),
        pytest.param("token", somebody(), somebody(sid="other"), False, id="each session"),
        pytest.param("token", somebody(), somebody(grant=TOKEN), False, id="a token alone"),
        pytest.param(
            "token",
            somebody(grant=TOKEN),
            somebody(grant=Grant("personal", "tok_2")),
            False,
            id="two tokens",
        ),
        pytest.param("address", somebody(), somebody("bob"), True, id="people of an address"),
        pytest.param("route", somebody(), somebody("bob"), True, id="everybody"),
        pytest.param("person", somebody(), None, False, id="nobody is no person"),
        pytest.param("person", None, None, True, id="nobody counts by address"),
    ],
)
async def test_whom_it_is_counted_for(
    stage: Stage, per: Any, first: Opened | None, second: Opened | None, is_same: bool
) -> None:
    limits, limited = stage.replica(), route(Limit(per=per, requests=1))
    await stage.asks(limits, limited, first)
    assert (await stage.asks(limits, limited, second) == 60) is is_same


@pytest.mark.parametrize("per", ["address", "person", "token"])
async def test_addresses_count_apart_and_networks_together(stage: Stage, per: Any) -> None:
    limits, limited = stage.replica(), route(Limit(per=per, requests=1))
    answers = [
        await stage.asks(limits, limited, None, address)
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "192.0.2.1")
    ]
    assert [isinstance(answer, Pass) for answer in answers] == [True, True, True, False, False]


async def test_nothing_on_the_shelf_names_anybody(stage: Stage) -> None:
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    limited = route(*(Limit(per=per, requests=1, concurrent=1) for per in
                      ("person", "token", "address", "route")))  # fmt: skip
    await stage.asks(stage.replica(), limited, somebody("704e-subject", Grant("service", "tok_9")))
    dump = shelf.dump()
    assert len(shelf.left()) == 8
    for word in (b"704e", b"tok_9", b"192.0.2", b"idp.example", b"/api"):
        assert word not in dump


async def test_a_route_without_limits_asks_nobody(stage: Stage) -> None:
    shelf, limits = stage.shelf, stage.replica()
    assert isinstance(shelf, MemoryShelf)
    assert not limits.limited(route())
    assert limits.limited(route(RATE))
    assert limits.limited(route(shared=(RATE,)))
    (await limits.enter(route(), stage.visit(), None)).leave()
    assert shelf.asked == 0


# Requests at once


async def test_as_many_at_once_over_all_replicas(stage: Stage) -> None:
    stage.replicas = [stage.replica(), stage.replica()]
    passes = await stage.admitted(route(PLACES), 100, somebody())
    assert len(passes) == 30
    assert await stage.asks(stage.replicas[0], route(PLACES), somebody()) == 1
    for one in passes[:3]:
        one.leave()
        one.leave()  # twice is once
    await until(lambda: not stage.replicas[0]._tasks - {stage.replicas[0]._renewing})
    assert len(await stage.admitted(route(PLACES), 10, somebody())) == 3


async def test_one_after_the_other_is_not_at_once(stage: Stage) -> None:
    stage.replicas = [stage.replica(), stage.replica()]
    for n in range(20):
        answer = await stage.asks(stage.replicas[n % 2], route(Limit(concurrent=1)))
        assert isinstance(answer, Pass)
        answer.leave()  # and the next comes before the shelf knows


async def test_who_is_just_leaving_is_waited_for_a_moment(stage: Stage) -> None:
    stage.replicas = [stage.replica(), stage.replica()]
    first = await stage.asks(stage.replicas[0], route(Limit(concurrent=1)))
    assert isinstance(first, Pass)
    for replica in stage.replicas:
        assert await stage.asks(replica, route(Limit(concurrent=1))) == 1
    stage.pause.at_glance = first.leave
    assert isinstance(await stage.asks(stage.replicas[1], route(Limit(concurrent=1))), Pass)
    assert stage.pause.glances == 3


async def test_the_places_of_a_dead_process_are_free_after_a_while(stage: Stage) -> None:
    dying, living, limited = stage.replica(), stage.replica(), route(Limit(concurrent=1))
    await stage.asks(dying, limited)
    stage.clock.advance(LEASE - 1)
    assert await stage.asks(living, limited) == 1
    stage.clock.advance(1)
    assert isinstance(await stage.asks(living, limited), Pass)


async def test_a_long_stream_keeps_its_place(stage: Stage) -> None:
    holding, other, limited = stage.replica(), stage.replica(), route(Limit(concurrent=1))
    stream = await stage.asks(holding, limited)
    assert isinstance(stream, Pass)
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    for _ in range(10):
        stage.clock.advance(LEASE / 3)
        asked = shelf.asked
        stage.pause.renewals.release()  # the proxy's own timer, not a call of the test's
        await until(lambda before=asked: shelf.asked > before)  # type: ignore[misc]
        assert await stage.asks(other, limited) == 1
    stream.leave()
    assert isinstance(await stage.asks(other, limited), Pass)


async def test_renewals_end_with_the_last_request(stage: Stage) -> None:
    limits, limited = stage.replica(), route(PLACES)
    for _ in range(2):
        passes = await stage.admitted(limited, 3)
        for one in passes:
            one.leave()
        stage.pause.renewals.release()
        await until(lambda: not limits._tasks)
    assert stage.shelf.left() == []  # type: ignore[attr-defined]


async def test_a_client_that_goes_while_it_waits_leaves_no_place_taken(stage: Stage) -> None:
    limits, limited = stage.replica(), route(Limit(concurrent=1))
    for turns in range(6):
        task = asyncio.create_task(limits.enter(limited, stage.visit(), None))
        for _ in range(turns):
            await asyncio.sleep(0)
        if not task.cancel():
            (await task).leave()
        await asyncio.wait([task])
        await until(lambda: not limits._held and not limits._places)
    assert isinstance(await stage.asks(limits, limited), Pass)


async def test_a_renewal_brings_nothing_back_that_was_left(stage: Stage) -> None:
    limits, limited = stage.replica(), route(PLACES)
    passes = await stage.admitted(limited, 5)
    renewing = asyncio.create_task(limits.renew())
    await asyncio.sleep(0)
    for one in passes:
        one.leave()
    await renewing
    stage.pause.renewals.release()
    await until(lambda: not limits._tasks)
    assert stage.shelf.left() == []  # type: ignore[attr-defined]


# Faults


async def test_while_the_shelf_is_down_each_process_counts_on_its_own(stage: Stage) -> None:
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    limits, limited = stage.replica(), route(Limit(requests=3, window=60, concurrent=2))
    shelf.down = True
    first, second = await stage.admitted(limited, 2)
    assert await stage.asks(limits, limited) == 1  # two at once
    first.leave()
    assert isinstance(await stage.asks(limits, limited), Pass)
    second.leave()
    assert await stage.asks(limits, limited) == 60
    assert len(stage.told) == 1
    assert "own" in stage.told[0]
    shelf.down = False
    stage.clock.advance(60)
    assert isinstance(await stage.asks(limits, limited), Pass)
    assert stage.told[1:] == ["limits are counted together again"]
    await limits.renew()


async def test_a_shelf_that_goes_down_later_fails_no_request(stage: Stage) -> None:
    shelf = stage.shelf
    assert isinstance(shelf, MemoryShelf)
    limits, limited = stage.replica(), route(Limit(concurrent=1))
    held = await stage.asks(limits, limited)
    assert isinstance(held, Pass)
    shelf.down = True
    await limits.renew()
    held.leave()
    await until(lambda: not limits._tasks - {limits._renewing})
    shelf.down = False
    stage.clock.advance(LEASE)
    assert isinstance(await stage.asks(limits, limited), Pass)


# The brake


def test_ten_failures_are_free_then_it_takes_longer_each_time() -> None:
    brake, now = Failures(), 1000.0
    for _ in range(9):
        brake.failed("192.0.2.1", now)
    assert brake.allow("192.0.2.1", now) == 0
    waits = []
    for _ in range(9):
        brake.failed("192.0.2.1", now)
        waits.append(brake.allow("192.0.2.1", now))
        now += waits[-1]
        assert brake.allow("192.0.2.1", now) == 0  # one more try
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert brake.allow("192.0.2.2", now) == 0


def test_a_slip_now_and_then_is_nothing() -> None:
    brake = Failures()
    for minute in range(100):
        for _ in range(9):
            brake.failed("192.0.2.1", minute * 61.0)
        assert brake.allow("192.0.2.1", minute * 61.0) == 0


def test_all_is_forgotten_after_a_calm_while() -> None:
    brake = Failures()
    for _ in range(30):
        brake.failed("192.0.2.1", 0.0)
    assert brake.allow("192.0.2.1", 0.0) == 60
    brake.failed("192.0.2.1", 601.0)
    assert brake.allow("192.0.2.1", 601.0) == 0


def test_a_network_is_one_address_and_memory_is_bounded() -> None:
    brake = Failures()
    for n in range(20):
        brake.failed(f"2001:db8::{n:x}", 0.0)
    assert brake.allow("2001:db8::ffff", 0.0) > 0
    assert brake.allow("2001:db8:0:1::1", 0.0) == 0
    for _ in range(20_000):
        brake.failed(".".join(map(str, os.urandom(4))), 1.0)
    assert len(brake._records) <= 8192


def test_a_clock_that_was_set_back_locks_nobody_out() -> None:
    brake = Failures()
    for _ in range(30):
        brake.failed("192.0.2.1", 10_000.0)
    assert brake.allow("192.0.2.1", 0.0) <= 60
