"""Tokens are given back when a person signs out; nobody waits, and no failure is anybody's."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.model import Tokens
from proxy.web.log import Log
from proxy.web.revocation import Revocations
from tests.web.place import Browser, Place
from tests.wire.stage import eventually

KEPT: dict[str, Any] = {"session": {"refresh_every": "5m"}, "headers": {"access_token": True}}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(**KEPT) as place:
        place.provider.offer_revocation()
        yield place


async def signed_out(place: Place) -> Browser:
    browser = place.browser()
    await browser.sign_in()
    started = time.monotonic()
    assert (await browser.post("/oauth2/sign_out")).status == 303
    assert time.monotonic() - started < 2
    return browser


def revoked(place: Place) -> list[str]:
    calls = [request for request in place.provider.requests if request.endpoint == "revoke"]
    return [request.fields["token_type_hint"] for request in calls]


async def test_both_tokens_are_given_back_the_refresh_token_first(place: Place) -> None:
    await signed_out(place)
    await eventually(lambda: len(revoked(place)) == 2)
    assert revoked(place) == ["refresh_token", "access_token"]
    assert place.provider.provider.grants.refresh_tokens._entries == {}
    assert "not revoked" not in place.logged()


async def test_only_what_is_kept_is_given_back() -> None:
    async with Place() as place:
        place.provider.offer_revocation()
        await signed_out(place)
        await place.app.parts.logout.close()
        assert revoked(place) == []


async def test_a_provider_without_the_endpoint_is_not_asked() -> None:
    async with Place(**KEPT) as place:
        await signed_out(place)
        await place.app.parts.logout.close()
        assert revoked(place) == []
        assert "not revoked" not in place.logged()


FAULTS = [
    pytest.param("revoke_503", "status 503", id="503"),
    pytest.param("revoke_400", "invalid_request", id="400"),
    pytest.param("revoke_redirect", "redirect", id="redirect"),
    pytest.param("revoke_huge", "", id="huge"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
async def test_a_failure_is_logged_without_the_token(place: Place, fault: str, words: str) -> None:
    place.provider.misbehave(fault)
    await signed_out(place)
    await place.app.parts.logout.close()
    if words:
        assert "tokens are not revoked" in place.logged()
        assert words in place.logged()
    for request in place.provider.requests:
        assert not request.fields.get("token") or request.fields["token"] not in place.logged()
    assert place.provider.calls["elsewhere"] == 0


async def test_a_kind_that_is_never_revoked_is_no_failure(place: Place) -> None:
    place.provider.misbehave("revoke_unsupported")
    await signed_out(place)
    await place.app.parts.logout.close()
    assert "not revoked" not in place.logged()


async def test_a_provider_that_hangs_delays_nobody_and_is_left_at_the_stop(place: Place) -> None:
    place.provider.misbehave("revoke_hang")
    await signed_out(place)
    await asyncio.wait_for(place.provider.behaviour.reached.wait(), 5)
    started = time.monotonic()
    await place.app.parts.logout.close()
    assert 1.5 < time.monotonic() - started < 4
    place.provider.behave()


class _Slow:
    """A provider that is busy until it is told."""

    def __init__(self) -> None:
        self.go, self.asked = asyncio.Event(), 0

    async def revoke(self, tokens: Tokens) -> None:
        self.asked += 1
        await self.go.wait()
        raise RuntimeError("a fault of ours")


async def test_what_waits_is_bounded_and_faults_are_told() -> None:
    stream, slow = io.StringIO(), _Slow()
    log = Log(stream, lambda: 1e9, "json")
    revocations = Revocations(log)
    await revocations.close()
    revocations.begin(slow, Tokens("only an ID token"))  # type: ignore[arg-type]
    for _ in range(1010):
        revocations.begin(slow, Tokens("i", refresh_token="r"))  # type: ignore[arg-type]
    await eventually(lambda: slow.asked == 1000)
    slow.go.set()
    await revocations.close()
    log.flush()
    text = stream.getvalue()
    assert text.count("too many wait") == 10
    assert text.count("RuntimeError") == 1000
    assert slow.asked == 1000
