"""F7: people leave in the middle. Nobody ever gets what was meant for another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.redis_servers import Server, single
from tests.faults.scene import STORES, Person, figure, people, through_faults

PATHS = ["/", "/oauth2/userinfo"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path) as server:
        yield server


@pytest.mark.parametrize("store", STORES)
async def test_no_answer_is_anothers(server: Server, store: str) -> None:
    """1,000 aborts at random moments, while Redis is slow (GHSA advisory of redis-py, 2023)."""
    chance = random.Random(store)
    few = {"connections": 8}
    async with through_faults(server, store, redis=few, session={"cache": 0}) as (place, way):
        everybody = await people(place, 20)
        way.delay = 0.005
        aborted = answered = 0

        async def ask(person: Person) -> None:
            nonlocal aborted, answered
            path = chance.choice(PATHS)
            task = asyncio.create_task(person.ask(path, page=chance.random() < 0.5))
            if chance.random() < 0.75:
                asyncio.get_running_loop().call_later(chance.uniform(0, 0.06), task.cancel)
            with suppress(asyncio.CancelledError):
                shot = await task
                assert shot.status == 200, shot
                assert f'"{person.sub}"' in shot.answer.text, (shot.answer, person.sub)
                answered += 1
                return
            aborted += 1

        before = way.accepted
        while aborted < 1000:
            await asyncio.gather(*(ask(chance.choice(everybody)) for _ in range(40)))
        way.delay = 0.0
        figure("F7", aborted=aborted, answered=answered, connections=way.accepted - before)
        assert answered > 100
        for person in everybody:
            shot = await person.ask()
            assert shot.is_own
        # Nor was a connection given up for somebody who went away.
        assert way.accepted - before <= 3 * 8


async def test_a_sign_out_whose_client_leaves(server: Server) -> None:
    """It is done, or can be done again; never half of it."""
    chance = random.Random(7)
    async with through_faults(server, "redis") as (place, way):
        await place.start_proxy()
        ports = [app.port for app in place.apps]
        everybody = await people(place, 20)
        way.delay = 0.003

        async def leave(person: Person) -> None:
            kept = dict(person.browser.cookies)
            task = asyncio.create_task(person.browser.post("/oauth2/sign_out", port=ports[0]))
            await asyncio.sleep(chance.uniform(0, 0.08))
            task.cancel()
            await asyncio.wait([task])
            person.browser.cookies = kept

        await asyncio.gather(*map(leave, everybody))
        way.delay = 0.0
        await asyncio.sleep(1.2)
        over = 0
        for person in everybody:
            found = {(await person.ask(port=port)).status for port in ports}
            assert found in ({200}, {401})
            over += found == {401}
        figure("F7 sign-outs", over=over, of=len(everybody))
