"""Alive, ready, metrics and keys: who may ask what, and what they learn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.errors import ProviderError, Reason
from proxy.web.providers import IdentityProvider
from tests.web.place import HOST, Place

JWKS = "/oauth2/.well-known/jwks.json"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        await provider_of(place).check()
        yield place


def provider_of(place: Place) -> IdentityProvider:
    assert place.app.parts.providers is not None
    return place.app.parts.providers.first


async def private(place: Place, path: str) -> tuple[int, Any]:
    """Status and body from the private listener."""
    url = f"http://127.0.0.1:{place.app.private_port}{path}"
    async with place.http.get(url) as response:
        text = await response.text()
        is_json = "json" in response.content_type
        return response.status, json.loads(text) if is_json else text


async def test_ping_needs_nothing(place: Place) -> None:
    await place.provider.stop()
    for host in (HOST, "127.0.0.1", "10.2.3.4:8080", "anything.example"):
        answer = await place.browser().get("/ping", page=False, headers={"Host": host})
        assert (answer.status, answer.body) == (200, b"OK\n")
        assert answer.set_cookies == []
    assert (await place.browser().post("/ping")).status == 405
    assert place.upstream.seen == []


async def test_a_user_agent_opens_nothing(place: Place) -> None:
    # oauth2-proxy GHSA-5hvv: a health checker's name was let through
    for agent in ("GoogleHC/1.0", "kube-probe/1.29", "Pingdom"):
        answer = await place.browser().get("/", page=False, headers={"User-Agent": agent})
        assert answer.status == 401


async def test_strangers_learn_only_whether_we_are_ready(place: Place) -> None:
    answer = await place.browser().get("/ready", page=False, headers={"Host": "10.0.0.1"})
    assert (answer.status, json.loads(answer.body)) == (200, {"status": "ready"})
    await place.provider.stop()
    place.clock.advance(30)
    with pytest.raises(ProviderError):
        await provider_of(place).check()
    answer = await place.browser().get("/ready", page=False)
    assert (answer.status, json.loads(answer.body)) == (503, {"status": "unavailable"})
    status, document = await private(place, "/ready")
    assert status == 503
    assert document == {
        "status": "unavailable",
        "checks": {
            "serving": "ok",
            "provider": "provider_unreachable",
            "sessions": "ok",
            "signing_key": "ok",
        },
        "missing": [],
    }


async def test_before_the_provider_was_asked_we_are_not_ready(place: Place) -> None:
    place.provider.misbehave("discovery_hang")
    await place.start_proxy()
    status, document = await private(place, "/ready")
    assert (status, document["checks"]["provider"]) == (503, "not asked yet")
    place.provider.behave()


async def test_metadata_without_keys_are_not_enough(place: Place) -> None:
    place.provider.misbehave("jwks_500")
    await place.start_proxy()
    with pytest.raises(ProviderError):
        await provider_of(place).check()
    assert (await private(place, "/ready"))[1]["checks"]["provider"] == "provider_error"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param("discovery_500", Reason.PROVIDER_ERROR, id="metadata"),
        pytest.param("discovery_wrong_issuer", Reason.PROVIDER_METADATA_INVALID, id="not its own"),
        pytest.param("jwks_500", Reason.PROVIDER_ERROR, id="keys"),
        pytest.param("jwks_empty", Reason.PROVIDER_METADATA_INVALID, id="no key at all"),
    ],
)
async def test_trouble_is_seen_within_the_check_interval_and_heals_by_itself(
    place: Place, fault: str, reason: Reason
) -> None:
    """Although metadata and keys are good for an hour, and sign-ins go on with them."""
    assert place.settings().provider.metadata_ttl == 3600
    place.provider.misbehave(fault)
    place.clock.advance(30)
    with pytest.raises(ProviderError):
        await provider_of(place).check()
    status, document = await private(place, "/ready")
    assert (status, document["checks"]["provider"]) == (503, reason)
    assert (await place.browser().sign_in()).status == 303
    place.provider.behave()
    await provider_of(place).check()
    assert (await private(place, "/ready"))[0] == 200


async def test_the_app_itself_asks_in_its_check_interval() -> None:
    async with Place(provider={"check_every": "1s"}) as place:
        await _until(place, "ready")
        place.provider.misbehave("discovery_500")
        place.clock.advance(30)
        await _until(place, "unavailable")
        place.provider.behave()
        await _until(place, "ready")


async def _until(place: Place, word: str) -> None:
    """By the real clock: two check intervals."""
    async with asyncio.timeout(5):
        while True:
            answer = await place.browser().get("/ready", page=False)
            if json.loads(answer.body)["status"] == word:
                return
            await asyncio.sleep(0.05)


async def test_what_is_missing_is_named_on_the_private_listener_only(place: Place) -> None:
    place.provider.misbehave("discovery_no_token_endpoint")
    await place.start_proxy()
    with pytest.raises(ProviderError):
        await provider_of(place).check()
    status, document = await private(place, "/ready")
    assert (status, document["missing"]) == (503, ["provider.token_endpoint"])
    answer = await place.browser().get("/ready", page=False)
    assert json.loads(answer.body) == {"status": "unavailable"}


async def test_of_several_providers_one_is_enough() -> None:
    async with Place(providers=[{"name": "one"}, {"name": "two"}]) as place:
        assert place.app.parts.providers is not None
        one, two = place.app.parts.providers.all
        await asyncio.gather(one.check(), two.check())
        assert (await private(place, "/ready"))[1]["status"] == "ready"

        place.idps["two"].misbehave("discovery_no_token_endpoint")
        place.clock.advance(30)
        with pytest.raises(ProviderError):
            await two.check()
        status, document = await private(place, "/ready")
        assert (status, document["status"]) == (200, "degraded")
        assert document["checks"]["provider one"] == "ok"
        assert document["checks"]["provider two"] == Reason.PROVIDER_METADATA_INVALID
        assert document["missing"] == ["providers.1.token_endpoint"]
        answer = await place.browser().get("/ready", page=False)
        assert (answer.status, json.loads(answer.body)) == (200, {"status": "degraded"})

        await place.idps["one"].stop()
        place.clock.advance(30)
        with pytest.raises(ProviderError):
            await one.check()
        assert (await private(place, "/ready"))[0] == 503
        assert (await place.browser().get("/ready", page=False)).status == 503


async def test_a_stopping_process_is_alive_but_not_ready(place: Place) -> None:
    place.app.parts.stopping = True
    assert (await place.browser().get("/ping")).status == 200
    assert (await place.browser().get("/ready", page=False)).status == 503
    assert (await private(place, "/ready"))[1]["checks"]["serving"] == "stopping"


async def test_metrics_are_private(place: Place) -> None:
    status, text = await private(place, "/metrics")
    assert status == 200
    assert "auth_proxy_requests_total" in text
    assert (await place.browser().get("/metrics", page=False)).status == 401
    assert (await place.browser().get("/oauth2/metrics", page=False)).status == 404
    browser = place.browser()
    await browser.sign_in()
    assert json.loads((await browser.get("/metrics")).body)["target"] == "/metrics"


async def test_the_private_listener_serves_nothing_else(place: Place) -> None:
    for path in ("/", "/oauth2/start", "/oauth2/auth", "/oauth2/callback?state=x"):
        assert (await private(place, path))[0] == 404
    assert (await private(place, "/ping"))[0] == 200
    assert place.upstream.seen == []


async def test_the_keys_are_public_and_only_public(place: Place) -> None:
    answer = await place.browser().get(JWKS, page=False)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert answer.set_cookies == []
    (key,) = json.loads(answer.body)["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    status, document = await private(place, JWKS)
    assert (status, document["keys"]) == (200, [key])


async def test_people_are_answered_at_our_host_only_and_machines_at_any(place: Place) -> None:
    asked = {"/oauth2/start": 421, "/oauth2/signed_out": 421, "/oauth2/userinfo": 421}
    for path, status in (asked | {JWKS: 200, "/oauth2/auth": 401}).items():
        answer = await place.browser().get(path, headers={"Host": "evil.example"})
        assert answer.status == status, path
        assert "evil.example" not in answer.text


async def test_without_authentication_nobody_has_to_be_asked() -> None:
    settings: dict[str, Any] = {"auth": {"disabled": True}, "cookie": {"secret": ()}}
    async with Place(**settings) as place:
        await asyncio.sleep(0)
        assert (await place.browser().get("/ready", page=False)).status == 200
        assert (await place.browser().get("/oauth2/start")).status == 404
        assert place.provider.calls["discovery"] == 0
        answer = await place.browser().get("/", headers={"X-Forwarded-User": "admin"})
        assert answer.status == 200
        assert place.upstream.header("X-Forwarded-User") == []
        assert place.upstream.header("X-Forwarded-Identity") == []
