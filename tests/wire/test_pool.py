from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.wire.connection import Connection
from proxy.wire.origin import Origin
from proxy.wire.pool import Pool
from tests.fakes.scripted import Script, close, request, upstream
from tests.wire.stage import OK, eventually, limits, pool_of

SERVES: Script = [request, OK, request, OK, request, OK]


async def exchange(pool: Pool) -> Connection:
    """Ask and get a whole answer; the connection goes back. Raises what broke it."""
    connection = await pool.acquire()
    await finish_one(pool, connection)
    return connection


async def test_the_connection_used_last_is_reused_first() -> None:
    async with upstream(SERVES) as app, pool_of(app.url) as pool:
        first, second = await pool.acquire(), await pool.acquire()
        for connection in (first, second):
            await finish_one(pool, connection)
        assert repr(pool).endswith("0 busy, 2 idle, 0 opening, 0 queued>")
        assert pool.take_idle() is second
        assert await pool.acquire() is first
        assert pool.take_idle() is None


async def finish_one(pool: Pool, connection: Connection) -> None:
    connection.begin(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.await_more(5)
    try:
        await eventually(lambda: connection.reader.complete or connection.error)
        if connection.error is not None:
            raise connection.error
        connection.take()
    finally:
        pool.release(connection)


async def test_an_unfinished_exchange_is_not_kept() -> None:
    async with upstream([request]) as app, pool_of(app.url) as pool:
        connection = await pool.acquire()
        connection.begin(b"GET / HTTP/1.1\r\n\r\n")
        pool.release(connection)
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")
        await app.peers[0].gone.wait()


async def test_a_connection_that_closes_while_idle_leaves_the_pool() -> None:
    async with upstream([request, OK, close]) as app, pool_of(app.url) as pool:
        await exchange(pool)
        await eventually(lambda: "0 idle" in repr(pool))
        assert pool.take_idle() is None


async def test_idle_connections_end_after_keepalive() -> None:
    async with upstream(SERVES) as app, pool_of(app.url, limits(keepalive=0.05)) as pool:
        await exchange(pool)
        await app.peers[0].gone.wait()
        assert pool.take_idle() is None


async def test_a_refused_connection_is_a_bad_gateway() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with pool_of(f"http://127.0.0.1:{port}") as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")


async def test_an_unknown_host_is_a_bad_gateway() -> None:
    async with pool_of("http://no-such-host.invalid") as pool:
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)


async def test_a_slow_connect_is_a_gateway_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # A full accept queue: the kernel drops further attempts.
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        async with pool_of(url, limits(connect=0.1)) as pool:
            with pytest.raises(UpstreamError) as caught:
                await pool.acquire()
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_TIMEOUT, 504)
        for filler in fillers:
            filler.close()


async def test_an_upstream_without_tls_fails_the_handshake() -> None:
    async with upstream([b"HTTP/1.1 400 No\r\n\r\n", close]) as app:
        origin = Origin("https", "127.0.0.1", app.port)
        pool = Pool(origin, limits(), ssl.create_default_context(), lambda: 0.0)
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()
        assert caught.value.reason is Reason.UPSTREAM_UNREACHABLE
        await pool.close()


def test_tls_is_never_forgotten() -> None:
    with pytest.raises(ValueError, match="ssl_context"):
        Pool(Origin("https", "app", 443), limits(), None, lambda: 0.0)


async def test_beyond_the_limit_requests_queue_and_get_released_connections() -> None:
    async with upstream(SERVES) as app, pool_of(app.url, limits(connections=2)) as pool:
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(exchange(pool))
        assert len(app.peers) == 2


async def test_a_full_queue_is_busy_after_a_while() -> None:
    some = limits(connections=1, queue=0.05)
    async with upstream([request]) as app, pool_of(app.url, some) as pool:
        await pool.acquire()
        with pytest.raises(UpstreamError) as caught:
            await pool.acquire()
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_BUSY, 503)
        assert repr(pool).endswith("1 busy, 0 idle, 0 opening, 0 queued>")


async def test_who_stops_waiting_takes_nothing_along() -> None:
    async with upstream(SERVES) as app, pool_of(app.url, limits(connections=1)) as pool:
        connection = await pool.acquire()
        patient = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        pool.release(connection)  # closed, so a slot is granted …
        patient.cancel()  # … to one who leaves before the news arrives
        with pytest.raises(asyncio.CancelledError):
            await patient
        assert repr(pool).endswith("0 busy, 0 idle, 0 opening, 0 queued>")
        await exchange(pool)


async def test_a_fresh_connection_replaces_the_oldest_idle_one_at_the_limit() -> None:
    async with upstream(SERVES) as app, pool_of(app.url, limits(connections=1)) as pool:
        await exchange(pool)
        connection = await pool.acquire(fresh=True)
        assert connection.is_open
        await app.peers[0].gone.wait()
        assert len(app.peers) == 2


async def test_a_detached_connection_frees_its_place_and_is_not_closed() -> None:
    async with upstream(SERVES) as app, pool_of(app.url, limits(connections=1)) as pool:
        connection = await pool.acquire()
        pool.detach(connection)
        pool.release(connection)
        assert connection.is_open
        await exchange(pool)
        connection.abort()


async def test_closing_ends_exchanges_and_queue() -> None:
    async with upstream([request]) as app, pool_of(app.url, limits(connections=1)) as pool:
        tasks = [asyncio.create_task(exchange(pool)) for _ in range(2)]
        await eventually(lambda: app.peers and app.peers[0].received)
        await pool.close()
        for task in tasks:
            with pytest.raises(UpstreamError):
                await task
        with pytest.raises(UpstreamError):
            await pool.acquire()
