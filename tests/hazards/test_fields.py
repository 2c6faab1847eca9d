"""Header lines: what is no field is refused, what is one arrives byte by byte (RFC 9110 5)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import LANES, Lane, Stage, asking, fields

REFUSED = {
    "NUL in a value": b"X-A: b\0c\r\n",
    "NUL at the end": b"X-A: b\0\r\n",
    "NUL in a name": b"X-\0A: b\r\n",
    "CR in a value": b"X-A: b\rc\r\n",
    "CR in a name": b"X-\rA: b\r\n",
    "LF in a value": b"X-A: b\nX-C: d\r\n",
    "LF in a name": b"X-\nA: b\r\n",
    "CR before CRLF": b"X-A: b\r\r\n",
    "LF before CRLF": b"X-A: b\n\r\n",
    "BEL in a value": b"X-A: b\x07c\r\n",
    "ESC in a value": b"X-A: \x1b[31m\r\n",
    "DEL in a value": b"X-A: b\x7fc\r\n",
    "folded with a space": b"X-A: b\r\n c\r\n",
    "folded with a tab": b"X-A: b\r\n\tc\r\n",
    "folded to nothing": b"X-A: b\r\n \r\n",
    "fold before any": b" X-A: b\r\n",
    "no name": b": b\r\n",
    "no colon": b"X-A\r\n",
    "space before the colon": b"X-A : b\r\n",
    "tab before the colon": b"X-A\t: b\r\n",
    "space in the name": b"X A: b\r\n",
    "bracket in the name": b"X[A]: b\r\n",
    "parenthesis in the name": b"X(A): b\r\n",
    "quote in the name": b'"X-A": b\r\n',
    "slash in the name": b"X/A: b\r\n",
    "comma in the name": b"X,A: b\r\n",
    "equals sign in the name": b"X=A: b\r\n",
    "at sign in the name": b"X@A: b\r\n",
    "obs-text in the name": b"X-\xe9: b\r\n",
    "UTF-8 in the name": b"X-\xc3\xa9: b\r\n",
    "full-width letters": "Ｘ-Ａ: b\r\n".encode(),
    "the end hidden by LF": b"X-A: b\n\nGET /open/smuggled HTTP/1.1\r\n",
    "the end hidden by CR": b"X-A: b\r\rGET /open/smuggled HTTP/1.1\r\n",
    "a second request line": b"GET /open/smuggled HTTP/1.1\r\n",
}


@LANES
async def test_what_is_no_field_is_refused(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, lines in REFUSED.items():
            with subtests.test(f"{name}, after Host"):
                await stage.check_refused(asking(b"/open/x", lines))
            with subtests.test(f"{name}, before Host"):
                data = asking().replace(b"\r\n", b"\r\n" + lines, 1)
                await stage.check_refused(data)


VALUES = {
    "ISO 8859-1": b"caf\xe9",
    "C1 controls and no-break space": b"\x85admin\xa0",
    "UTF-8": "café ☃ 😀".encode(),
    "broken UTF-8": b"\xc3\x28\xff\xfe",
    "every byte beyond ASCII": bytes(range(0x80, 0x100)),
    "every visible byte": bytes(range(0x21, 0x7F)),
    "tabs and spaces within": b"a \t b\t\tc",
    "quotes": b'"a\\"b"',
    "colons": b"a: b: c",
    "percent": b"%0d%0aSet-Cookie: a=b",
    "commas": b",,a,,b,,",
    "empty": b"",
    "8 KiB": b"v" * 8192,
}


@LANES
async def test_values_arrive_byte_by_byte(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, value in VALUES.items():
            with subtests.test(name):
                seen = await stage.check_passes(asking(b"/open/x", b"X-Keep: " + value + b"\r\n"))
                assert [v for n, v in fields(seen) if n == b"X-Keep"] == [value]
                if lane == "fast":
                    assert stage.taken[-1]


@LANES
async def test_repeated_lines_keep_their_order_and_spelling(lane: Lane) -> None:
    lines = [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"3"), (b"X-a", b"1"), (b"Accept", b"*/*")]
    block = b"".join(b"%b: %b\r\n" % line for line in lines)
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(asking(b"/open/x", block))
        assert [line for line in fields(seen) if line in lines] == lines


@LANES
async def test_blanks_around_a_value_are_none_of_it(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(asking(b"/open/x", b"X-A: \t b  \r\nX-C:d\r\n"))
        assert (b"X-A", b"b") in fields(seen)
        assert (b"X-C", b"d") in fields(seen)


@LANES
async def test_what_the_client_did_not_send_the_upstream_does_not_get(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(asking())
        assert [name for name, _ in fields(seen)] == [
            b"Host", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host",
            b"X-Request-Id",
        ]  # fmt: skip


@LANES
async def test_names_with_odd_letters_do_not_pass(lane: Lane, subtests: pytest.Subtests) -> None:
    """They are legal, and some upstreams read them as others (security.md 3.2, 7)."""
    rows = [b"X_A", b"X.A", b"X!A", b"X'A", b"X*A", b"X~A", b"X`A", b"X|A", b"X^A", b"X#A", b"X$A"]
    async with Stage(lane) as stage:
        await stage.warm()
        for name in rows:
            with subtests.test(name.decode()):
                seen = await stage.check_passes(asking(b"/open/x", name + b": v\r\nX-Good: v\r\n"))
                assert name not in seen
                assert (b"X-Good", b"v") in fields(seen)
