"""The shelf in Redis when another server takes over, by Sentinel or in a Cluster."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.session.redis import RedisShelf
from proxy.session.redis_cluster import slot_of
from tests.fakes import redis_servers
from tests.fakes.redis_servers import Server, Watched
from tests.session.shelf_basics import LONG, listening, until
from tests.session.test_redis import SLACK
from tests.session.test_redis_faults import BACK, NOW, back, settings, took


class TestFailover:
    @pytest.fixture
    def watched(self, tmp_path: Path) -> Iterator[Watched]:
        with redis_servers.watched(tmp_path) as watched:
            yield watched

    @pytest.fixture
    async def shelf(self, watched: Watched) -> AsyncIterator[RedisShelf]:
        shelf = RedisShelf(settings(*watched.urls, sentinel_master=redis_servers.MASTER), NOW)
        yield shelf
        await shelf.close()

    @pytest.mark.parametrize("hangs", [False, True], ids=["killed", "hung"])
    async def test_nothing_acknowledged_is_lost(
        self, watched: Watched, shelf: RedisShelf, hangs: bool
    ) -> None:
        """F3: only 503, and not for long; what was told is heard again."""
        kept: list[str] = []
        failed: list[float] = []

        async def ask(number: int) -> None:
            try:
                await shelf.put(f"key{number}", b"%d" % number, NOW() + LONG)
                kept.append(f"key{number}")
            except StoreError:
                failed.append(NOW())

        async with listening(shelf) as heard:
            await asyncio.gather(*(ask(number) for number in range(50)))
            old = watched.master()
            new = next(one for one in watched.servers if one is not old)
            # Redis replicates after it answered: in its last moment it may still lose something.
            await until(lambda: int(new.ask("DBSIZE")) > 50)
            if hangs:
                old.signal(signal.SIGSTOP)
            else:
                old.kill()
            began, number = NOW(), 50
            asking: set[asyncio.Task[None]] = set()
            while NOW() - began < 8 and not (failed and None in heard and len(kept) > 60):
                asking.add(asyncio.create_task(ask(number)))
                number += 1
                await asyncio.sleep(0.01)
            await asyncio.gather(*asking)
            assert failed
            assert failed[-1] - began < 5
            assert await shelf.get(*kept) == [key.removeprefix("key").encode() for key in kept]
            await until(lambda: None in heard)
            await shelf.publish(b"after")
            await until(lambda: heard[-1] == b"after")
        assert watched.master_port() != old.port
        if hangs:
            # Back among the living, it believes for a moment to be master still: nobody asks it.
            old.signal(signal.SIGCONT)
            await shelf.put("key0", b"newer", NOW() + LONG)
            assert await shelf.get("key0") == [b"newer"]

    async def test_a_change_of_hands_without_a_loss(
        self, watched: Watched, shelf: RedisShelf
    ) -> None:
        await asyncio.gather(*(shelf.put(f"key{n}", b"1", NOW() + LONG) for n in range(20)))
        old = watched.master_port()
        watched.sentinels[0].ask("SENTINEL", "FAILOVER", redis_servers.MASTER)
        async with listening(shelf) as heard:
            while watched.master_port() == old:
                with suppress(StoreError):
                    await shelf.put("key", b"before", NOW() + LONG)
            new = watched.master()
            async with asyncio.timeout(2):
                while not new.ask("GET", "auth-proxy:key").startswith("after"):
                    with suppress(StoreError):
                        await shelf.put("key", b"after", NOW() + LONG)
            await until(lambda: None in heard)
            await shelf.publish(b"after")
            await until(lambda: heard[-1] == b"after")
        assert await shelf.get("key", "key1") == [b"after", b"1"]

    async def test_two_sentinels_less_are_no_matter(
        self, watched: Watched, shelf: RedisShelf
    ) -> None:
        watched.sentinels[0].kill()
        watched.sentinels[1].signal(signal.SIGSTOP)
        await shelf.ready()


class TestCluster:
    @pytest.fixture
    def nodes(self, tmp_path: Path) -> Iterator[list[Server]]:
        with redis_servers.cluster(tmp_path) as nodes:
            yield nodes

    @pytest.fixture
    async def shelf(self, nodes: list[Server]) -> AsyncIterator[RedisShelf]:
        shelf = RedisShelf(settings(*(node.url for node in nodes), cluster=True), NOW)
        yield shelf
        await shelf.close()

    async def test_a_slot_that_moved_is_followed(
        self, nodes: list[Server], shelf: RedisShelf
    ) -> None:
        await shelf.ready()
        await shelf.get("key")
        slot = slot_of(b"auth-proxy:key")
        source = nodes[slot * 3 // redis_servers.SLOTS]
        for target in (node for node in nodes if node is not source):
            redis_servers.move_slot(nodes, slot, source, target)
            assert await shelf.put("key", b"1", NOW() + LONG)
            assert await shelf.get("a", "key", "b", "c") == [None, b"1", None, None]
            assert target.ask("GET", "auth-proxy:key").strip() == "1"
            target.ask("DEL", "auth-proxy:key")
            source = target

    async def test_a_key_on_its_way_is_followed(
        self, nodes: list[Server], shelf: RedisShelf
    ) -> None:
        slot = slot_of(b"auth-proxy:{t}1")
        source = nodes[slot * 3 // redis_servers.SLOTS]
        target = next(node for node in nodes if node is not source)
        await shelf.put("{t}1", b"stays", NOW() + LONG)
        await shelf.put("{t}2", b"goes", NOW() + LONG)
        ids = {node.port: node.ask("CLUSTER", "MYID").strip() for node in nodes}
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        source.ask("MIGRATE", "127.0.0.1", target.port, "auth-proxy:{t}2", 0, 1000)
        assert await shelf.get("{t}1", "{t}2", "{t}3", "x") == [b"stays", b"goes", None, None]
        assert await shelf.swap("{t}2", b"goes", b"gone", NOW() + LONG)
        assert await shelf.put("{t}3", b"new", NOW() + LONG)
        assert await shelf.get("{t}3", "{t}2") == [b"new", b"gone"]

    async def test_a_node_less_is_an_error_for_its_keys_only(
        self, nodes: list[Server], shelf: RedisShelf
    ) -> None:
        for node in nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        keys = [f"key{n}" for n in range(30)]
        for key in keys:
            await shelf.put(key, b"1", NOW() + LONG)
        lost = {key for key in keys if slot_of(f"auth-proxy:{key}".encode()) < 5461}
        nodes[0].kill()
        for key in keys:
            if key in lost:
                assert await took(shelf.get(key)) < SLACK
            else:
                assert await shelf.get(key) == [b"1"]
        assert await took(shelf.get(*keys)) < SLACK
        await shelf.publish(b"somebody passes it on")
        await shelf.ready()
        nodes[0].start()
        redis_servers.settled(nodes)
        for key in lost:
            assert await back(shelf, key) < BACK

    async def test_who_listens_changes_to_another_node(
        self, nodes: list[Server], shelf: RedisShelf
    ) -> None:
        for node in nodes:
            node.ask("CONFIG", "SET", "cluster-require-full-coverage", "no")
        async with listening(shelf) as heard:
            asked = [node for node in nodes if "news" in node.ask("PUBSUB", "CHANNELS")]
            asked[0].kill()
            await until(lambda: heard == [None], BACK)
            await shelf.publish(b"again")
            await until(lambda: heard == [None, b"again"])
