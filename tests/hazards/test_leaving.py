"""A client that leaves ends what was done for it, within 100 ms, whatever is going on."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.fakes.scripted import Peer, Step, endless, request, upstream
from tests.hazards.stage import GOOD, LANES, Lane, Line, Stage, asking, ok, until

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
SOON = 0.1


def vanish(line: Line) -> None:
    """A clean end: FIN."""
    line.writer.close()


def reset(line: Line) -> None:
    sock = line.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()


def half_close(line: Line) -> None:
    """Who sends no more has gone, as for nginx."""
    line.writer.write_eof()


async def gone_after(peer: Peer, leave: Callable[[Line], None], line: Line) -> float:
    leave(line)
    started = time.perf_counter()
    async with asyncio.timeout(5):
        await peer.gone.wait()
    return time.perf_counter() - started


SCRIPTS: dict[str, list[Step]] = {
    "before the head": [request, ok(b"first"), request],
    "in the body": [request, ok(b"first"), request, HEAD + b"some"],
    "in an endless body": [request, ok(b"first"), request, HEAD, endless(b"x" * 65536)],
}


@LANES
@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("leave", [vanish, reset, half_close])
async def test_the_upstream_learns_at_once(
    lane: Lane, script: str, leave: Callable[[Line], None]
) -> None:
    async with upstream(SCRIPTS[script]) as app, Stage(lane, app.url) as stage:
        async with stage.line(2**16) as line:
            assert (await line.ask(GOOD)).body == b"first"
            line.send(GOOD)
            await until(lambda: app.peers[0].received.count(b"\r\n\r\n") == 2)
            if script != "before the head":
                await line.reader.readuntil(b"\r\n\r\n")
            assert await gone_after(app.peers[0], leave, line) < SOON
        await until(lambda: not stage.connections)
        if lane == "fast":
            assert stage.taken[-1]


@LANES
async def test_also_while_its_next_requests_are_held(lane: Lane) -> None:
    """Reading is paused then, and the event loop tells of no end."""
    async with (
        upstream([request, ok(b"first"), request]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        await line.ask(GOOD)
        line.send(GOOD * 2_000)
        await until(lambda: any(not c.transport.is_reading() for c in stage.connections))
        await asyncio.wait_for(line.writer.drain(), 5)
        assert await gone_after(app.peers[0], reset, line) < SOON


@LANES
async def test_also_while_its_upload_is_stalled(lane: Lane) -> None:
    async def read_nothing(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with (
        upstream([request, read_nothing]) as app,
        Stage(lane, app.url) as stage,
        stage.line() as line,
    ):
        line.send(asking(b"/open/x", b"Content-Length: 100000000\r\n", method=b"POST"))
        line.send(b"x" * 20_000_000)
        await until(lambda: any(not c.transport.is_reading() for c in stage.connections))
        (connection,) = stage.connections
        reset(line)
        started = time.perf_counter()
        await until(lambda: not stage.connections)
        assert time.perf_counter() - started < SOON
        assert connection.transport.is_closing()


@LANES
async def test_a_body_that_stops_is_never_whole(lane: Lane) -> None:
    async with upstream([request]) as app, Stage(lane, app.url) as stage, stage.line() as line:
        line.send(asking(b"/open/x", b"Content-Length: 10\r\n", b"12345", b"POST"))
        await until(lambda: app.peers and app.peers[0].received.endswith(b"12345"))
        assert await gone_after(app.peers[0], vanish, line) < SOON


@LANES
async def test_a_reader_that_does_not_read_leaves(lane: Lane) -> None:
    """Its answer is under way, held up by itself."""
    script: list[Step] = [request, ok(b"first"), request, HEAD, endless(b"x" * 65536)]
    async with upstream(script) as app, Stage(lane, app.url) as stage:
        async with stage.line(2**16) as line:
            await line.ask(GOOD)
            line.send(GOOD)
            await until(lambda: any(c.is_paused for c in stage.connections))
            assert await gone_after(app.peers[0], reset, line) < SOON
        await until(lambda: not stage.connections)
