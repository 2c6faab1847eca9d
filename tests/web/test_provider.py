"""Calls to the provider: cached, shared, bounded, and calm when it misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from proxy.errors import LoginError, ProviderError, Reason
from proxy.model import Tokens
from proxy.web.providers import IdentityProvider
from tests.fakes.misbehaviour import SIGN
from tests.web.place import PUBLIC, Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


def provider_of(place: Place) -> IdentityProvider:
    assert place.app.parts.providers is not None
    return place.app.parts.providers.first


async def test_a_provider_that_is_down_at_the_start_and_comes_later(place: Place) -> None:
    await provider_of(place).check()
    await place.provider.stop()
    await place.start_proxy()
    browser = place.browser()
    started = time.monotonic()
    page = await browser.get("/deep")
    assert time.monotonic() - started < 5
    assert page.status == 502
    assert Reason.PROVIDER_UNREACHABLE in page.text
    assert 'href="/deep"' in page.text
    assert (await browser.get("/ping")).status == 200
    assert (await browser.get("/ready", page=False)).status == 503
    await place.provider.restart()
    await provider_of(place).check()
    assert (await browser.get("/ready", page=False)).status == 200
    assert (await browser.sign_in("/deep")).status == 303


async def test_sign_ins_do_not_queue_up_behind_a_provider_that_hangs() -> None:
    async with Place(provider={"timeout": "600ms"}) as place:
        place.provider.misbehave("discovery_hang")
        await place.start_proxy()
        started = time.monotonic()
        pages = await asyncio.gather(*(place.browser().get("/") for _ in range(12)))
        assert time.monotonic() - started < 2.4, "four times the limit: one after the other"
        assert {page.status for page in pages} == {504}
        assert place.provider.calls["discovery"] <= 4
        place.provider.behave()


async def test_keys_are_read_again_for_a_rotation(place: Place) -> None:
    await place.browser().sign_in()
    known = place.provider.calls["jwks"]
    place.provider.rotate_keys()
    assert (await place.browser().sign_in()).status == 303
    assert place.provider.calls["jwks"] == known + 1


async def test_sign_ins_at_the_moment_of_a_rotation_all_complete(place: Place) -> None:
    await place.browser().sign_in()
    known = place.provider.calls["jwks"]
    browsers = [place.browser() for _ in range(6)]
    callbacks = [await browser.callback_url() for browser in browsers]
    place.provider.rotate_keys()
    pairs = zip(browsers, callbacks, strict=True)
    answers = await asyncio.gather(*(browser.get(url) for browser, url in pairs))
    assert [answer.status for answer in answers] == [303] * 6
    assert place.provider.calls["jwks"] == known + 1


async def test_a_thousand_unknown_keys_cause_one_read(place: Place) -> None:
    provider = provider_of(place)
    await provider.check()
    known = place.provider.calls["jwks"]
    claims = {"iss": place.provider.issuer, "aud": "proxy", "sub": "x", "nonce": "n"}
    stranger = SIGN["id_token_unknown_kid"](place.provider.provider.keys, claims)
    for _ in range(1000):
        with pytest.raises(LoginError) as refused:
            await provider.told(Tokens(stranger), "n")
        assert refused.value.reason is Reason.ID_TOKEN_INVALID
    assert place.provider.calls["jwks"] == known + 1
    place.clock.advance(61)
    with pytest.raises(LoginError):
        await provider.told(Tokens(stranger), "n")
    assert place.provider.calls["jwks"] == known + 2


async def test_a_failed_reread_of_keys_is_forgotten_soon(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    place.provider.misbehave("jwks_500", "id_token_unknown_kid")
    assert (await place.browser().sign_in()).status == 403
    assert (await browser.get("/ready", page=False)).status == 503
    place.provider.behave()
    place.clock.advance(5)
    await provider_of(place).check()
    assert (await browser.get("/ready", page=False)).status == 200


async def test_userinfo_signed_by_an_unknown_key_is_told_as_such(place: Place) -> None:
    browser = place.browser()
    callback = await browser.callback_url()

    def with_a_new_key(claims: dict[str, object]) -> dict[str, object]:
        place.provider.rotate_keys()
        return claims

    place.provider.behaviour.userinfo_change = with_a_new_key
    await provider_of(place).check()
    place.provider.misbehave("userinfo_jwt", "jwks_500")
    answer = await browser.get(callback)
    assert answer.status == 403
    assert Reason.USERINFO_INVALID in answer.text


async def test_old_metadata_serve_while_the_provider_is_down(place: Place) -> None:
    browser = place.browser()
    await browser.sign_in()
    await place.provider.stop()
    place.clock.advance(3601)
    assert (await place.browser().get("/")).status == 302
    assert (await browser.get("/")).status == 200
    with pytest.raises(ProviderError):
        await provider_of(place).check()
    answer = await browser.get("/ready", page=False)
    assert answer.status == 503
    assert "127.0.0.1" not in answer.text


async def test_endpoints_without_discovery() -> None:
    async with Place() as place:
        issuer = place.provider.issuer
        names = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
        endpoints = {f"{name}_endpoint": f"{issuer}/{path}" for name, path in names.items()}
        settings = {"discovery": False, "jwks_uri": f"{issuer}/jwks", **endpoints}
        settings |= {"extra_headers": {"X-Tenant": "one"}, "pkce": "off"}
        await provider_of(place).check()
        known = place.provider.calls["discovery"]
        await place.start_proxy(provider=settings)
        browser = place.browser()
        assert (await browser.sign_in()).status == 303
        assert place.provider.calls["discovery"] == known
        request = place.provider.last("token")
        assert request.headers["X-Tenant"] == "one"
        assert request.fields["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
        for endpoint in ("token", "userinfo", "jwks"):
            assert "Cookie" not in place.provider.last(endpoint).headers


async def test_calls_are_counted_without_anything_personal(place: Place) -> None:
    await place.browser().sign_in()
    text = place.app.parts.metrics.render().decode()
    for call in ("metadata", "keys", "token", "userinfo"):
        assert f'auth_proxy_provider_seconds_count{{call="{call}",outcome="200"}}' in text
    assert "alice" not in text
    assert "auth_proxy_logins_total 1.0" in text
