"""Keycloak, Okta, Auth0 and GitLab by their presets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.demo.behaviour import Behaviour
from proxy.demo.keys import Keys
from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.dialects import KIM, Auth0, FakeKeycloak, GitLab, Okta
from tests.fakes.misbehaviour import SIGN
from tests.fakes.provider import FakeProvider
from tests.scenarios.preset_place import PresetPlace
from tests.web.place import query

ROLES = [{"name": "admin"}, {"name": "member"}]


def keycloak(**settings: Any) -> PresetPlace:
    def idp(client: Client, clock: FakeClock) -> FakeProvider:
        return FakeKeycloak(client, clock=clock)

    def known(idp: FakeProvider) -> dict[str, Any]:
        return {"preset": "keycloak", "issuer_url": idp.issuer}

    return PresetPlace(idp, known, **settings)


def other(
    preset: str, make: Callable[[], Behaviour], below: str = "", **options: Any
) -> PresetPlace:
    settings = options.pop("settings", {})

    def idp(client: Client, clock: FakeClock) -> FakeProvider:
        return FakeProvider(
            client, dialect=lambda _: make(), users=(KIM,), clock=clock, base_path=below
        )

    def known(idp: FakeProvider) -> dict[str, Any]:
        return {"preset": preset, "issuer_url": idp.issuer, **options}

    return PresetPlace(idp, known, **settings)


async def test_keycloak_roles_come_from_the_access_token() -> None:
    """Realm roles and those of our own client; never another client's."""
    async with keycloak(roles=[{"name": "owner"}, *ROLES]) as here:
        told = await here.told("kim")
        assert told["role"] == "admin"
        assert told["roles"] == ["admin", "member"]


@pytest.mark.parametrize("fault", ["id_token_bad_signature", "id_token_stranger_known_kid"])
async def test_keycloak_an_access_token_that_is_not_proven_begins_nothing(fault: str) -> None:
    async with keycloak(roles=ROLES) as here:
        assert isinstance(here.provider, FakeKeycloak)
        here.provider.signs = SIGN[fault]
        browser = here.browser()
        assert (await browser.sign_in("/", "kim")).status == 403
        assert browser.session is None
        assert "access_token_invalid" in here.logged()


async def test_keycloak_an_access_token_of_another_client_begins_nothing() -> None:
    async with keycloak(roles=ROLES) as here:
        assert isinstance(here.provider, FakeKeycloak)
        here.provider.signs = lambda keys, claims: Keys.sign(keys, {**claims, "azp": "other"})
        assert (await here.browser().sign_in("/", "kim")).status == 403


async def test_okta_groups_have_a_scope() -> None:
    async with other("okta", Okta) as here:
        assert query((await here.browser().get("/")).location)["scope"] == (
            "openid email profile groups"
        )
        assert (await here.told("kim"))["groups"] == ["/dev", "/dev/api"]


async def test_okta_a_sign_out_says_whose() -> None:
    async with other("okta", Okta) as here:
        browser = here.browser()
        await browser.sign_in("/", "kim")
        asked = (await browser.post("/oauth2/sign_out")).location
        assert "id_token_hint" in query(asked)
        assert (await here.provider.sign_in(asked)).startswith(f"{here.public}/oauth2/signed_out")


async def test_okta_a_scope_that_the_server_lacks_is_an_error_that_is_named() -> None:
    async with other("okta", Okta, scope="openid teams") as here:
        back = await here.browser().callback_url("/", "kim")
        assert query(back)["error"] == "invalid_scope"


async def test_auth0_the_issuer_ends_with_a_slash() -> None:
    claims = {"roles": ["https://play.example.org/roles"]}
    async with other("auth0", Auth0, "/", claims=claims, settings={"roles": ROLES}) as here:
        assert here.provider.issuer.endswith("/")
        told = await here.told("kim")
        assert told["idp_iss"] == here.provider.issuer
        assert told["role"] == "member"


async def test_gitlab_groups_are_in_userinfo() -> None:
    async with other("gitlab", GitLab) as here:
        told = await here.told("kim")
        assert told["preferred_username"] == "kim"
        assert told["groups"] == ["dev", "/dev", "/dev/api"]


async def test_gitlab_has_no_end_of_sessions() -> None:
    async with other("gitlab", GitLab) as here:
        browser = here.browser()
        await browser.sign_in("/", "kim")
        answer = await browser.post("/oauth2/sign_out")
        assert (answer.status, answer.location) == (200, "")
