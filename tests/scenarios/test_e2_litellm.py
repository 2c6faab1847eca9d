"""Scenario E2: the admin UI of a model gateway. Endpoints by hand, roles from groups, settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from proxy.demo.grants import Grant
from proxy.errors import Reason
from proxy.model import Json
from tests.fakes.dialects import SignedTokens
from tests.fakes.misbehaviour import PROTOCOL, SIGN
from tests.web.place import PUBLIC, Browser, Place, query

ROLES: dict[str, Any] = {
    "roles": [
        {"name": "admin", "groups": ["admins"]},
        {"name": "viewer", "groups": ["viewers"]},
    ],
    "default_role": "member",
}
"""In order of privilege."""


class ByHand(Place):
    """Every endpoint by hand: the provider's address must be known before the settings are."""

    async def serve(self) -> None:
        issuer = self.provider.issuer
        self._settings["provider"] |= {
            "discovery": False,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
        }
        await super().serve()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_e2_1_endpoints_by_hand_without_pkce(method: str) -> None:
    async with ByHand(provider={"pkce": "off", "token_auth_method": method}) as place:
        browser = place.browser()
        assert (await browser.sign_in("/ui?page=1")).location == "/ui?page=1"
        assert (await browser.get("/ui")).status == 200
        assert (await place.identity())["email"] == "alice@example.org"
        assert "discovery" not in place.provider.calls
        asked = place.provider.requests
        assert not any("code_challenge" in request.fields for request in asked)
        sent = place.provider.last("token")
        assert "code_verifier" not in sent.fields
        if method == "client_secret_basic":
            pair = base64.b64encode(b"proxy:proxy-secret").decode()
            assert sent.headers["Authorization"] == f"Basic {pair}"
            assert "client_secret" not in sent.fields
        else:
            assert "Authorization" not in sent.headers
            assert (sent.fields["client_id"], sent.fields["client_secret"]) == (
                "proxy",
                "proxy-secret",
            )


def says(place: Place, id_token: Mapping[str, Json], userinfo: Mapping[str, Json]) -> None:
    """What the provider tells of the person besides the protocol's own claims."""
    who: dict[str, Json] = {"email": "alice@example.org", "email_verified": True}

    def tokens(claims: dict[str, Json]) -> dict[str, Json]:
        return {name: claims[name] for name in PROTOCOL if name in claims} | who | {**id_token}

    behaviour = place.provider.behaviour
    behaviour.id_token_claims = tokens  # type: ignore[method-assign]
    behaviour.userinfo_change = lambda claims: {"sub": claims["sub"]} | who | {**userinfo}


async def role_of(place: Place, browser: Browser) -> tuple[object, object]:
    """Role and groups, as the front end learns them."""
    assert (await browser.sign_in()).status == 303
    told = json.loads((await browser.get("/oauth2/userinfo", page=False)).body)
    await browser.get("/")
    assert (await place.identity())["role"] == told["role"]
    return told["role"], told["groups"]


BOTH: list[Json] = ["viewers", "admins"]


