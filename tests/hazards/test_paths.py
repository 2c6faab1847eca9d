"""One reading of a path, for the rule and for the upstream (security.md 3.5)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import LANES, Lane, Stage, asking

REFUSED = [
    b"/open/../app", b"/open/..", b"/open/../../app", b"/open/%2e%2e/app", b"/open/%2E%2E/app",
    b"/open/.%2e/app", b"/open/./app", b"/open/%2e/app", b"/open/..%2fapp", b"/open/..%5capp",
    b"/open%2fapp", b"/open/%2Fapp", b"/open%5capp", b"/open/..\\app", b"/open\\app",
    b"//app", b"/open//app", b"///open/x", b"/open/x//", b"/open/%00", b"/open/x%00.html",
    b"/open/%0aapp", b"/open/%0d%0a", b"/open/%7f", b"/open/%c0%af", b"/open/%c0%ae%c0%ae/app",
    b"/open/%e0%80%af", b"/open/%ff", b"/open/%252e%252e/app", b"/open/%252f", b"/open/%zz",
    b"/open/%", b"/open/%2", b"/open/..;/app", b"/open/..;a=b/app", b"/open/;/app",
    b"/open/x;y", b"/open/\x01", b"/open/%u002e%u002e/app", b"/open/%c2%85",
]  # fmt: skip

CLOSED = [
    b"/app", b"/open;/app", b"/opens", b"/open.", b"/open-x", b"/OPEN/x", b"/Open/x", b"/oPen/",
    b"/open%20/x", b"/openx/", b"/%6fpens", b"/", b"/?/open/x", b"/app?/open/x",
    b"/app?x=/../open/", b"/app/open/x",
]  # fmt: skip

OPEN = [
    b"/open", b"/open/", b"/open/x", b"/open/%41", b"/%6fpen/x", b"/open/x?../app", b"/open/x?//",
    b"/open/x?a=%2e%2e%2f", b"/open/...", b"/open/..x", b"/open/x..", b"/open/.well-known",
    b"/open/caf%C3%A9", b"/open/a%20b", b"/open/x,y:z@w",
]  # fmt: skip


@LANES
async def test_two_readings_are_refused(lane: Lane, subtests: pytest.Subtests) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for target in REFUSED:
            with subtests.test(repr(target)):
                await stage.check_refused(asking(target))


@LANES
async def test_what_is_not_open_is_closed(lane: Lane, subtests: pytest.Subtests) -> None:
    """Also for those whom headers call something else."""
    lines = b"X-Original-URL: /open/x\r\nX-Rewrite-URL: /open/x\r\nX-Forwarded-Uri: /open/x\r\n"
    async with Stage(lane) as stage:
        await stage.warm()
        for target in CLOSED:
            for more in (b"", lines):
                with subtests.test(repr(target)):
                    before = len(stage.recorder.requests)
                    async with stage.line() as line:
                        assert (await line.ask(asking(target, more))).status in (401, 404)
                    assert len(stage.recorder.requests) == before


@LANES
async def test_the_upstream_gets_the_bytes_that_were_judged(
    lane: Lane, subtests: pytest.Subtests
) -> None:
    async with Stage(lane) as stage:
        await stage.warm()
        for target in OPEN:
            with subtests.test(repr(target)):
                seen = await stage.check_passes(asking(target))
                assert seen.split(b" ", 2)[1] == target
