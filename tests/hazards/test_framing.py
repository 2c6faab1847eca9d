"""Where a body ends: two readers must never disagree (RFC 9112 section 6)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import GOOD, LANES, Lane, Stage, asking, body_of, fields

SMUGGLED = asking(b"/open/smuggled")
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
LENGTH = b"Content-Length: 3\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(lines: bytes, body: bytes) -> bytes:
    """A request, and another that only a fooled reader would see as part of the first."""
    return asking(b"/open/x", lines, body, b"POST") + SMUGGLED


def te(value: bytes) -> bytes:
    return b"Transfer-Encoding:" + value + b"\r\n"


def cl(value: bytes) -> bytes:
    return b"Content-Length:" + value + b"\r\n"


CONFLICTS = {
    "length, then coding": LENGTH + CHUNKED,
    "coding, then length": CHUNKED + LENGTH,
    "length of nothing, then coding": cl(b" 0") + CHUNKED,
    "coding, then length of nothing": CHUNKED + cl(b" 0"),
    "length and coding in other letters": b"content-length: 3\r\nTRANSFER-ENCODING: chunked\r\n",
    "length and an unknown coding": LENGTH + te(b" x"),
    "length and identity": LENGTH + te(b" identity"),
    "two different lengths": LENGTH + cl(b" 4"),
    "the same length twice": LENGTH + LENGTH,
    "the same length thrice": LENGTH + LENGTH + LENGTH,
    "the same length twice, apart": LENGTH + b"X-A: b\r\n" + b"content-length: 3\r\n",
    "chunked twice": CHUNKED + CHUNKED,
    "chunked twice, apart": CHUNKED + b"X-A: b\r\n" + CHUNKED,
    "chunked, then identity": CHUNKED + te(b" identity"),
    "identity, then chunked": te(b" identity") + CHUNKED,
    "a coding, then chunked": te(b" x") + CHUNKED,
    "length and coding, the length nominated": (
        b"Connection: content-length\r\n" + LENGTH + CHUNKED
    ),
    "length and coding, the coding nominated": (
        b"Connection: transfer-encoding\r\n" + LENGTH + CHUNKED
    ),
}

LENGTHS = {
    "plus": b" +3",
    "minus": b" -3",
    "minus zero": b" -0",
    "hexadecimal": b" 0x3",
    "fraction": b" 3.0",
    "exponent": b" 3e0",
    "underscore": b" 3_0",
    "inner space": b" 3 0",
    "inner tab": b" 3\t0",
    "a list": b" 3, 3",
    "a list of one": b" 3,",
    "empty": b"",
    "blank": b" ",
    "quoted": b' "3"',
    "letters": b" three",
    "a digit of another script": b" \xd9\xa3",
    "overflow": b" 18446744073709551619",
    "endless": b" " + b"9" * 400,
    "vertical tab": b" \x0b3",
    "form feed after": b" 3\x0c",
    "folded": b"\r\n 3",
}

CODINGS = {
    "another": b" gzip",
    "identity": b" identity",
    "another, then chunked": b" gzip, chunked",
    "identity, chunked": b" identity, chunked",
    "chunked, then another": b" chunked, gzip",
    "chunked, identity": b" chunked, identity",
    "chunked twice in a list": b" chunked, chunked",
    "empty item before": b" , chunked",
    "empty item after": b" chunked,",
    "a parameter": b" chunked;q=1",
    "a parameter, apart": b" chunked ; a=b",
    "quoted": b' "chunked"',
    "in single quotes": b" 'chunked'",
    "a letter before": b" xchunked",
    "a letter after": b" chunkedx",
    "hyphen": b" chunked-",
    "two words": b" chunked chunked",
    "colon": b": chunked",
    "empty": b"",
    "blank": b" ",
    "vertical tab before": b" \x0bchunked",
    "form feed before": b" \x0cchunked",
    "vertical tab after": b" chunked\x0b",
    "no-break space": b" \xa0chunked",
    "NUL after": b" chunked\0",
    "backspace": b" chunked\x08",
    "folded": b"\r\n chunked",
    "folded after": b" chunked\r\n ",
    "bare LF before": b"\n chunked",
    "bare CR before": b"\r chunked",
    "with a ſ-like letter": b" chun\xe2\x84\xaaed",
}

NAMES = {
    "space before the colon": b"Transfer-Encoding : chunked\r\n",
    "tab before the colon": b"Transfer-Encoding\t: chunked\r\n",
    "space before the name": b" Transfer-Encoding: chunked\r\n",
    "space in the name": b"Transfer Encoding: chunked\r\n",
    "NUL in the name": b"Transfer-\0Encoding: chunked\r\n",
    "a length with a space before the colon": b"Content-Length : 3\r\n",
    "a length with a CR in its name": b"Content-\rLength: 3\r\n",
    "a byte beyond ASCII in the name": b"Transfer-Encoding\xa0: chunked\r\n",
    "no colon": b"Content-Length 3\r\n",
    "an LF that hides a coding": b"X-A: b\nTransfer-Encoding: chunked\r\n",
    "a CR that hides a coding": b"X-A: b\rTransfer-Encoding: chunked\r\n",
    "CR CR LF": b"X-A: b\r\r\nTransfer-Encoding: chunked\r\n",
}


@LANES
async def test_doubtful_framing_is_refused(lane: Lane, subtests: pytest.Subtests) -> None:
    rows = {
        **{f"conflict: {k}": post(v, CHUNKS) for k, v in CONFLICTS.items()},
        **{f"length: {k}": post(cl(v), b"abc") for k, v in LENGTHS.items()},
        **{f"coding: {k}": post(te(v), CHUNKS) for k, v in CODINGS.items()},
        **{f"name: {k}": post(v, CHUNKS) for k, v in NAMES.items()},
        "chunks in HTTP/1.0": post(CHUNKED, CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
        "two framings in HTTP/1.0": (
            post(LENGTH + CHUNKED, CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        ),
        "a GET with two framings": asking(b"/open/x", LENGTH + CHUNKED, CHUNKS) + SMUGGLED,
    }
    async with Stage(lane) as stage:
        await stage.warm()
        for name, data in rows.items():
            with subtests.test(name):
                await stage.check_refused(data)


@LANES
async def test_the_same_on_a_connection_that_served_before(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    """The reader has seen requests, and remembers their header lines."""
    async with Stage(lane) as stage:
        await stage.warm()
        for name, lines in CONFLICTS.items():
            with subtests.test(name):
                before = len(stage.recorder.requests)
                async with stage.line() as line:
                    assert (await line.ask(GOOD)).status == 200
                    assert (await line.ask(post(lines, CHUNKS))).status == 400
                    assert await line.rest() == b""
                assert stage.recorder.targets[before:] == [b"/open/good"]


GOOD_ONES = {
    "a length": (LENGTH, b"abc", b"abc"),
    "a length with zeros before": (cl(b" 0003"), b"abc", b"abc"),
    "a length with blanks around": (cl(b" \t3 \t"), b"abc", b"abc"),
    "a length without a space": (cl(b"3"), b"abc", b"abc"),
    "a nominated length": (b"Connection: content-length\r\n" + LENGTH, b"abc", b"abc"),
    "no length at all": (b"", b"", b""),
    "no body, and a nominated length": (b"Connection: content-length\r\n", b"", b""),
    "underscores are no hyphens: length": (b"Content_Length: 3\r\n", b"", b""),
    "underscores are no hyphens: coding": (b"Transfer_Encoding: chunked\r\n", b"", b""),
    "a length under another name": (b"X-Content-Length: 3\r\n", b"", b""),
}  # fmt: skip


@LANES
async def test_the_upstream_gets_one_length_in_one_spelling(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, (lines, sent, body) in GOOD_ONES.items():
            with subtests.test(name):
                before = len(stage.recorder.requests)
                async with stage.line() as line:
                    line.send(post(lines, sent))
                    assert (await line.answer()).body == b"POST /open/x"
                    assert (await line.answer()).body == b"GET /open/smuggled"
                first, second = stage.recorder.requests[before:]
                framing = [f for f in fields(first) if f[0].lower().startswith((b"content", b"tr"))]
                assert framing == [(b"Content-Length", b"%d" % len(body))]
                assert body_of(first) == body
                assert body_of(second) == b""


@LANES
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(CHUNKED, id="plain"),
        pytest.param(b"transfer-encoding:CHUNKED\r\n", id="other letters"),
        pytest.param(te(b"\tchunked "), id="blanks around"),
        pytest.param(b"Connection: transfer-encoding\r\n" + CHUNKED, id="nominated"),
    ],
)
async def test_chunks_stay_chunks_and_their_connection_is_not_used_again(
    lane: Lane, lines: bytes
) -> None:
    async with Stage(lane) as stage:
        async with stage.line() as line:
            line.send(post(lines, CHUNKS))
            answer = await line.answer()
            assert (answer.body, answer.closes) == (b"POST /open/x", True)
            assert await line.rest() == b""
        (request,) = stage.recorder.requests
        assert (b"Transfer-Encoding", b"chunked") in fields(request)
        assert body_of(request) == b"abc"


@LANES
async def test_a_get_may_have_a_body(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(asking(b"/open/x", LENGTH, b"abc"))
        assert body_of(seen) == b"abc"
        assert stage.taken[-1:] == ([True] if lane == "fast" else [])
