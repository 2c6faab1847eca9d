"""Host: one, ours, and the same wherever it is written (RFC 9112 section 3.2)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import LANES, Lane, Stage, fields
from tests.web.place import HOST

NAME = HOST.encode()


def ask(hosts: bytes, target: bytes = b"/open/x", version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\n%b\r\n" % (target, version, hosts)


def host(value: bytes) -> bytes:
    return b"Host: " + value + b"\r\n"


REFUSED = {
    "none": (b"", 400),
    "two": (host(NAME) + host(NAME), 400),
    "two different": (host(NAME) + host(b"evil.test"), 400),
    "two, in other letters": (host(NAME) + b"hOST: evil.test\r\n", 400),
    "empty": (host(b""), 400),
    "a space within": (host(b"play.example gouv.fr"), 400),
    "a list": (host(NAME + b", evil.test"), 400),
    "userinfo": (host(b"a@" + NAME), 400),
    "a path": (host(NAME + b"/x"), 400),
    "a query": (host(NAME + b"?x"), 400),
    "a fragment": (host(NAME + b"#x"), 400),
    "a backslash": (host(NAME + b"\\x"), 400),
    "a scheme": (host(b"https://" + NAME), 400),
    "port of letters": (host(NAME + b":http"), 400),
    "port without digits": (host(NAME + b":"), 400),
    "port too large": (host(NAME + b":65536"), 400),
    "two ports": (host(NAME + b":443:443"), 400),
    "obs-text": (host(b"caf\xe9.fr"), 400),
    "UTF-8": (host("café.fr".encode()), 400),
    "a percent escape": (host(b"play%2eexample.gouv.fr"), 400),
    "half an address": (host(b"[::1"), 400),
    "an IPv6 zone": (host(b"[fe80::1%25eth0]"), 400),
    "NUL": (host(NAME + b"\0"), 400),
    "another": (host(b"evil.test"), 421),
    "ours as a part": (host(NAME + b".evil.test"), 421),
    "ours at the end": (host(b"evil" + NAME), 421),
    "another port": (host(NAME + b":8080"), 421),
    "an address": (host(b"127.0.0.1"), 421),
    "localhost": (host(b"localhost"), 421),
    "ours with a dot at the end": (host(NAME + b"."), 421),
}


@LANES
async def test_other_hosts_are_refused(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for name, (lines, status) in REFUSED.items():
            with subtests.test(name):
                before = len(stage.recorder.requests)
                async with stage.line() as line:
                    answer = await line.ask(ask(lines))
                    assert answer.status == status, answer
                    assert b"evil" not in answer.raw
                    if status == 400:
                        assert await line.rest() == b""
                assert stage.recorder.requests[before:] == []


@LANES
async def test_http_1_0_without_a_host_is_refused_as_well(lane: Lane) -> None:
    async with Stage(lane) as stage:
        await stage.check_refused(ask(b"", version=b"1.0"))


@LANES
async def test_ours_passes_in_every_spelling(lane: Lane, subtests: pytest.Subtests) -> None:
    """What we judged is what the upstream gets."""
    rows = {
        "plain": host(NAME),
        "large letters": host(NAME.upper()),
        "with the port": host(NAME + b":443"),
        "no space": b"Host:" + NAME + b"\r\n",
        "blanks": b"Host: \t" + NAME + b"  \r\n",
        "other letters": b"hOsT: " + NAME + b"\r\n",
    }
    async with Stage(lane) as stage:
        await stage.warm()
        for name, lines in rows.items():
            with subtests.test(name):
                seen = await stage.check_passes(ask(lines))
                (found,) = [v for n, v in fields(seen) if n.lower() == b"host"]
                assert found.lower().removesuffix(b":443") == NAME
                assert (b"X-Forwarded-Host", found.lower()) in fields(seen)


@LANES
async def test_forwarded_hosts_of_strangers_say_nothing(lane: Lane) -> None:
    lines = host(NAME) + b"X-Forwarded-Host: evil.test\r\nForwarded: host=evil.test\r\n"
    async with Stage(lane) as stage:
        await stage.warm()
        seen = await stage.check_passes(ask(lines + b"X-Host: evil.test\r\n"))
        assert [v for n, v in fields(seen) if n == b"X-Forwarded-Host"] == [NAME]
        assert seen.count(b"evil") == 1  # the one that means nothing
