"""Debug sign-ins: who may look, what is shown, and that nothing comes of it but the showing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from proxy.demo.people import ALICE
from tests.web.pages.document import Document
from tests.web.place import Answer, Browser, Place, attempt_cookies

PATH = "/oauth2/debug"
HERE = {"Sec-Fetch-Site": "same-origin"}
ADMINS = [{"name": "admin", "emails": ["alice@example.org"]}, {"name": "user", "groups": ["dev"]}]
DEBUG = {"enabled": True, "roles": ["admin"]}
INERT = "</script><script>alert(1)</script>"
TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.AAAAAAAA"


def options(**changes: Any) -> dict[str, Any]:
    return {
        "debug": DEBUG,
        "roles": ADMINS,
        "access": {"name": "us", "email_domains": ["example.org"]},
        "routes": [
            {"path": "/open/*", "access": "public"},
            {"path": "/dev/*", "rule": {"groups": {"any": ["dev"]}}},
            {"path": "/top/*", "rule": {"name": "the top", "roles": ["king"]}},
            {"path": "/fresh", "rule": {"acr_values": ["strong"]}, "methods": ["POST", "GET"]},
        ],
        **changes,
    }


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place(**options()) as place:
        yield place


async def signed_in(place: Place, user: str = "alice") -> Browser:
    browser = place.browser()
    await browser.sign_in("/", user)
    return browser


async def token_of(browser: Browser) -> str:
    found = await browser.get(PATH, page=False)
    assert found.status == 200, found.text
    return str(json.loads(found.body)["token"])


async def begun(browser: Browser, headers: Mapping[str, str] = HERE, **fields: str) -> Answer:
    """The answer to the form, sent as our page would."""
    data = {"token": await token_of(browser), "provider": "default", **fields}
    return await browser.post(PATH, data=data, headers=headers)


async def shown(place: Place, browser: Browser, user: str = "bob", **fields: str) -> Answer:
    """From the form through the provider to the findings."""
    start = await begun(browser, HERE, **fields)
    assert start.status == 303, start.text
    place.provider.forget()
    return await browser.get(await place.provider.sign_in(start.location, user))


async def test_the_page_has_a_button_for_the_provider_and_keeps_what_ours_keep(
    place: Place,
) -> None:
    browser = await signed_in(place)
    answer = await browser.get(PATH, headers={"Accept-Language": "fr"})
    assert answer.status == 200
    found = Document(answer.body)
    assert found.within("h1") == ["Examiner une connexion"]
    (button,) = found.all("button")
    assert (button["name"], button["value"]) == ("provider", "default")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


async def test_it_is_not_there_unless_it_is_switched_on() -> None:
    async with Place(**options(debug={"enabled": False, "roles": ["admin"]})) as place:
        browser = await signed_in(place)
        for method in ("GET", "POST"):
            assert (await browser.request(method, PATH)).status == 404
        assert (await place.browser().get(PATH)).status == 404


async def test_whoever_is_not_signed_in_is_sent_to_sign_in(place: Place) -> None:
    browser = place.browser()
    answer = await browser.sign_in(PATH)
    assert (answer.status, answer.location) == (303, PATH)
    program = await place.browser().get(PATH, page=False)
    assert program.status == 401
    assert json.loads(program.body)["error"] == "no_session"


async def test_without_the_role_nobody_looks_and_that_is_audited(place: Place) -> None:
    browser = await signed_in(place, "bob")
    for answer in (await browser.get(PATH), await browser.post(PATH, data={}, headers=HERE)):
        assert answer.status == 403
        assert "role_not_allowed" in answer.text
    lines = place.audited("denied")
    assert [(line["reason"], line["rule"], line["email"]) for line in lines] == [
        ("role_not_allowed", "debug.roles", "bob@example.org")
    ] * 2


@pytest.mark.parametrize(
    ("headers", "fields", "status"),
    [
        pytest.param({"Sec-Fetch-Site": "cross-site"}, {}, 403, id="another site"),
        pytest.param({"Sec-Fetch-Site": "same-site"}, {}, 403, id="a sibling"),
        pytest.param({"Origin": "https://evil.example"}, {}, 403, id="another origin"),
        pytest.param({}, {"token": ""}, 403, id="no token"),
        pytest.param({}, {"token": "0" * 64}, 403, id="another token"),
        pytest.param({}, {}, 303, id="an old browser, with the token"),
        pytest.param(HERE, {"provider": "nobody"}, 404, id="no such provider"),
    ],
)
async def test_only_our_own_page_begins_one(
    place: Place, headers: dict[str, str], fields: dict[str, str], status: int
) -> None:
    browser = await signed_in(place)
    answer = await begun(browser, headers, **fields)
    assert answer.status == status
    assert bool(attempt_cookies(browser.cookies)) == (status == 303)


async def test_another_sessions_token_is_of_no_use(place: Place) -> None:
    other, browser = await signed_in(place), await signed_in(place)
    answer = await begun(browser, token=await token_of(other))
    assert (answer.status, "cross_site" in answer.text) == (403, True)


async def test_all_of_a_sign_in_is_shown_and_none_begins(place: Place) -> None:
    browser = await signed_in(place)
    before = dict(browser.cookies)
    answer = await shown(place, browser, "bob")
    assert answer.status == 200
    assert attempt_cookies(browser.cookies) == []
    assert browser.session == before["__Host-auth_proxy"]
    found = Document(answer.body)
    assert found.within("h1") == ["What the sign-in brought"]
    assert "Let in" in found.within("strong")
    for text in ("bob@example.org", "group 'dev'", "email: example.org", "/top/*", "the top"):
        assert text in found.text
    (line,) = place.audited("debug_sign_in")
    assert (line["reason"], line["email"]) == ("sign_in_shown", "alice@example.org")
    assert (line["shown_sub"], line["provider"], line["outcome"]) == (
        "bob-92d7aa40", "default", "allowed",
    )  # fmt: skip
    assert [who["email"] for who in place.audited("login")] == ["alice@example.org"]
    who = await browser.get("/oauth2/userinfo", page=False)
    assert json.loads(who.body)["email"] == "alice@example.org"


async def test_the_same_as_json(place: Place) -> None:
    browser = await signed_in(place)
    answer = await shown(place, browser, "bob", format="json")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store"
    document = json.loads(answer.body)
    assert document["provider"] == "default"
    assert document["outcome"] == {"verdict": "allowed"}
    assert document["session_begun"] is False
    assert document["identity"]["role"] == "user"
    assert document["role"] == {"why": "group 'dev'"}
    assert document["groups"] == [
        {"source": "id_token", "groups": ["dev"]},
        {"source": "userinfo", "groups": ["dev"]},
    ]
    assert document["merged_claims"]["email"] == "bob@example.org"
    assert document["id_token_claims"]["nonce"] == "[redacted]"
    verdicts = {route["path"]: route["verdict"] for route in document["routes"]}
    assert verdicts == {
        "/open/*": "anonymous", "/dev/*": "allowed", "/top/*": "refused", "/fresh": "step_up",
        "/*": "allowed",
    }  # fmt: skip
    assert {line["holds"] for line in document["rules"]} == {True}


async def test_somebody_whom_the_rules_refuse_is_shown_with_the_reason(place: Place) -> None:
    browser = await signed_in(place)
    document = json.loads((await shown(place, browser, "mallory", format="json")).body)
    assert document["outcome"]["verdict"] == "refused"
    assert document["outcome"]["reason"] == "email_not_allowed"
    assert document["outcome"]["rule"] == "us"
    assert False in {line["holds"] for line in document["rules"]}
    page = await shown(place, browser, "mallory")
    assert "Refused (email_not_allowed)" in page.text


async def test_what_cannot_be_believed_is_shown_as_the_error_that_it_is(place: Place) -> None:
    browser = await signed_in(place)
    start = await begun(browser, format="json")
    place.provider.misbehave("id_token_wrong_nonce")
    place.provider.forget()
    answer = await browser.get(await place.provider.sign_in(start.location))
    document = json.loads(answer.body)
    assert document["error"]["reason"] == "nonce_mismatch"
    assert document["outcome"]["verdict"] == "refused"
    assert (document["identity"], document["id_token_claims"]) == (None, None)
    assert document["routes"] == []
    (line,) = place.audited("debug_sign_in")
    assert line["outcome"] == "nonce_mismatch"
    assert "shown_sub" not in line


async def test_claims_are_text_and_nothing_else_and_secrets_are_gone(place: Place) -> None:
    browser = await signed_in(place)
    hostile = {
        "name": INERT,
        "nested": {INERT: [INERT], "refresh_token": "s3cr3t", "list": [TOKEN]},
        "sid": "provider-session",
        "turned": "\u202egro.elpmaxe",
    }
    odd = replace(ALICE, name=INERT, extra=hostile)
    idp = place.provider
    idp.provider.users = {**idp.provider.users, ALICE.username: odd}
    known = idp.behaviour.scopes
    idp.behaviour.scopes = {**known, "profile": (*known["profile"], *hostile)}
    for fields in ({}, {"format": "json"}):
        answer = await shown(place, browser, "alice", **fields)
        assert "s3cr3t" not in answer.text
        assert "provider-session" not in answer.text
        assert TOKEN not in answer.text
        assert not place.secrets() & set(answer.text.replace('"', " ").split())
        assert not [secret for secret in place.secrets() if secret in answer.text]
    page = await shown(place, browser, "alice")
    found = Document(page.body)
    assert found.all("script") == []
    assert INERT in found.text
    assert "\u202e" not in page.text
    assert "\\u202e" in page.text


@pytest.mark.parametrize("gone", ["signed out", "another person"])
async def test_whoever_looks_must_still_be_signed_in_with_the_role(place: Place, gone: str) -> None:
    browser = await signed_in(place)
    start = await begun(browser)
    back = await place.provider.sign_in(start.location, "bob")
    session = "__Host-auth_proxy"
    del browser.cookies[session]
    if gone == "another person":
        browser.cookies[session] = str((await signed_in(place, "bob")).session)
    answer = await browser.get(back)
    assert answer.status == 403
    assert "bob-92d7aa40" not in answer.text
    assert ("no_session" if gone == "signed out" else "role_not_allowed") in answer.text
    assert place.audited("debug_sign_in") == []


async def test_an_attempt_is_shown_once(place: Place) -> None:
    browser = await signed_in(place)
    start = await begun(browser)
    back = await place.provider.sign_in(start.location, "bob")
    cookies = dict(browser.cookies)
    assert (await browser.get(back)).status == 200
    browser.cookies = cookies
    again = await browser.get(back)
    assert (again.status, "attempt_missing" in again.text) == (403, True)


async def test_each_of_several_providers_can_be_looked_into() -> None:
    both = [{"name": "one", "label": "The First"}, {"name": "two"}]
    async with Place(**options(providers=both)) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="one")
        found = Document((await browser.get(PATH)).body)
        assert [button["value"] for button in found.all("button")] == ["one", "two"]
        assert found.within("button") == ["Sign in with The First", "Sign in with two"]
        start = await begun(browser, provider="two", format="json")
        document = json.loads(
            (await browser.get(await place.idps["two"].sign_in(start.location))).body
        )
        assert document["provider"] == document["identity"]["provider"] == "two"
