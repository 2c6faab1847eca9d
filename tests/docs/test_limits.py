"""docs/limits.md: the table below the example is asked of the example's limits."""

from __future__ import annotations

import asyncio
import re

import pytest

from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import TooMany
from proxy.model import Grant, Kind, Target
from proxy.rules.routes import compile_routes
from proxy.session.store import Kept
from proxy.web.limits import LEASE, Limits
from proxy.web.sessions import Life, Opened
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.docs.pages import ROOT, blocks
from tests.docs.test_configs import completed, read
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import person, session

PAGE = ROOT / "docs" / "limits.md"
ROWS = re.findall(
    r"^\| (one|\d+) (person|people|token) \| (\d+) × `(\S+)`, (.+?) \| (\d+) \|$",
    PAGE.read_text(encoding="utf-8"),
    re.M,
)


def somebody(number: int) -> Opened:
    kept = Kept(session(identity=person(subject=f"person {number}")), "value")
    grant = Grant("personal", f"tok_{number}")
    return Opened(kept, "sid", b"key", Life(False), 0.0, grant=grant)


def visit(path: str, number: int, now: float) -> Visit:
    request = Request("GET", path, [], http11=True, keep_alive=True, length=0, upgrade=False)
    made = Visit(request, f"request-{number}", now, "192.0.2.1")
    made.target = Target("GET", "https", "h", path, path, "", Kind.PROGRAM, "192.0.2.1")
    return made


async def let_in(people: int, times: int, path: str, at_once: bool) -> int:
    [example] = [text for _, text in blocks(PAGE, "yaml")]
    route = compile_routes(read(completed(example)), {}, "/oauth2/static/").match(path, "GET")
    assert route is not None
    clock = FakeClock()
    clock.advance(-clock() % 60)
    limits = Limits(MemoryShelf(clock), Pseudonyms([bytes(32)]), clock)
    count = 0
    for number in range(times):
        try:
            passed = await limits.enter(
                route, visit(path, number, clock()), somebody(number % people)
            )
        except TooMany:
            continue
        count += 1
        if not at_once:
            passed.leave()
            await asyncio.sleep(0)
    await limits.close()
    return count


@pytest.mark.parametrize(("people", "_", "times", "path", "how", "expected"), ROWS)
async def test_as_many_are_let_in_as_the_page_says(
    people: str, _: str, times: str, path: str, how: str, expected: str
) -> None:
    count = 1 if people == "one" else int(people)
    assert await let_in(count, int(times), path, how == "at once") == int(expected)


def test_the_page_has_its_rows_and_its_seconds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(ROWS) == 4
    assert f"after {LEASE:g} s" in text
    used = re.findall("`([A-Z]+)`", text)
    rights = (ROOT / "tests" / "fakes" / "redis_servers.py").read_text(encoding="utf-8")
    assert used
    assert all(f"+{word.lower()} " in rights for word in used)
