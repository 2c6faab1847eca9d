"""A pool whose upstream has several addresses, or moves; and connections that grow old."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.wire.connection import Connection
from proxy.wire.lookup import Resolve
from proxy.wire.origin import Origin
from proxy.wire.pool import Limits, Pool
from tests.fakes.names import Names
from tests.fakes.scripted import Script, close, request, upstream
from tests.wire.stage import OK, eventually, limits

SERVES: Script = [request, OK] * 20
BREAKS: Script = [request, close]
HERE, THERE = "127.0.0.1", "127.0.0.2"


@asynccontextmanager
async def pool_at(
    *urls: str, some: Limits | None = None, resolve: Resolve | None = None
) -> AsyncIterator[Pool]:
    first, *others = map(Origin.parse, urls)
    names = resolve or Names({})
    pool = Pool(first, some or limits(), None, monotonic, others=others, resolve=names)
    try:
        yield pool
    finally:
        await pool.close()


async def exchange(pool: Pool) -> Connection:
    """Ask and get a whole answer; the connection goes back. Raises what broke it."""
    connection = await pool.acquire()
    await finish(pool, connection)
    return connection


async def finish(pool: Pool, connection: Connection) -> None:
    connection.begin(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.await_more(5)
    try:
        await eventually(lambda: connection.reader.complete or connection.error)
        if connection.error is not None:
            raise connection.error
        connection.take()
    finally:
        pool.release(connection)


async def test_connections_are_opened_to_each_address_in_turn() -> None:
    async with (
        upstream(SERVES, host=HERE) as one,
        upstream(SERVES, host=THERE) as two,
        pool_at(one.url, f"http://{THERE}:{two.port}") as pool,
    ):
        connections = [await pool.acquire() for _ in range(6)]
        for connection in connections:
            await finish(pool, connection)
        assert (len(one.peers), len(two.peers)) == (3, 3)


async def test_the_limit_is_for_all_addresses_together() -> None:
    some = limits(connections=2, queue=0.05)
    async with (
        upstream(SERVES, host=HERE) as one,
        upstream(SERVES, host=THERE) as two,
        pool_at(one.url, f"http://{THERE}:{two.port}", some=some) as pool,
    ):
        held = [await pool.acquire() for _ in range(2)]
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()
        assert caught.value.reason is Reason.UPSTREAM_BUSY
        assert len(held) == 2


async def test_while_one_address_refuses_no_request_fails() -> None:
    async with upstream(SERVES, host=HERE) as one:
        with socket.socket() as unused:
            unused.bind((THERE, 0))
            dead = f"http://{THERE}:{unused.getsockname()[1]}"
        async with pool_at(dead, one.url) as pool:
            connections = [await pool.acquire() for _ in range(5)]
            for connection in connections:
                await finish(pool, connection)
            assert len(one.peers) == 5


async def test_that_an_address_fails_and_that_it_answers_again_is_told_once() -> None:
    told: list[tuple[str, str]] = []
    with socket.socket() as unused:
        unused.bind((THERE, 0))
        port = unused.getsockname()[1]
    async with upstream(SERVES, host=HERE) as one:
        pool = Pool(
            Origin.parse(f"http://{THERE}:{port}"), limits(), None, monotonic,
            others=[Origin.parse(one.url)],
            tell=lambda address, reason: told.append((str(address), reason)),
        )  # fmt: skip
        for _ in range(3):
            await finish(pool, await pool.acquire(fresh=True))
        assert told == [(f"{THERE}:{port}", "Connection refused")]
        one.refuse()  # so that the other one is asked before its time
        async with upstream(SERVES, host=THERE, port=port):
            await finish(pool, await pool.acquire(fresh=True))
        assert told[1:] == [(one.url[7:], "Connection refused"), (f"{THERE}:{port}", "")]
        await pool.close()


async def test_idle_connections_to_an_address_that_fails_are_closed() -> None:
    async with (
        upstream(SERVES, host=HERE) as one,
        upstream(SERVES, host=THERE) as two,
        pool_at(one.url, f"http://{THERE}:{two.port}") as pool,
    ):
        connections = [await pool.acquire() for _ in range(6)]
        busy = connections.pop()  # to the second
        for connection in connections:
            await finish(pool, connection)
        two.refuse()
        more = [await pool.acquire(fresh=True) for _ in range(2)]
        await eventually(lambda: two.peers[0].gone.is_set() and two.peers[1].gone.is_set())
        assert repr(pool).endswith("3 busy, 3 idle, 0 opening, 0 queued>")
        assert busy.is_open
        await finish(pool, busy)  # what it was doing is done, and no more
        assert not busy.is_open
        for connection in more:
            await finish(pool, connection)
        assert (len(one.peers), len(two.peers)) == (5, 3)


async def test_an_address_that_breaks_every_exchange_is_left_out() -> None:
    async with (
        upstream(BREAKS, host=HERE) as one,
        upstream(SERVES, host=THERE) as two,
        pool_at(one.url, f"http://{THERE}:{two.port}", some=limits(keepalive=60)) as pool,
    ):
        broken = 0
        for _ in range(12):
            connection = await pool.acquire(fresh=True)
            try:
                await finish(pool, connection)
            except UpstreamError:
                broken += 1
        assert (broken, len(one.peers)) == (3, 3)


async def test_a_name_that_moves_takes_requests_along() -> None:
    names = Names({"app": [HERE]})
    async with upstream(SERVES, host=HERE) as old, upstream(SERVES, host=THERE, port=old.port):
        some = replace(limits(), dns_ttl=0.02)
        async with pool_at(f"http://app:{old.port}", some=some, resolve=names) as pool:
            connection = await exchange(pool)
            assert await exchange(pool) is connection
            names.answers["app"] = [THERE]
            await old.peers[0].gone.wait()  # idle, and closed at once
            moved = await exchange(pool)
            assert moved.transport.get_extra_info("peername")[0] == THERE


async def test_while_the_name_server_fails_requests_go_on() -> None:
    names = Names({"app": [HERE]})
    async with upstream(SERVES, host=HERE) as app:
        some = replace(limits(), dns_ttl=0.02)
        async with pool_at(f"http://app:{app.port}", some=some, resolve=names) as pool:
            await exchange(pool)
            names.answers["app"] = socket.gaierror(-3, "Temporary failure in name resolution")
            asked = len(names.asked)
            await eventually(lambda: len(names.asked) > asked + 1)
            await exchange(pool)
            assert len(app.peers) == 1
            connection = await pool.acquire(fresh=True)
            await finish(pool, connection)


async def test_a_busy_connection_to_an_address_that_vanished_ends_after_its_exchange() -> None:
    names = Names({"app": [HERE]})
    async with upstream(SERVES, host=HERE) as old, upstream(SERVES, host=THERE, port=old.port):
        some = replace(limits(), dns_ttl=0.02)
        async with pool_at(f"http://app:{old.port}", some=some, resolve=names) as pool:
            connection = await pool.acquire()
            names.answers["app"] = [THERE]
            asked = len(names.asked)
            await eventually(lambda: len(names.asked) > asked + 1)
            assert connection.is_open
            await finish(pool, connection)
            assert not connection.is_open
            assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")


async def test_an_old_connection_is_not_used_again() -> None:
    some = replace(limits(), max_lifetime=0.05)
    async with upstream(SERVES) as app, pool_at(app.url, some=some) as pool:
        first = await exchange(pool)
        assert await exchange(pool) is first
        await app.peers[0].gone.wait()
        assert pool.take_idle() is None
        busy = await pool.acquire()
        await asyncio.sleep(0.1)
        assert busy.is_open
        await finish(pool, busy)
        assert not busy.is_open


async def test_requests_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    async with upstream(SERVES, path=path) as app, pool_at(f"unix:{path}") as pool:
        for _ in range(3):
            await exchange(pool)
        assert len(app.peers) == 1
        assert repr(pool).startswith(f"<Pool unix:{path}: ")


async def test_a_closed_pool_opens_and_asks_nothing() -> None:
    names = Names({"app": [HERE]})
    async with pool_at("http://app", resolve=names) as pool:
        await pool.close()
        with pytest.raises(UpstreamError, match="closing"):
            await pool.acquire()
        assert names.asked == []


class SlowNames:
    """A name server that answers when told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        await self.may_answer.wait()
        return [HERE]


async def test_who_stops_waiting_for_a_name_leaves_the_question_to_others() -> None:
    names = SlowNames()
    async with (
        upstream(SERVES) as app,
        pool_at(f"http://app:{app.port}", resolve=names) as pool,
    ):
        hasty, patient = (asyncio.create_task(pool.acquire()) for _ in range(2))
        await eventually(lambda: names.asked)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        names.may_answer.set()
        await finish(pool, await patient)
        assert names.asked == 1
        assert repr(pool).endswith("0 busy, 1 idle, 0 opening, 0 queued>")


async def test_closing_ends_the_wait_for_a_name() -> None:
    async with pool_at("http://app", resolve=SlowNames()) as pool:
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0.01)
        await pool.close()
        with pytest.raises(UpstreamError, match="cannot resolve app: no answer"):
            await waiting
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")


def test_http_and_https_do_not_mix() -> None:
    with pytest.raises(ValueError, match="ssl_context"):
        Pool(
            Origin("http", "a", 80),
            limits(),
            None,
            monotonic,
            others=[Origin("https", "b", 443)],
        )