@pytest.mark.parametrize(
    ("claims", "told", "role", "groups"),
    [
        pytest.param({}, {"groups": BOTH}, "admin", BOTH, id="a list"),
        pytest.param({}, {"groups": ["admins", "viewers"]}, "admin", ["admins", "viewers"],
                     id="whatever the order"),
        pytest.param({}, {"groups": "viewers, admins"}, "admin", BOTH, id="one text"),
        pytest.param({}, {"groups": ["viewers"]}, "viewer", ["viewers"], id="the lesser one"),
        pytest.param({"groups": ["realm_access.roles"]}, {"realm_access": {"roles": BOTH}},
                     "admin", BOTH, id="a path"),
        pytest.param({"groups": [r"kubernetes\.io.ns"]}, {"kubernetes.io": {"ns": BOTH}},
                     "admin", BOTH, id="a path with an escaped dot"),
        pytest.param({}, {}, "member", [], id="none: the default"),
        pytest.param({}, {"groups": ["others"]}, "member", ["others"], id="no match: the default"),
        pytest.param({}, {"groups": None}, "member", [], id="null"),
        pytest.param({}, {"groups": {"a": 1}}, "member", [], id="of a wrong type"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("source", ["ID token", "userinfo"])
async def test_e2_2_roles_come_by_privilege(
    source: str, claims: dict[str, Any], told: dict[str, Json], role: str, groups: list[Json]
) -> None:
    async with Place(claims=claims, **ROLES) as place:
        says(place, *((told, {}) if source == "ID token" else ({}, told)))
        assert await role_of(place, place.browser()) == (role, groups)


def with_access_tokens(place: Place, fault: str = "", **claims: Json) -> None:
    """From now on access tokens are JWTs (RFC 9068) that say ``claims`` as well."""
    provider = place.provider.provider

    def describe(grant: Grant, until: int) -> str:
        told: dict[str, Json] = {
            "iss": place.provider.issuer,
            "sub": grant.sign_in.user.sub,
            "aud": "https://api.example.org",
            "client_id": "proxy",
            "exp": until,
            "iat": int(place.clock()),
            "jti": f"{until}",
        }
        told |= claims
        return SIGN[fault](provider.keys, told) if fault else provider.keys.sign(told, "at+jwt")

    provider.grants.access_tokens = SignedTokens(place.clock, describe)


async def test_e2_2_groups_of_the_access_token_alone_are_not_masked_by_the_default() -> None:
    async with Place(claims={"from_access_token": True}, **ROLES) as place:
        says(place, {}, {})
        with_access_tokens(place, groups=BOTH)
        assert await role_of(place, place.browser()) == ("admin", BOTH)


async def test_e2_2_groups_of_all_sources_are_united() -> None:
    async with Place(claims={"from_access_token": True}, **ROLES) as place:
        says(place, {"groups": ["one", "viewers"]}, {"groups": "two"})
        with_access_tokens(place, groups=["viewers", "admins"])
        assert await role_of(place, place.browser()) == (
            "admin",
            ["one", "viewers", "two", "admins"],
        )


@pytest.mark.parametrize(
    ("fault", "claims"),
    [
        pytest.param("id_token_alg_none", {}, id="not signed"),
        pytest.param("id_token_bad_signature", {}, id="badly signed"),
        pytest.param("id_token_stranger_known_kid", {}, id="signed by a stranger"),
        pytest.param("", {"iss": "https://other.example"}, id="of another issuer"),
        pytest.param("", {"sub": "somebody-else"}, id="about another person"),
        pytest.param("", {"client_id": "another-client"}, id="for another client"),
    ],
)
async def test_e2_2_an_access_token_that_cannot_be_believed_gives_nothing(
    fault: str, claims: dict[str, Json]
) -> None:
    async with Place(claims={"from_access_token": True}, **ROLES) as place:
        says(place, {}, {})
        with_access_tokens(place, fault, groups=BOTH, **claims)
        browser = place.browser()
        answer = await browser.sign_in()
        assert (answer.status, browser.session) == (403, None)
        (line,) = place.audited("login_failed")
        assert line["reason"] == Reason.ACCESS_TOKEN_INVALID


async def test_e2_2_nobody_asked_for_the_access_token() -> None:
    async with Place(**ROLES) as place:
        says(place, {}, {})
        with_access_tokens(place, groups=BOTH)
        assert await role_of(place, place.browser()) == ("member", [])


async def test_e2_3_who_lacks_the_group_learns_nothing_of_it() -> None:
    async with Place(access={"groups": {"any": ["ai-users"]}}) as place:
        browser = place.browser()
        answer = await browser.sign_in("/ui")
        assert (answer.status, browser.session) == (403, None)
        for word in ("ai-users", "admins", "alice-5f0c3b1e", "Alice Martin"):
            assert word not in answer.text, word
        assert place.upstream.seen == []
        (line,) = place.audited("denied")
        assert (line["reason"], line["rule"]) == (Reason.GROUP_NOT_ALLOWED, "access.groups")


ADMIN_ROUTE: dict[str, Any] = {
    "routes": [
        {
            "path": "/admin/*",
            "rule": {"any": [{"roles": ["admin"]}, {"roles": ["viewer"], "methods": ["GET"]}]},
        }
    ]
}


@pytest.mark.parametrize(
    ("group", "read", "write"),
    [("admins", 200, 200), ("viewers", 200, 403), ("others", 403, 403)],
)
async def test_e2_4_a_route_for_roles_and_methods(group: str, read: int, write: int) -> None:
    async with Place(**ROLES, **ADMIN_ROUTE) as place:
        says(place, {"groups": [group]}, {})
        browser = place.browser()
        await browser.sign_in("/")
        assert (await browser.get("/")).status == 200
        assert (await browser.post("/", page=False)).status == 200
        for path in ("/admin/", "/admin/users?all=1"):
            assert (await browser.get(path, page=False)).status == read
            assert (await browser.post(path, page=False)).status == write
            assert (await browser.get(path)).status == read


async def test_e2_11_what_a_front_end_may_know() -> None:
    async with Place(access={"help_url": "https://help.example.org"}, **ROLES) as place:
        browser = place.browser()
        told = json.loads((await browser.get("/oauth2/settings", page=False)).body)
        assert told["sso_enabled"] is True
        assert told["login_url"] == f"{PUBLIC}/oauth2/start"
        assert told["logout_url"] == f"{PUBLIC}/oauth2/sign_out"
        assert (told["provider"], told["session_expires_at"]) == (None, None)
        assert (await browser.get("/oauth2/userinfo", page=False)).status == 401

        await browser.sign_in()
        answer = await browser.get("/oauth2/settings", page=False)
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["Cache-Control"] == "no-store"
        assert json.loads(answer.body)["session_expires_at"] > place.clock()
        answer = await browser.get("/oauth2/userinfo", page=False)
        person = json.loads(answer.body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert (person["email"], person["role"]) == ("alice@example.org", "admin")
        assert person["groups"] == ["admins", "dev"]
        shown = f"{told} {person}"
        for secret in (*place.secrets(), "proxy-secret", "eyJ"):
            assert secret not in shown
        login = await browser.get(told["login_url"])
        assert query(login.location)["client_id"] == "proxy"
