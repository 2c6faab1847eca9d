"""Explanations agree with what the proxy does, since it is the same code that says so."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.config.providers import providers_of
from proxy.config.settings import Settings
from proxy.errors import ConfigError, Reason
from proxy.model import Kind
from proxy.oidc.told import Told
from proxy.rules.routes import Route
from proxy.web.explain import (
    ANY_CLIENT,
    EXCHANGED,
    NEW_ID,
    THE_JWT,
    Answer,
    Explanation,
    Question,
    Sent,
    explain,
)
from proxy.web.world import World
from tests.fakes.clock import START, FakeClock
from tests.web.place import PUBLIC, SECRET, Place
from tests.web.place import Answer as Response

ISSUER = "https://idp.example.org"
ALICE: dict[str, Any] = {
    "sub": "alice-5f0c3b1e",
    "email": "alice@example.org",
    "email_verified": True,
    "name": "Alice Martin",
    "groups": ["admins", "dev"],
    "auth_time": int(START),
}
ROUTES = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe/*", "access": "optional", "rule": {"groups": {"any": ["ops"]}}},
    {"path": "/dev/*", "rule": {"groups": {"any": ["dev"]}}, "audience": ["dev", "api"]},
    {"path": "/ops/*", "rule": {"name": "operators", "groups": {"any": ["ops"]}, "remedy": "Ask."}},
    {"path": "/near/*", "rule": {"networks": ["127.0.0.0/8"]}},
    {"path": "/api/*", "api": True, "rewrite": "/v1", "authorization": "replace"},
    {"path": "/strong/*", "rule": {"acr_values": ["gold"]}},
    {"path": "/post", "methods": ["POST"], "access": "public"},
]
OPTIONS: dict[str, Any] = {
    "access": {"email_domains": ["example.org"]},
    "routes": ROUTES,
    "headers": {"extra": {"X-Name": "name"}, "access_token": True},
}


def settings(**changes: Any) -> Settings:
    given = {
        "public_url": PUBLIC,
        "upstream": "http://app:8501",
        "provider": {"issuer_url": ISSUER, "client_id": "proxy", "client_secret": "x"},
        "cookie": {"secret": SECRET},
        **OPTIONS,
        **changes,
    }
    return Settings.model_validate(given)


async def asked(
    url: str = "/dev/x",
    method: str = "GET",
    claims: dict[str, Any] | None = ALICE,
    given: Settings | None = None,
    told: Told | None = None,
    **more: Any,
) -> Explanation:
    chosen = given or settings()
    provider = providers_of(chosen)[0]
    if claims is not None and told is None:
        told = Told(str(claims.get("iss", provider.issuer_url)), claims)
    question = Question(method, url, told=told, provider=provider if told else None, **more)
    return await explain(chosen, question, World(clock=FakeClock()))


async def test_a_person_who_is_let_in_and_what_the_upstream_gets() -> None:
    found = await asked("/dev/x?y=%20z")
    browser, program = found.answers
    assert (browser.kind, program.kind) == (Kind.NAVIGATION, Kind.PROGRAM)
    assert found.is_allowed
    assert isinstance(browser.place, Route)
    assert browser.place.path == "/dev/*"
    assert {line.holds for line in browser.lines} == {True}
    sent = browser.sent
    assert sent is not None
    assert (sent.upstream, sent.line) == (("http://app:8501",), "GET /dev/x?y=%20z HTTP/1.1")
    headers = dict(sent.headers)
    assert headers["Host"] == "play.example.gouv.fr"
    assert headers["X-Forwarded-Identity"] == THE_JWT
    assert headers["X-Forwarded-Email"] == "alice@example.org"
    assert headers["X-Forwarded-For"] == ANY_CLIENT
    assert headers["X-Request-Id"] == NEW_ID
    assert sent.claims is not None
    assert (sent.claims["aud"], sent.claims["sub"]) == (["dev", "api"], "alice-5f0c3b1e")
    assert found.sign_in is not None
    assert found.sign_in.outcome.is_allowed
    assert found.notes == ()


@pytest.mark.parametrize(
    ("url", "words", "reason", "rule"),
    [
        pytest.param("/open/x", ("anonymous", "anonymous"), None, "", id="public"),
        pytest.param("/dev/x", ("allowed", "allowed"), None, "", id="in the group"),
        pytest.param(
            "/maybe/x", ("refused", "refused"), "group_not_allowed",
            "route /maybe/*: groups", id="optional, and refused all the same",
        ),
        pytest.param(
            "/ops/x", ("refused", "refused"), "group_not_allowed", "operators", id="another group"
        ),
        pytest.param(
            "/near/x", ("refused", "refused"), "network_not_allowed",
            "route /near/*: networks", id="from nobody knows where",
        ),
        pytest.param("/strong/x", ("step_up", "refused"), "acr_not_allowed", "", id="too weak"),
        pytest.param("/oauth2/start", ("ours", "ours"), None, "", id="an endpoint of ours"),
        pytest.param("/ping", ("ours", "ours"), None, "", id="another one"),
        pytest.param("/oauth2/nothing", ("refused",) * 2, "not_found", "", id="below our prefix"),
        pytest.param("/a/../b", ("refused",) * 2, "bad_target", "", id="read in two ways"),
        pytest.param("/x" * 5000, ("refused",) * 2, "too_large", "", id="too long"),
        pytest.param("//x", ("refused",) * 2, "bad_target", "", id="an empty segment"),
        pytest.param(
            "https://elsewhere.example/", ("refused",) * 2, "bad_host", "", id="another host"
        ),
    ],
)  # fmt: skip
async def test_each_place_and_what_comes_of_it_for_alice(
    url: str, words: tuple[str, str], reason: str | None, rule: str
) -> None:
    found = await asked(url)
    assert tuple(answer.outcome.word for answer in found.answers) == words
    first = found.answers[0].outcome
    assert first.reason == reason
    assert not rule or first.rule == rule
    assert found.is_allowed == first.is_allowed
    assert (found.answers[0].sent is not None) == (first.word in ("allowed", "anonymous"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/open/x", ("anonymous", "anonymous")),
        ("/maybe/x", ("anonymous", "anonymous")),
        ("/dev/x", ("sign_in", "refused")),
        ("/api/x", ("refused", "refused")),
    ],
)
async def test_what_somebody_gets_who_is_not_signed_in(url: str, words: tuple[str, str]) -> None:
    found = await asked(url, claims=None)
    assert tuple(answer.outcome.word for answer in found.answers) == words
    assert found.sign_in is None
    if found.is_allowed:
        sent = found.answers[0].sent
        assert sent is not None
        assert sent.claims is None
        assert not [name for name, _ in sent.headers if name.startswith("X-Forwarded-User")]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param(
            {"email": "eve@elsewhere.example"}, "email_not_allowed", id="by a global rule"
        ),
        pytest.param({"sub": ""}, "id_token_invalid", id="nobody"),
        pytest.param({"iss": "https://other.example"}, "id_token_invalid", id="another issuer"),
    ],
)
async def test_whom_the_sign_in_refuses_comes_nowhere_but_to_what_is_open(
    claims: dict[str, Any], reason: str
) -> None:
    found = await asked("/dev/x", claims=ALICE | claims)
    assert found.sign_in is not None
    assert found.sign_in.outcome.reason == reason
    assert {answer.outcome.reason for answer in found.answers} == {reason}
    assert not found.is_allowed
    assert (await asked("/open/x", claims=ALICE | claims)).is_allowed
    assert (await asked("/maybe/x", claims=ALICE | claims)).answers[0].outcome.word == "anonymous"


async def test_the_clients_address_counts_for_networks_and_is_passed_on() -> None:
    found = await asked("/near/x", client="127.0.0.1")
    assert found.is_allowed
    assert found.answers[0].sent is not None
    assert dict(found.answers[0].sent.headers)["X-Forwarded-For"] == "127.0.0.1"


@pytest.mark.parametrize("method", ["TRACE", "NO METHOD", "é"])
async def test_what_is_no_method_is_refused_as_it_would_be(method: str) -> None:
    found = await asked("/dev/x", method)
    assert found.answers[0].outcome.word == "refused"


async def test_only_pages_are_asked_for_by_navigation() -> None:
    found = await asked("/post", "POST", claims=None)
    assert [answer.kind for answer in found.answers] == [Kind.PROGRAM]
    assert found.is_allowed


async def test_routes_that_other_methods_would_take_are_named() -> None:
    found = await asked("/post")
    assert [route.path for route in found.passed_over] == ["/post"]
    assert (await asked("/post", "POST")).passed_over == ()


async def test_a_route_that_answers_to_no_such_method_is_not_found() -> None:
    lonely = settings(
        upstream=(), routes=[{"path": "/p", "methods": ["POST"], "upstream": "http://a"}]
    )
    found = await asked("/p", given=lonely)
    assert found.answers[0].outcome.reason is Reason.NOT_FOUND
    assert [route.path for route in found.passed_over] == ["/p"]


@pytest.mark.parametrize("url", ["dev/x", "", "ftp://a/x", "http://[::1"])
async def test_what_is_no_url_is_a_mistake(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        await asked(url)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (f"{PUBLIC}/dev/x", "GET /dev/x HTTP/1.1"),
        (PUBLIC, "GET / HTTP/1.1"),
        (f"{PUBLIC}?a=b", "GET /?a=b HTTP/1.1"),
        ("/dev/café#top", "GET /dev/caf%C3%A9 HTTP/1.1"),
        ("/api/things", "GET /v1/things HTTP/1.1"),
    ],
)
async def test_urls_are_read_as_a_browser_would_send_them(url: str, line: str) -> None:
    sent = (await asked(url)).answers[0].sent
    assert sent is not None
    assert sent.line == line


async def test_tenants_are_held_against_the_list() -> None:
    tenant = "11111111-2222-3333-4444-555555555555"
    entra = {"tenant": "common", "allowed_tenants": [tenant]}
    chosen = settings(
        provider={"preset": "entra", "client_id": "a", "client_secret": "x", "entra": entra},
        access={},
    )

    async def of(tid: str) -> Explanation:
        issuer = f"https://login.microsoftonline.com/{tid}/v2.0"
        claims = ALICE | {"iss": issuer, "tid": tid, "oid": "77"}
        return await asked("/api/x", claims=claims, given=chosen)

    assert (await of(tenant)).is_allowed
    found = await of(tenant.replace("1", "9"))
    assert found.answers[0].outcome.reason is Reason.TENANT_NOT_ALLOWED


async def test_a_session_that_would_be_over_is_none() -> None:
    chosen = settings(session={"end_claim": "until"})
    found = await asked("/dev/x", claims=ALICE | {"until": START - 1}, given=chosen)
    assert found.answers[0].outcome.reason is Reason.IDENTITY_INCOMPLETE
    soon = await asked("/dev/x", claims=ALICE | {"until": START + 60}, given=chosen)
    assert soon.answers[0].sent is not None
    assert soon.answers[0].sent.claims is not None
    assert soon.answers[0].sent.claims["exp"] == START + 60


async def test_no_key_is_read_and_nothing_signed_that_anybody_believes() -> None:
    for identity in (
        {"signing_key_files": ["/nowhere/key.pem"]},
        {"algorithm": "HS256", "shared_secret": "k" * 32},
    ):
        assert (await asked(given=settings(identity=identity))).is_allowed


async def test_a_list_of_addresses_is_read() -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        await asked(given=settings(access={"emails_file": "/nowhere/list"}))


async def test_a_hook_runs_only_when_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "seats.py").write_text(
        "from proxy.errors import AccessDenied\n"
        "async def admit(identity, claims):\n"
        "    raise AccessDenied('No seat is left.')\n",
        encoding="utf-8",
    )
    chosen = settings(hooks={"post_login": "seats:admit", "folder": str(tmp_path)})
    silent = await asked(given=chosen)
    assert silent.is_allowed
    assert "the hook seats:admit was not run (--run-hook)" in silent.notes[0]
    found = await asked(given=chosen, runs_hook=True)
    outcome = found.answers[0].outcome
    assert (outcome.reason, outcome.remedy) == (Reason.DENIED_BY_HOOK, "No seat is left.")
    assert found.notes == ()


async def test_what_is_left_out_is_said() -> None:
    chosen = settings(provisioning={"url": "/people"})
    assert "provisioning" in (await asked(given=chosen)).notes[0]
    off = settings(auth={"disabled": True}, routes=[], access={})
    found = await asked("/", claims=None, given=off)
    assert found.is_allowed
    assert "auth.disabled" in found.notes[0]


WHERE = [
    ("GET", "/dev/x?a=b"), ("GET", "/open/x"), ("GET", "/maybe/x"), ("GET", "/ops/x"),
    ("GET", "/near/x"), ("GET", "/api/x"), ("GET", "/strong/x"), ("POST", "/post"),
    ("GET", "/post"), ("GET", "/oauth2/nothing"), ("GET", "/%2e%2e/b"), ("GET", "/x"),
]  # fmt: skip
STATUS = {"allowed": 200, "anonymous": 200, "sign_in": 302, "step_up": 302}
OF_THE_MOMENT = (
    "X-Request-Id",
    "X-Forwarded-Identity",
    "X-Forwarded-Access-Token",
    "Authorization",
)


@pytest.mark.parametrize(("method", "path"), WHERE)
async def test_the_running_proxy_does_the_same_and_sends_the_same(method: str, path: str) -> None:
    async with Place(**OPTIONS) as place:
        browser = place.browser()
        await browser.sign_in("/x")
        told = Told(place.provider.issuer, ALICE | {"preferred_username": "alice", "acr": "1"})
        for client, who in ((browser, told), (place.browser(), None)):
            provider = providers_of(place.settings())[0] if who else None
            question = Question(method, path, "127.0.0.1", who, provider)
            found = await explain(place.settings(), question, place.world)
            for answer in found.answers:
                seen = len(place.upstream.seen)
                is_page = answer.kind is Kind.NAVIGATION
                got = await client.request(method, path, page=is_page)
                _same_outcome(answer, got)
                assert (len(place.upstream.seen) > seen) == (answer.sent is not None)
                if answer.sent is not None:
                    _same_request(place, answer.sent)


def _same_outcome(answer: Answer, got: Response) -> None:
    outcome = answer.outcome
    if outcome.word == "refused":
        assert got.status >= 400
        assert str(outcome.reason) in got.text
    else:
        assert got.status == STATUS[outcome.word]


def _same_request(place: Place, sent: Sent) -> None:
    last = place.upstream.last
    assert f"{last['method']} {last['target']} HTTP/1.1" == sent.line
    ours = [pair for pair in sent.headers if pair[0].startswith(("X-", "Host", "Authorization"))]
    got = [pair for pair in last["headers"] if pair[0].startswith(("X-", "Host", "Authorization"))]
    assert [name for name, _ in got] == [name for name, _ in ours]
    stable = [pair for pair in ours if pair[0] not in OF_THE_MOMENT]
    assert [pair for pair in got if pair[0] not in OF_THE_MOMENT] == stable
    tokens = place.upstream.header("X-Forwarded-Identity")
    assert bool(tokens) == (sent.claims is not None)
    for token in tokens:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert sent.claims is not None
        assert claims | {"jti": "", "sid": ""} == sent.claims | {"jti": "", "sid": ""}


async def test_what_stands_in_place_of_authorization() -> None:
    routes = [
        {"path": "/a/*", "authorization": "exchange", "exchange": {"audience": "api"}},
        {"path": "/b/*", "authorization": "template", "authorization_template": "Key {email}"},
        {"path": "/c/*", "authorization": "template", "authorization_template": "Key {no}"},
    ]
    given = settings(routes=routes, session={"refresh_every": "1h"}, access={})
    for path, value in {"/a/x": f"Bearer {EXCHANGED}", "/b/x": "Key alice@example.org"}.items():
        answer = (await asked(path, given=given)).answers[0]
        assert answer.sent is not None
        assert dict(answer.sent.headers)["Authorization"] == value
    lacking = (await asked("/c/x", given=given)).answers[0]
    assert (lacking.outcome.reason, lacking.sent) == (Reason.CREDENTIAL_MISSING, None)
    assert "no" in lacking.detail.split()
