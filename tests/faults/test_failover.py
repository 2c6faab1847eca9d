"""F3: the master dies, and its Sentinels choose another. Nobody notices for longer than 5 s."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from tests.fakes.redis_servers import MASTER, watched
from tests.faults.scene import (
    STORES,
    Crowd,
    Person,
    RealPlace,
    figure,
    people,
    settings,
    sign_out_and_keep,
)
from tests.web.place import Place

WINDOW = 5.0


async def test_nobody_is_signed_out(tmp_path: Path) -> None:
    """50 people and 200 requests a second, with sessions in Redis and in cookies."""
    with watched(tmp_path) as redis:
        async with AsyncExitStack() as stack:
            places: list[Place] = []
            crowds: list[Crowd] = []
            everybody: list[Person] = []
            leavers: list[Person] = []
            for store in STORES:
                more = {"sentinel_master": MASTER, "prefix": f"{store}:"}
                given = settings(store, *redis.urls, redis=more)
                places.append(await stack.enter_async_context(RealPlace(**given)))
                leaver, *others = await people(places[-1], 26)
                await sign_out_and_keep(leaver)
                leavers.append(leaver)
                everybody += others
                crowds.append(Crowd(others, 100))
            await asyncio.sleep(0.3)  # by then the replica has it all
            for crowd in crowds:
                await stack.enter_async_context(crowd)
            await asyncio.sleep(0.3)
            redis.master().kill()
            killed = time.monotonic()
            while not _is_over(crowds, killed):
                assert time.monotonic() - killed < 2 * WINDOW
                await asyncio.sleep(0.1)
            new = [person for place in places for person in await people(place, 2)]
            for crowd in crowds:
                await crowd.end()
            shots = [shot for crowd in crowds for shot in crowd.shots]
            for shot in shots:
                shot.check()
            lost = [shot for shot in shots if shot.status == 503]
            window = max(shot.ended for shot in lost) - min(shot.began for shot in lost)
            slowest = max(shot.seconds for shot in shots)
            figure("F3", window=window, lost=len(lost), answers=len(shots), slowest=slowest)
            assert window < WINDOW
            for person in (*everybody, *new):
                assert (await person.ask()).is_own
            assert [(await leaver.ask()).status for leaver in leavers] == [401, 401]


def _is_over(crowds: list[Crowd], killed: float) -> bool:
    """Did nobody see anything of it for a second?"""
    now = time.monotonic()
    lately = [shot for crowd in crowds for shot in crowd.between(now - 1.5, now)]
    had = any(shot.status == 503 for crowd in crowds for shot in crowd.shots)
    return had and now - killed > 1.5 and all(shot.status == 200 for shot in lately)
