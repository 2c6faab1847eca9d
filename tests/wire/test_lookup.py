"""A host's addresses: asked for, asked for again, kept while nobody answers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from proxy.wire.lookup import Lookup, resolve
from proxy.wire.origin import Origin
from tests.fakes.names import Names
from tests.wire.stage import eventually

APP = Origin("http", "app", 80)
NEVER = 3600.0


class Watched:
    """A lookup, and how often it said that something has changed."""

    def __init__(self, names: Names, ttl: float = NEVER, origin: Origin = APP) -> None:
        self.changes = 0
        self.lookup = Lookup(origin, names, ttl, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def first(self) -> tuple[str, ...]:
        if task := self.lookup.first():
            await asyncio.wait({task})
        return self.lookup.found


@pytest.mark.parametrize(
    ("url", "found"),
    [
        pytest.param("http://192.0.2.1:80", "192.0.2.1", id="IPv4"),
        pytest.param("http://[2001:db8::1]", "2001:db8::1", id="IPv6"),
        pytest.param("http://[fe80::1%251]", "fe80::1%251", id="IPv6 with a zone"),
        pytest.param("unix:/run/app.sock:/base", "/run/app.sock", id="unix"),
    ],
)
async def test_what_is_no_name_is_never_asked_for(url: str, found: str) -> None:
    names = Names({})
    watched = Watched(names, origin=Origin.parse(url))
    assert await watched.first() == (found,)
    assert names.asked == []


async def test_all_who_wait_share_one_question() -> None:
    names = Names({"app": ["192.0.2.1", "192.0.2.2", "192.0.2.1"]})
    watched = Watched(names)
    assert watched.lookup.first() is watched.lookup.first()
    assert await watched.first() == ("192.0.2.1", "192.0.2.2")
    assert (names.asked, watched.changes) == (["app"], 1)
    assert watched.lookup.first() is None
    watched.lookup.close()


async def test_a_name_is_asked_for_again_and_only_a_change_is_told() -> None:
    names = Names({"app": ["192.0.2.1"]})
    watched = Watched(names, ttl=0.01)
    await watched.first()
    await eventually(lambda: len(names.asked) > 3)
    assert watched.changes == 1
    names.answers["app"] = ["192.0.2.2"]
    await eventually(lambda: watched.lookup.found == ("192.0.2.2",))
    assert watched.changes == 2
    watched.lookup.close()
    asked = len(names.asked)
    await asyncio.sleep(0.05)
    assert len(names.asked) == asked


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(socket.gaierror(-3, "Temporary failure in name resolution"), id="no server"),
        pytest.param([], id="no address"),
        pytest.param(UnicodeError("label too long"), id="not a name"),
    ],
)
async def test_while_nobody_answers_the_last_good_answer_stands(
    failure: Exception | list[str],
) -> None:
    names = Names({"app": ["192.0.2.1"]})
    watched = Watched(names, ttl=0.01)
    await watched.first()
    names.answers["app"] = failure
    await eventually(lambda: watched.lookup.error)
    asked = len(names.asked)
    await eventually(lambda: len(names.asked) > asked)
    assert watched.lookup.found == ("192.0.2.1",)
    names.answers["app"] = ["192.0.2.2"]
    await eventually(lambda: watched.lookup.found == ("192.0.2.2",))
    assert watched.lookup.error == ""
    watched.lookup.close()


async def test_a_name_that_was_never_found_is_asked_for_at_each_need_only() -> None:
    names = Names({"app": socket.gaierror(-2, "Name or service not known")})
    watched = Watched(names, ttl=0.01)
    assert await watched.first() == ()
    assert watched.lookup.error == "Name or service not known"
    await asyncio.sleep(0.05)
    assert names.asked == ["app"]
    names.answers["app"] = ["192.0.2.1"]
    assert await watched.first() == ("192.0.2.1",)
    watched.lookup.close()


async def test_the_systems_own_answer() -> None:
    found = await resolve("localhost", 80)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert found
