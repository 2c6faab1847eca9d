"""Bodies in chunks: strict, bounded, and nothing after them is believed (RFC 9112 section 7.1)."""

from __future__ import annotations

import asyncio

import pytest

from tests.hazards.stage import LANES, Lane, Stage, asking, body_of, fields, until

CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = asking(b"/open/smuggled")


def post(body: bytes) -> bytes:
    return asking(b"/open/x", CHUNKED, body, b"POST")


BROKEN = {
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with a plus": b"+3\r\nabc\r\n0\r\n\r\n",
    "size with a minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "size of letters": b"xyz\r\nabc\r\n0\r\n\r\n",
    "space before the size": b" 3\r\nabc\r\n0\r\n\r\n",
    "underscore in the size": b"0_3\r\nabc\r\n0\r\n\r\n",
    "size overflows 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size of forty digits": b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n",
    "size ends in LF": b"3\nabc\r\n0\r\n\r\n",
    "size ends in CR": b"3\rabc\r\n0\r\n\r\n",
    "size ends in CR CR LF": b"3\r\r\nabc\r\n0\r\n\r\n",
    "data ends in LF": b"3\r\nabc\n0\r\n\r\n",
    "data ends in nothing": b"3\r\nabc0\r\n\r\n",
    "data longer than its size": b"3\r\nabcd\r\n0\r\n\r\n",
    "data ends in other bytes": b"3\r\nabcXX0\r\n\r\n",
    "LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;a\0b\r\nabc\r\n0\r\n\r\n",
    "64 KiB of extension": b"3;" + b"a" * 65536 + b"\r\nabc\r\n0\r\n\r\n",
    "64 KiB of extensions on tiny chunks": (
        (b"1;" + b"a" * 1024 + b"\r\nx\r\n") * 64 + b"0\r\n\r\n"
    ),
    "64 KiB of trailers": b"0\r\n" + b"X-A: b\r\n" * 8192 + b"\r\n",
    "150 trailers": b"0\r\n" + b"A: b\r\n" * 150 + b"\r\n",
    "NUL in a trailer": b"0\r\nX-A: b\0c\r\n\r\n",
    "bare LF in a trailer": b"0\r\nX-A: b\nX-C: d\r\n\r\n",
    "a length in a trailer": b"0\r\nContent-Length: 9\r\n\r\n",
    "a trailer without a colon": b"0\r\nX-A\r\n\r\n",
    "a folded trailer": b"0\r\nX-A: b\r\n c\r\n\r\n",
    "last chunk ends in LF LF": b"0\n\n",
    "last chunk without its empty line": b"0\r\nGET /open/smuggled HTTP/1.1\r\n\r\n",
}


@LANES
async def test_a_broken_body_ends_in_a_refusal_and_never_whole(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    async with Stage(lane) as stage:
        await stage.warm()

        async def refused(body: bytes) -> tuple[int, bool, bytes]:
            async with stage.line() as line:
                line.send(post(body) + SMUGGLED)
                answer = await line.answer()
                return answer.status, answer.closes, await line.rest()

        # At once: each waits for two seconds for its client to close first.
        found = await asyncio.gather(*map(refused, BROKEN.values()), return_exceptions=True)
        for name, one in zip(BROKEN, found, strict=True):
            with subtests.test(name):
                assert one == (400, True, b"")
        # The upstream got a beginning at most, and then the end of its connection.
        assert set(stage.recorder.targets) == {b"/open/good"}


GOOD = {
    "one chunk": (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "two chunks": (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
    "nothing": (b"0\r\n\r\n", b""),
    "many zeros": (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    "large letters": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "small letters": (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "an extension": (b"3;a=b\r\nabc\r\n0\r\n\r\n", b"abc"),
    "an extension in quotes": (b'3;a="b c"\r\nabc\r\n0\r\n\r\n', b"abc"),
    "an extension on the last": (b"3\r\nabc\r\n0;a=b\r\n\r\n", b"abc"),
    "CRLF in the data": (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    "what looks like an end in the data": (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
    "a trailer": (b"3\r\nabc\r\n0\r\nX-A: b\r\n\r\n", b"abc"),
    "trailers that would be trusted": (
        b"3\r\nabc\r\n0\r\nX-Forwarded-User: root\r\nX-A: b\r\nHost: a\r\n\r\n",
        b"abc",
    ),
}


@LANES
async def test_good_chunks_arrive_without_extensions_and_trailers(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, (sent, body) in GOOD.items():
            with subtests.test(name):
                seen = await stage.check_passes(post(sent))
                assert body_of(seen) == body
                assert b"X-A" not in seen
                assert b"root" not in seen
                assert b";" not in seen.partition(b"\r\n\r\n")[2]


@LANES
async def test_pieces_of_any_size_mean_the_same(lane: Lane) -> None:
    data = post(b"3;a=b\r\nabc\r\n4\r\ndefg\r\n0\r\nX-A: b\r\n\r\n")
    async with Stage(lane) as stage:
        for size in (1, 2, 3, 7):
            async with stage.line() as line:
                for start in range(0, len(data), size):
                    line.send(data[start : start + size])
                    await asyncio.sleep(0)
                assert (await line.answer()).body == b"POST /open/x"
            request = stage.recorder.requests[-1]
            assert body_of(request) == b"abcdefg"
            assert (b"Transfer-Encoding", b"chunked") in fields(request)


@LANES
async def test_what_follows_the_last_chunk_is_never_served(lane: Lane) -> None:
    follow = (SMUGGLED, b"\r\n" + SMUGGLED, b"garbage", b"0\r\n\r\n" + SMUGGLED)
    async with Stage(lane) as stage:
        for after in follow:
            async with stage.line() as line:
                line.send(post(b"3\r\nabc\r\n0\r\n\r\n") + after)
                assert (await line.answer()).status == 200
                assert await line.rest() == b""
        assert stage.recorder.targets == [b"/open/x"] * len(follow)


@LANES
async def test_a_request_that_waits_for_the_answer_is_served(lane: Lane) -> None:
    """Only bytes that came with the chunks are in doubt."""
    async with Stage(lane) as stage, stage.line() as line:
        assert (await line.ask(post(b"3\r\nabc\r\n0\r\n\r\n"))).status == 200
        assert (await line.ask(asking(b"/open/next"))).body == b"GET /open/next"


@LANES
async def test_a_body_cut_short_never_ends_at_the_upstream(lane: Lane) -> None:
    async with Stage(lane) as stage:
        async with stage.line() as line:
            line.send(post(b"3\r\nabc\r\n"))
            await until(lambda: stage.recorder.open)
        await until(lambda: not stage.recorder.open)
        assert stage.recorder.requests == []
