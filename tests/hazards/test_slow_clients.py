"""Clients that take their time, or too many of them: deadlines and limits that end it (F16)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tests.hazards.stage import GOOD, LANES, Lane, Line, Stage, asking, until

SERVER: dict[str, Any] = {
    "header_timeout": "0.3s",
    "keepalive_timeout": "0.4s",
    "min_body_rate": 1000,
    "body_grace": "0.3s",
    "max_connections": 16,
}
SLACK = 1.5  # the clocks are looked at twice a second


async def trickle(line: Line, data: bytes, pause: float = 0.02) -> None:
    """Byte by byte, until the other side closes."""
    for n in range(len(data)):
        if line.writer.transport.is_closing():
            return
        line.send(data[n : n + 1])
        await asyncio.sleep(pause)


async def refused_for_slowness(stage: Stage, first: bytes, slow: bytes) -> None:
    async with stage.line() as line:
        line.send(first)
        if first.startswith(GOOD):
            assert (await line.answer()).status == 200
        started = time.perf_counter()
        task = asyncio.create_task(trickle(line, slow))
        try:
            answer = await line.answer()
        finally:
            task.cancel()
            await asyncio.wait((task,))
        assert 0.2 < time.perf_counter() - started < SLACK
        assert (answer.status, answer.closes) == (408, True)


@LANES
async def test_heads_and_bodies_that_trickle_get_408(lane: Lane) -> None:
    head = asking(b"/open/x", b"X-A: " + b"v" * 1000 + b"\r\n")
    post = asking(b"/open/x", b"Content-Length: 100000\r\n", method=b"POST")
    chunks = asking(b"/open/x", b"Transfer-Encoding: chunked\r\n", method=b"POST")
    async with Stage(lane, server=SERVER) as stage:
        await stage.warm()
        await asyncio.gather(
            refused_for_slowness(stage, b"", head),
            refused_for_slowness(stage, head[:100], b""),
            refused_for_slowness(stage, GOOD + head[:100], head[100:]),
            refused_for_slowness(stage, GOOD * 1 + head[:1], b""),
            refused_for_slowness(stage, post, b"x" * 1000),
            refused_for_slowness(stage, post + b"x", b""),
            refused_for_slowness(stage, GOOD + post, b"x" * 1000),
            refused_for_slowness(stage, chunks, b"1\r\nx\r\n" * 200),
            refused_for_slowness(stage, chunks + b"3e8\r\n", b""),
        )
        assert b"/open/x" not in stage.recorder.targets


@LANES
async def test_a_body_that_is_fast_enough_may_take_long(lane: Lane) -> None:
    async with Stage(lane, server=SERVER) as stage, stage.line() as line:
        line.send(asking(b"/open/x", b"Content-Length: 6000\r\n", method=b"POST"))
        for _ in range(30):
            line.send(b"x" * 200)
            await asyncio.sleep(0.04)
        assert (await line.answer()).status == 200


@LANES
async def test_idle_connections_are_closed_without_a_word(lane: Lane) -> None:
    async with Stage(lane, server=SERVER) as stage:
        await stage.warm()

        async def idle(first: bytes) -> None:
            async with stage.line() as line:
                if first:
                    assert (await line.ask(first)).status == 200
                started = time.perf_counter()
                assert await line.rest() == b""
                assert 0.3 < time.perf_counter() - started < SLACK

        await asyncio.gather(idle(b""), idle(GOOD), idle(asking(b"/ping")))


@LANES
async def test_one_connection_too_many_is_turned_away(lane: Lane) -> None:
    server = {**SERVER, "keepalive_timeout": "60s"}
    async with Stage(lane, server=server) as stage:
        lines = [
            Line(*await asyncio.open_connection("127.0.0.1", stage.place.port)) for _ in range(16)
        ]
        try:
            for line in lines:
                assert (await line.ask(GOOD)).status == 200
            async with stage.line() as extra:
                answer = await extra.answer()
                assert (answer.status, answer.closes) == (503, True)
                assert await extra.rest() == b""
            lines.pop().writer.transport.abort()
            await until(lambda: len(stage.connections) <= 15)
            async with stage.line() as line:
                assert (await line.ask(GOOD)).status == 200
        finally:
            for line in lines:
                line.writer.transport.abort()
