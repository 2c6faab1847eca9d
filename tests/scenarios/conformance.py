"""One run of the conformance suite's modules through the whole proxy, and what it must show."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from tests.fakes.provider import Recorded
from tests.web.place import PUBLIC, Browser, Place
from tests.web.test_backchannel import ALICE
from tests.web.test_login_faults import DEEP, Expected, check, nothing_leaked

Run = Callable[[], Awaitable[None]]


def signs_in(*faults: str, **settings: Any) -> Run:
    """The person gets in, userinfo is asked once, and the upstream learns who it is."""

    async def run() -> None:
        async with Place(**settings) as place:
            place.provider.misbehave(*faults)
            await gets_in(place, place.browser())
            assert place.provider.calls["userinfo"] == 1
            proper(place)

    return run


def refused(
    expected: Expected, *faults: str, metadata: Mapping[str, Any] | None = None, **settings: Any
) -> Run:
    """Nobody gets in, and the access token is never used."""

    async def run() -> None:
        async with Place(**settings) as place:
            registered(place)
            place.provider.behaviour.more_metadata.update(metadata or {})
            place.provider.misbehave(*faults)
            await is_refused(place, place.browser(), expected)
            assert place.provider.calls["userinfo"] == 0
            proper(place)

    return run


def registered(place: Place) -> str:
    """The provider knows us by the secret that our settings hold."""
    client = place.provider.provider.clients["proxy"]
    secret = place.settings().provider.client_secret.reveal()
    place.provider.register(replace(client, secret=secret))
    return secret


async def gets_in(place: Place, browser: Browser) -> None:
    check(place, "sign-in", browser, await browser.sign_in(DEEP), None)
    assert (await browser.get(DEEP)).status == 200
    claims = await place.identity()
    assert (claims["sub"], claims["email"]) == (ALICE, "alice@example.org")
    assert claims["groups"] == ["admins", "dev"]
    nothing_leaked(place)


async def is_refused(place: Place, browser: Browser, expected: Expected) -> None:
    assert expected is not None
    known = len(place.audited("login_failed"))
    check(place, "sign-in", browser, await browser.sign_in(DEEP), expected)
    (line,) = place.audited("login_failed")[known:]
    assert line["reason"] == expected[1]
    assert (await browser.get(DEEP)).status == 302
    assert place.upstream.seen == []
    nothing_leaked(place)


def proper(place: Place) -> None:
    """What the suite checks of every request that it gets."""
    challenges = []
    for request in place.provider.requests:
        fields = request.fields
        assert len(fields) == len(set(fields)), "a parameter comes twice"
        if request.endpoint == "authorize":
            assert "openid" in fields["scope"].split()
            assert fields["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
            assert (fields["response_type"], fields["client_id"]) == ("code", "proxy")
            assert fields["code_challenge_method"] == "S256"
            assert min(len(fields[name]) for name in ("state", "nonce")) >= 43
            assert "client_secret" not in fields
            challenges.append(fields["code_challenge"])
        elif request.endpoint == "token":
            _proper_token_request(request, challenges)
        elif request.endpoint == "userinfo":
            assert request.headers["Authorization"].startswith("Bearer ")
            assert (request.method, len(fields)) == ("GET", 0)


def _proper_token_request(request: Recorded, challenges: list[str]) -> None:
    fields = request.fields
    assert request.method == "POST"
    assert ("client_secret" in fields) != ("Authorization" in request.headers)
    if fields["grant_type"] == "authorization_code":
        assert fields["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenges[-1]
