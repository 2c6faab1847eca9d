"""F4: a Cluster of three masters, one of whose slots moves while people use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from proxy.session.redis_cluster import slot_of
from tests.fakes.redis_servers import Server, cluster
from tests.faults.scene import (
    CACHED,
    SLACK,
    Crowd,
    Person,
    RealPlace,
    figure,
    people,
    record_of,
    settings,
)
from tests.web.place import Place


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    with cluster(tmp_path) as nodes:
        yield nodes


@pytest.fixture
async def place(nodes: list[Server]) -> AsyncIterator[Place]:
    """Two proxies."""
    urls = [node.url for node in nodes]
    given = settings("redis", *urls, redis={"cluster": True}, session={"refresh_every": "3s"})
    async with RealPlace(**given) as place:
        await place.start_proxy()
        yield place


def owner(nodes: list[Server], key: str) -> Server:
    first, last = "", ""
    slot = slot_of(key.encode())
    for node in nodes:
        for line in node.ask("CLUSTER", "NODES").splitlines():
            if "myself" not in line:
                continue
            for part in line.split()[8:]:
                if part.startswith("["):
                    continue
                first, _, last = part.partition("-")
                if int(first) <= slot <= int(last or first):
                    return node
    raise AssertionError("nobody has the slot")


def migrate(nodes: list[Server], key: str) -> float:
    """Move the slot of ``key``, with all that lies in it, to the next node; seconds it took."""
    began, slot = time.monotonic(), slot_of(key.encode())
    source = owner(nodes, key)
    target = next(node for node in nodes if node is not source)
    names = {node.port: node.ask("CLUSTER", "MYID").strip() for node in nodes}
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
    keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100).split()
    told = source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    assert "OK" in told, told
    for node in (target, source, *nodes):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])
    assert owner(nodes, key) is target
    return time.monotonic() - began


async def test_the_whole_life_of_sessions(place: Place) -> None:
    """Sign-in, use, refresh, sign-out: keys of one session are at several nodes."""
    everybody = await people(place, 12)
    ports = [app.port for app in place.apps]
    begun = place.provider.calls["token"]
    for person in everybody:
        for port in ports:
            assert (await person.ask(port=port)).is_own
    await asyncio.sleep(3.1)
    shots = await asyncio.gather(*(p.ask(port=port) for p in everybody for port in ports))
    assert all(shot.is_own for shot in shots)
    assert place.provider.calls["token"] - begun == len(everybody)
    for person in everybody:
        kept = dict(person.browser.cookies)
        assert (await person.browser.post("/oauth2/sign_out")).status == 303
        person.browser.cookies = kept
    await asyncio.sleep(CACHED)
    for person in everybody:
        for port in ports:
            assert (await person.ask(port=port)).status == 401


async def test_a_slot_that_moves_with_its_sessions(place: Place, nodes: list[Server]) -> None:
    everybody = await people(place, 5)
    ports = [app.port for app in place.apps]
    key = record_of(place, everybody[0].browser)
    assert await asyncio.to_thread(_exists, nodes, key)
    async with Crowd(everybody, 100, ports) as crowd:
        took = 0.0
        for _ in range(2):
            await asyncio.sleep(0.7)
            took = await asyncio.to_thread(migrate, nodes, key)
        await asyncio.sleep(CACHED + SLACK)
    lost = [shot for shot in crowd.shots if not shot.is_own]
    slowest = max(shot.seconds for shot in crowd.shots)
    figure("F4", slowest=slowest, moved=took, lost=len(lost), answers=len(crowd.shots))
    assert not lost
    assert slowest < 1.0
    await _all_is_well(everybody, ports)


async def _all_is_well(everybody: list[Person], ports: list[int]) -> None:
    for person in everybody:
        for port in ports:
            assert (await person.ask(port=port)).is_own


def _exists(nodes: list[Server], key: str) -> bool:
    return owner(nodes, key).ask("EXISTS", key).strip() == "1"
