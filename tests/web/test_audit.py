"""One line for each decision about a person: who, from where, what and why; no secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.web.place import Place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(access={"email_domains": ["example.org"]}) as place:
        yield place


async def test_a_life_in_lines(place: Place) -> None:
    browser = place.browser()
    answer = await browser.sign_in("/deep?secret-query")
    (line,) = place.audited("login")
    assert {key: line[key] for key in ("level", "reason", "client", "path", "sub", "email")} == {
        "level": "info",
        "reason": "signed_in",
        "client": "127.0.0.1",
        "path": "/oauth2/callback",
        "sub": "alice-5f0c3b1e",
        "email": "alice@example.org",
    }
    assert line["iss"] == place.provider.issuer
    assert line["request_id"] == answer.headers["X-Request-Id"]
    await browser.get("/")
    await browser.post("/oauth2/sign_out")
    assert len(place.audited("login")) == 1
    (line,) = place.audited("logout")
    assert (line["reason"], line["sub"]) == ("signed_out", "alice-5f0c3b1e")
    assert "secret-query" not in place.logged()


async def test_a_denial_says_who_and_why(place: Place) -> None:
    answer = await place.browser().sign_in("/", "mallory")
    (line,) = place.audited("denied")
    assert (line["reason"], line["email"]) == ("email_not_allowed", "mallory@elsewhere.example")
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert place.audited("login") == []


async def test_a_failed_sign_in_says_why_and_names_nobody(place: Place) -> None:
    await place.browser().get("/oauth2/callback?code=secret-code&state=secret-state")
    (line,) = place.audited("login_failed")
    assert line["reason"] == "attempt_missing"
    assert not {"sub", "email", "iss"} & set(line)
    assert "secret" not in place.logged()


async def test_what_the_provider_says_is_redacted_and_short(place: Place) -> None:
    description = "code=abcdefghijkl " + "x" * 5000
    browser = place.browser()
    callback = await browser.callback_url()
    kept = callback.partition("code=")[2].partition("&")[2]
    error = description.replace(" ", "%20").replace("=", "%3D")
    await browser.get(f"/oauth2/callback?error=odd&error_description={error}&{kept}")
    (line,) = place.audited("login_failed")
    assert "abcdefghijkl" not in place.logged()
    assert "error='odd'" in line["detail"]
    assert len(line["detail"]) <= 500


async def test_a_trusted_hop_tells_the_client(place: Place) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9"}
    await place.browser().get("/oauth2/callback?state=x", headers=headers)
    assert place.audited("login_failed")[-1]["client"] == "127.0.0.1"
    await place.start_proxy(server={"trusted_proxies": ["127.0.0.1/32"]} | LISTEN)
    await place.browser().get("/oauth2/callback?state=x", headers=headers)
    assert place.audited("login_failed")[-1]["client"] == "203.0.113.9"


LISTEN = {"listen": "127.0.0.1:0", "private_listen": "127.0.0.1:0"}


async def test_audit_lines_are_written_at_every_level() -> None:
    place = Place()
    place.log_level = "error"
    async with place:
        await place.browser().sign_in()
        assert len(place.audited("login")) == 1
        assert place.audited("access") == []


async def test_claims_that_are_kept_are_told() -> None:
    extra = {"extra": ["given_name", "family_name", "absent"]}
    async with Place(claims=extra) as place:
        await place.browser().sign_in()
        (line,) = place.audited("login")
        assert (line["given_name"], line["family_name"]) == ("Alice", "Martin")
        assert "absent" not in line
