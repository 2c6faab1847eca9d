"""The shelf in Redis against real servers: the promise, for each way to run Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.config.keeping import Redis
from proxy.config.types import Secret
from proxy.errors import StoreError
from proxy.session.redis import UNHEARD, RedisShelf
from proxy.session.shelf import Only, Shelf
from tests.fakes import redis_servers
from tests.fakes.authority import Authority
from tests.fakes.faulty_tcp import FaultyTcp
from tests.fakes.redis_servers import Server, Watched
from tests.session.shelf_contract import (
    LONG,
    RealTime,
    ShelfContract,
    Time,
    every,
    listening,
    until,
)

NOW = RealTime()
SLACK = 0.3
"""Seconds that a busy machine may add to a time limit of 1 s."""


def settings(*urls: str, **options: Any) -> Redis:
    """Patient ones: how long it takes is tested in test_redis_faults."""
    options.setdefault("timeout", 10.0)
    for name in ("password", "sentinel_password"):
        if name in options:
            options[name] = Secret(options[name])
    return Redis(url=tuple(map(Secret, urls)), **options)


@asynccontextmanager
async def opened(*urls: str, **options: Any) -> AsyncIterator[RedisShelf]:
    shelf = RedisShelf(settings(*urls, **options), NOW)
    try:
        yield shelf
    finally:
        await shelf.close()


class RedisContract(ShelfContract):
    """The promise. Subclasses give ``options``, and ``servers`` of a whole class."""

    @pytest.fixture
    def time(self) -> Time:
        return NOW

    @pytest.fixture
    def masters(self, servers: Any) -> list[Server]:
        return [servers]

    @pytest.fixture
    def options(self, servers: Any) -> Redis:
        return settings(servers.url)

    @pytest.fixture(autouse=True)
    def empty(self, masters: list[Server]) -> None:
        for master in masters:
            master.ask("FLUSHALL")

    @pytest.fixture
    async def shelf(self, options: Redis, empty: None) -> AsyncIterator[RedisShelf]:
        shelf = RedisShelf(options, NOW)
        yield shelf
        await shelf.close()

    @pytest.fixture
    async def other(self, options: Redis) -> AsyncIterator[RedisShelf]:
        shelf = RedisShelf(options, NOW)
        yield shelf
        await shelf.close()


class TestSingle(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def servers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with redis_servers.single(tmp_path_factory.mktemp("redis")) as server:
            yield server

    async def test_every_key_of_ours_begins_with_the_prefix_and_has_an_end(
        self, shelf: Shelf, servers: Server
    ) -> None:
        await shelf.put("a", b"1", NOW() + LONG)
        await shelf.put("b", b"1", NOW() + LONG, Only.ABSENT)
        await shelf.put("b", b"2", NOW() + LONG, Only.PRESENT)
        await shelf.swap("b", b"2", b"3", NOW() + LONG)
        await shelf.add("c", "member", 1, NOW() + LONG)
        names = servers.ask("KEYS", "*").split()
        assert sorted(names) == ["auth-proxy:a", "auth-proxy:b", "auth-proxy:c"]
        for name in names:
            assert 0 < int(servers.ask("PTTL", name)) <= LONG * 1000

    async def test_two_prefixes_do_not_meet(self, servers: Server) -> None:
        async with (
            opened(servers.url, prefix="one:") as one,
            opened(servers.url, prefix="[o]*:") as two,
        ):
            await one.put("key", b"1", NOW() + LONG)
            assert await two.get("key") == [None]
            assert await every(two.keys("")) == set()
            async with listening(one) as heard, listening(two) as unheard:
                await one.publish(b"only one")
                await until(lambda: bool(heard))
                assert unheard == []

    @pytest.mark.parametrize(
        "making",
        [
            pytest.param(("HSET", "auth-proxy:key", "field", "1"), id="hash"),
            pytest.param(("RPUSH", "auth-proxy:key", "1"), id="list"),
            pytest.param(("SADD", "auth-proxy:key", "1"), id="set without scores"),
            pytest.param(("XADD", "auth-proxy:key", "*", "a", "b"), id="stream"),
        ],
    )
    async def test_another_type_under_a_key_is_nothing(
        self, shelf: Shelf, servers: Server, making: tuple[str, ...]
    ) -> None:
        servers.ask(*making)
        assert await shelf.get("key") == [None]
        assert await shelf.members("key") == []
        assert await shelf.swap("key", b"1", b"2", NOW() + LONG) is False
        assert await shelf.drop_if("key", b"1") is False
        await shelf.remove("key", "1")
        await shelf.add("key", "member", 1, NOW() + LONG)
        assert await shelf.members("key") == ["member"]
        servers.ask("DEL", "auth-proxy:key")
        servers.ask(*making)
        assert await shelf.put("key", b"value", NOW() + LONG)
        assert await shelf.get("key") == [b"value"]

    async def test_a_database_of_ones_own(self, servers: Server) -> None:
        async with opened(f"{servers.url}/3") as third, opened(servers.url) as first:
            await third.put("key", b"3", NOW() + LONG)
            assert await first.get("key") == [None]
            assert servers.ask("-n", "3", "GET", "auth-proxy:key").strip() == "3"

    async def test_there_are_never_more_connections_than_allowed(self, servers: Server) -> None:
        async with FaultyTcp(servers.port) as network:
            url = f"redis://127.0.0.1:{network.port}"
            async with opened(url, connections=3) as shelf:
                network.delay = 0.01
                await asyncio.gather(*(shelf.get(f"key{n}") for n in range(60)))
                assert network.accepted == 3

    async def test_who_waits_too_long_for_a_connection_is_told_in_time(
        self, servers: Server
    ) -> None:
        async with FaultyTcp(servers.port) as network:
            url = f"redis://127.0.0.1:{network.port}"
            async with opened(url, connections=1, timeout=0.3) as shelf:
                await shelf.ready()
                network.delay = 0.2
                began = NOW()
                found = await asyncio.gather(
                    *(shelf.get("key") for _ in range(4)), return_exceptions=True
                )
                assert NOW() - began < 0.3 + SLACK
                assert found[0] == [None]
                assert all(isinstance(error, StoreError) for error in found[1:])

    async def test_trust_is_full_only_while_it_is_told_of_changes(self, servers: Server) -> None:
        shelf = RedisShelf(settings(servers.url), NOW, trust=2.0)
        try:
            assert shelf.trust == UNHEARD
            async with listening(shelf):
                assert shelf.trust == 2.0
                servers.ask("CLIENT", "KILL", "TYPE", "pubsub")
                await until(lambda: shelf.trust == UNHEARD)
                await until(lambda: shelf.trust == 2.0)
            assert shelf.trust == UNHEARD
        finally:
            await shelf.close()

    async def test_a_refused_command_is_an_error_that_quotes_nothing(
        self, shelf: Shelf, servers: Server
    ) -> None:
        servers.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StoreError, match="Redis refused SET: OOM") as caught:
                await shelf.put("secret-key", b"secret", NOW() + LONG)
            assert "secret" not in str(caught.value)
            assert await shelf.get("secret-key") == [None]
        finally:
            servers.ask("CONFIG", "SET", "maxmemory", "0")

    async def test_a_walk_over_keys_may_be_left_early(self, shelf: Shelf) -> None:
        for number in range(30):
            await shelf.put(f"key{number}", b"", NOW() + LONG)
        async for _ in shelf.keys("key"):
            break
        assert len(await every(shelf.keys("key"))) == 30

    async def test_closed_is_closed(self, servers: Server) -> None:
        shelf = RedisShelf(settings(servers.url), NOW)
        ear = asyncio.create_task(shelf.listen(lambda message: None))
        await shelf.ready()
        await shelf.close()
        with pytest.raises(StoreError):
            await shelf.get("key")
        with pytest.raises(StoreError):
            await shelf.ready()
        with pytest.raises(StoreError):
            await every(shelf.keys(""))
        await asyncio.wait_for(ear, 2)

    async def test_close_leaves_no_connection(self, servers: Server) -> None:
        def clients() -> int:
            told = servers.ask("CLIENT", "LIST").splitlines()
            return sum("auth" in line or "lib-name=redis-py" in line or "name=" in line
                       for line in told)  # fmt: skip

        before = clients()
        async with opened(servers.url) as shelf, listening(shelf):
            await asyncio.gather(*(shelf.get("key") for _ in range(10)))
            await until(lambda: clients() > before)
        await until(lambda: clients() == before)


class TestAclUser(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def servers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with redis_servers.guarded(tmp_path_factory.mktemp("redis")) as server:
            yield server

    @pytest.fixture
    def options(self, servers: Server) -> Redis:
        return settings(servers.url, username=redis_servers.USER, password=redis_servers.PASSWORD)

    async def test_user_and_password_may_be_in_the_url(self, servers: Server) -> None:
        url = f"redis://{redis_servers.USER}:s3cret%2F%3A%40%23@127.0.0.1:{servers.port}"
        async with opened(url) as shelf:
            await shelf.put("key", b"1", NOW() + LONG)

    @pytest.mark.parametrize(
        ("prefix", "password", "words"),
        [
            pytest.param("auth-proxy:", "wrong-S3CRET", "refused our user or", id="password"),
            pytest.param("another:", redis_servers.PASSWORD, "refused GET: NOPERM", id="prefix"),
        ],
    )
    async def test_what_is_not_allowed_is_said_without_the_password(
        self, servers: Server, prefix: str, password: str, words: str
    ) -> None:
        async with opened(
            servers.url, username=redis_servers.USER, password=password, prefix=prefix
        ) as shelf:
            with pytest.raises(StoreError, match=words) as caught:
                await shelf.get("key")
            assert password not in repr(caught.value)

    async def test_who_may_not_subscribe_is_told_once(self, servers: Server) -> None:
        told: list[str] = []
        options = settings(
            servers.url,
            username=redis_servers.USER,
            password=redis_servers.PASSWORD,
            prefix="another:",
        )
        shelf = RedisShelf(options, NOW, told.append)
        ear = asyncio.create_task(shelf.listen(lambda message: None))
        await until(lambda: bool(told))
        await asyncio.sleep(0.2)
        assert told == ["Redis refused SUBSCRIBE to another:news: NOPERM"]
        await shelf.close()
        await ear


class TestUnixSocket(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def servers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        with redis_servers.on_unix_socket(tmp_path_factory.mktemp("r")) as server:
            yield server


class TestTls(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, tmp_path_factory: pytest.TempPathFactory) -> Authority:
        return Authority(tmp_path_factory.mktemp("authority"))

    @pytest.fixture(scope="class")
    @classmethod
    def servers(
        cls, tmp_path_factory: pytest.TempPathFactory, authority: Authority
    ) -> Iterator[Server]:
        with redis_servers.over_tls(tmp_path_factory.mktemp("redis"), authority) as server:
            yield server

    @pytest.fixture
    def options(self, servers: Server, authority: Authority) -> Redis:
        certificate, key = authority.issue("proxy")
        return settings(
            f"rediss://localhost:{servers.port}",
            ca_file=str(authority.file),
            certificate_file=str(certificate),
            key_file=str(key),
        )

    @pytest.mark.parametrize(
        ("host", "change", "words"),
        [
            pytest.param("127.0.0.1", {}, "not trusted: IP address mismatch", id="name"),
            pytest.param("localhost", {"ca_file": ""}, "certificate is not trusted", id="CA"),
            pytest.param(
                "localhost", {"certificate_file": "", "key_file": ""}, "TLS|lost|reset", id="ours"
            ),
        ],
    )
    async def test_certificates_are_verified_both_ways(
        self, servers: Server, options: Redis, host: str, change: dict[str, str], words: str
    ) -> None:
        url = (Secret(f"rediss://{host}:{servers.port}"),)
        shelf = RedisShelf(options.model_copy(update={"url": url, **change}), NOW)
        with pytest.raises(StoreError, match=words):
            await shelf.ready()
        await shelf.close()

    async def test_it_does_not_speak_to_a_server_without_tls(
        self, tmp_path: Path, options: Redis
    ) -> None:
        with redis_servers.single(tmp_path) as plain:
            url = (Secret(f"rediss://localhost:{plain.port}"),)
            shelf = RedisShelf(options.model_copy(update={"url": url}), NOW)
            with pytest.raises(StoreError):
                await shelf.ready()
            await shelf.close()


class TestSentinel(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def servers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
        with redis_servers.watched(tmp_path_factory.mktemp("redis")) as servers:
            yield servers

    @pytest.fixture
    def masters(self, servers: Watched) -> list[Server]:
        return [servers.master()]

    @pytest.fixture
    def options(self, servers: Watched) -> Redis:
        return settings(*servers.urls, sentinel_master=redis_servers.MASTER)

    async def test_a_name_that_no_sentinel_knows(self, servers: Watched) -> None:
        async with opened(*servers.urls, sentinel_master="another") as shelf:
            with pytest.raises(StoreError, match="knows no master of that name"):
                await shelf.ready()


class TestCluster(RedisContract):
    @pytest.fixture(scope="class")
    @classmethod
    def servers(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
        with redis_servers.cluster(tmp_path_factory.mktemp("redis")) as nodes:
            yield nodes

    @pytest.fixture
    def masters(self, servers: list[Server]) -> list[Server]:
        return servers

    @pytest.fixture
    def options(self, servers: list[Server]) -> Redis:
        return settings(servers[0].url, cluster=True)

    async def test_keys_are_with_all_nodes(self, shelf: Shelf, servers: list[Server]) -> None:
        for number in range(60):
            await shelf.put(f"key{number}", b"", NOW() + LONG)
        assert all(int(node.ask("DBSIZE")) > 5 for node in servers)
