"""Limits on every part of a request, and what the attempt to break them costs."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from tests.hazards.stage import LANES, Lane, Line, Stage, asking, body_of


def lines(count: int, size: int = 1) -> bytes:
    return b"".join(b"X-%d: %b\r\n" % (n, b"v" * size) for n in range(count))


WITHIN = {
    "the longest target": asking(b"/open/" + b"x" * (8192 - 6)),
    "all lines": asking(b"/open/x", lines(99)),
    "nearly all bytes": asking(b"/open/x", lines(3, 10_000)),
    "one large value": asking(b"/open/x", b"X-A: " + b"v" * 30_000 + b"\r\n"),
}
BEYOND = {
    "target": (asking(b"/open/" + b"x" * (8192 - 5)), 414),
    "query": (asking(b"/open/x?" + b"x" * 8192), 414),
    "a line too many": (asking(b"/open/x", lines(100)), 431),
    "many lines too many": (asking(b"/open/x", lines(1000)), 431),
    "bytes in all": (asking(b"/open/x", lines(4, 9_000)), 431),
    "one value": (asking(b"/open/x", b"X-A: " + b"v" * 40_000 + b"\r\n"), 431),
    "one name": (asking(b"/open/x", b"X" * 40_000 + b": v\r\n"), 431),
    "cookies": (asking(b"/open/x", b"Cookie: a=b\r\n" * 180), 431),
    "a line without end": (b"GET /" + b"x" * 20_000, 414),
    "a head without end": (asking(b"/open/x", lines(60, 1000))[:-2], 431),
    "a name without end": (asking(b"/open/x")[:-2] + b"X" * 50_000, 431),
    "empty target, long rest": (b"GET " + b" " * 20_000, 414),
    "length": (asking(b"/open/x", b"Content-Length: 1001\r\n", b"", b"POST"), 413),
    "length of the universe": (
        asking(b"/open/x", b"Content-Length: 9223372036854775807\r\n", b"", b"POST"),
        413,
    ),
    "body in hand": (
        asking(b"/open/x", b"Content-Length: 1001\r\n", b"x" * 1001, b"POST"),
        413,
    ),
    "chunks": (
        asking(b"/open/x", b"Transfer-Encoding: chunked\r\n", b"3e9\r\n" + b"x" * 1001, b"POST"),
        413,
    ),
}


@LANES
async def test_limits(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane, server={"max_body_size": 1000}) as stage:
        await stage.warm()
        for name, data in WITHIN.items():
            with subtests.test(name):
                await stage.check_passes(data)

        async def beyond(data: bytes) -> tuple[int, bool, bytes]:
            async with stage.line() as line:
                line.send(data)
                answer = await line.answer()
                return answer.status, answer.closes, await line.rest()

        found = await asyncio.gather(
            *(beyond(data) for data, _ in BEYOND.values()), return_exceptions=True
        )
        for (name, (_, status)), one in zip(BEYOND.items(), found, strict=True):
            with subtests.test(f"{name} beyond"):
                assert one == (status, True, b"")
        assert len(stage.recorder.requests) == len(WITHIN) + stage.recorder.targets.count(
            b"/open/good"
        )


@LANES
async def test_a_body_at_its_limit_passes(lane: Lane) -> None:
    async with Stage(lane, server={"max_body_size": 1000}) as stage:
        await stage.warm()
        data = asking(b"/open/x", b"Content-Length: 1000\r\n", b"x" * 1000, b"POST")
        assert body_of(await stage.check_passes(data)) == b"x" * 1000
        chunked = asking(
            b"/open/x", b"Transfer-Encoding: chunked\r\n",
            b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n", b"POST",
        )  # fmt: skip
        assert body_of(await stage.check_passes(chunked)) == b"x" * 1000


@LANES
async def test_unfinished_heads_cost_little(lane: Lane) -> None:
    """Thirty clients that send 3 MB of head each, never its end."""
    piece = b"X-A: " + b"v" * 59 + b"\r\n"
    flood = asking(b"/open/x")[:-2] + piece * (3 * 2**20 // len(piece))

    async def attack(line: Line) -> None:
        line.send(flood)
        assert (await line.answer()).status == 431

    async with Stage(lane) as stage:
        await stage.warm()
        tracemalloc.start()
        try:
            for _ in range(30):
                async with stage.line() as line:
                    await attack(line)
                    del line
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # The attacker lives in this process: its 3 MB may be there twice, no more.
        assert peak < 12 * 2**20, (kept, peak)
        assert stage.recorder.targets.count(b"/open/x") == 0
