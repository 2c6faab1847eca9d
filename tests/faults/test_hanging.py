"""F2: Redis says nothing, or says it 3 s late. Nobody waits for it longer than its time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.faulty_tcp import Fault
from tests.fakes.redis_servers import Server, single
from tests.faults.scene import (
    BACK,
    CACHED,
    SLACK,
    Crowd,
    figure,
    p99,
    people,
    through_faults,
    within,
)

TIMEOUT = 1.0
BAR = TIMEOUT + 0.05
CROWDED = 0.25
"""Seconds that this process may take in addition: browsers, provider and upstream run in it. More
where it is held up by others already while all is well."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path) as server:
        yield server


@asynccontextmanager
async def feeling() -> AsyncIterator[list[float]]:
    """How late the event loop was, each time in seconds."""
    lags: list[float] = []

    async def feel() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            lags.append(time.monotonic() - began - 0.005)

    task = asyncio.create_task(feel())
    try:
        yield lags
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(("fault", "store"), [("black hole", "redis"), ("3 s late", "cookie")])
async def test_all_are_answered_in_time(server: Server, fault: str, store: str) -> None:
    async with through_faults(server, store) as (place, way):
        everybody = await people(place, 10)
        async with Crowd(everybody, 100), feeling() as calm:
            await asyncio.sleep(0.7)
        async with Crowd(everybody, 100) as crowd, feeling() as lags:
            if fault == "black hole":
                way.fault = Fault.BLACK_HOLE
            else:
                way.delay = 3.0
            began = time.monotonic()
            opens: list[float] = []
            while time.monotonic() - began < CACHED + TIMEOUT + 1.5:
                for path in ("/open/x", "/ping"):
                    shot = await everybody[0].ask(path)
                    assert shot.status == 200
                    opens.append(shot.seconds)
                await asyncio.sleep(0.02)
            mended = time.monotonic()
            way.fault, way.delay = Fault.PASS, 0.0
            await asyncio.sleep(BACK + SLACK)
        for shot in crowd.shots:
            shot.check()
        spent = [shot.seconds for shot in crowd.shots]
        # The circuit is open: all but one probe a second are answered at once.
        late = crowd.between(began + CACHED + TIMEOUT + 0.3, mended - 0.05)
        assert {shot.status for shot in late} == {503}
        quick = [shot for shot in late if shot.seconds < 0.5]
        assert len(quick) > 0.9 * len(late)
        back = max(shot.ended for shot in crowd.shots if shot.status == 503) - mended
        slowest = p99(spent)
        figure("F2", p99=slowest, open=max(opens), lag=p99(lags), back=back, count=len(spent))
        crowded = CROWDED + 4 * max(calm)
        assert slowest < BAR + crowded
        assert p99(opens) < 0.2 + crowded
        assert p99(lags) < 0.05 + 2 * max(calm)
        assert back < BACK
        assert all([(await person.ask()).is_own for person in everybody])


async def test_a_slow_redis_within_its_limit_is_slow(server: Server) -> None:
    """Nothing fails, and no more than two questions follow on one another."""
    delay = 0.4
    async with through_faults(server, "redis") as (place, way):
        [person] = await people(place, 1)
        await asyncio.sleep(CACHED + 0.1)
        way.delay = delay
        shot = await person.ask()
        figure("F2 slow", delay=delay, seconds=shot.seconds)
        assert shot.is_own
        assert shot.seconds < 2 * delay + CROWDED
        way.delay = 0.0


async def test_a_sign_out_into_a_black_hole(server: Server) -> None:
    async with through_faults(server, "redis") as (place, way):
        [person] = await people(place, 1)
        kept = dict(person.browser.cookies)
        way.fault = Fault.BLACK_HOLE
        began = time.monotonic()
        answer = await person.browser.post("/oauth2/sign_out")
        assert (answer.status, answer.set_cookies) == (503, [])
        assert time.monotonic() - began < BAR + CROWDED
        way.fault = Fault.PASS

        async def signed_out() -> bool:
            person.browser.cookies = dict(kept)
            return (await person.browser.post("/oauth2/sign_out")).status == 303

        await within(BACK + SLACK, signed_out)
        person.browser.cookies = kept
        assert (await person.ask()).status == 401
