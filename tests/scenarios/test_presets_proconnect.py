"""ProConnect (preset proconnect): nothing extra is asked, nothing weaker believed (D1 to D20)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.proconnect import JEAN, ProConnect
from tests.fakes.provider import FakeProvider
from tests.scenarios.preset_place import PresetPlace
from tests.web.place import PUBLIC, query

SCOPE = "openid given_name usual_name email uid siret idp_id roles organization_label"


def place(reaches: tuple[str, ...] = ("eidas1",), **settings: Any) -> PresetPlace:
    def idp(client: Client, clock: FakeClock) -> FakeProvider:
        def dialect(issuer: str) -> ProConnect:
            made = ProConnect(issuer, clock)
            made.reaches = reaches
            return made

        return FakeProvider(client, dialect=dialect, clock=clock, base_path="/api/v2")

    def known(idp: FakeProvider) -> dict[str, Any]:
        return {"preset": "proconnect", "issuer_url": idp.issuer}

    return PresetPlace(idp, known, **settings)


async def test_e1_1_the_request_holds_nothing_extra() -> None:
    async with place() as here:
        asked = query((await here.browser().get("/chat")).location)
        assert set(asked) == {
            *("response_type", "client_id", "redirect_uri", "scope", "state", "nonce"),
            *("code_challenge", "code_challenge_method"),
        }
        assert asked["scope"] == SCOPE
        assert asked["redirect_uri"] == f"{PUBLIC}/oauth2/callback"
        assert min(len(asked["state"]), len(asked["nonce"])) >= 32


async def test_a_person_is_told_by_signed_userinfo() -> None:
    """D7 to D9: the ID token holds neither address nor name."""
    async with place() as here:
        told = await here.told("jean")
        assert told["sub"] == JEAN.sub
        assert told["email"] == "jean.dupont@interieur.gouv.fr"
        assert told["name"] == "Jean DUPONT"
        assert "email_verified" not in told
        assert told["acr"] == "eidas1"
        sent = here.provider.last("token")
        assert sent.fields["client_secret"] == "proxy-secret"
        assert "Authorization" not in sent.headers


async def test_roles_are_those_that_proconnect_tells() -> None:
    async with place(roles=[{"name": "agent_public_etat"}, {"name": "agent_public"}]) as here:
        told = await here.told("jean")
        assert told["role"] == "agent_public_etat"
        assert told["roles"] == ["agent_public_etat", "agent_public"]
        assert "role" not in await here.told("marie")


async def test_rules_may_ask_for_a_siret() -> None:
    """D12: whom to let in is ours to decide."""
    rule = {"claims": [{"claim": "siret", "in": ["11001401500015"]}]}
    async with place(access=rule) as here:
        await here.told("jean")
        assert (await here.browser().sign_in("/", "marie")).status == 403


MFA = {"path": "/admin/*", "rule": {"acr_values": ["eidas2", "eidas3"]}}


async def test_a_stronger_sign_in_is_asked_for_by_claims() -> None:
    """D13: acr_values would be no more than a wish."""
    async with place(("eidas1", "eidas2"), routes=[MFA]) as here:
        browser = here.browser()
        await browser.sign_in("/", "jean")
        assert (await browser.get("/")).status == 200
        start = await browser.get("/admin/users")
        asked = query(start.location)
        acr = {"essential": True, "values": ["eidas2", "eidas3"]}
        assert json.loads(asked["claims"]) == {"id_token": {"acr": acr}}
        assert not {"acr_values", "max_age", "prompt"} & set(asked)
        back = await browser.get(await here.provider.sign_in(start.location, "jean"))
        assert (back.status, back.location) == (303, "/admin/users")
        assert (await browser.get("/admin/users")).status == 200
        assert (await here.identity())["acr"] == "eidas2"


async def test_a_level_that_nobody_reaches() -> None:
    async with place(routes=[MFA]) as here:
        browser = here.browser()
        await browser.sign_in("/", "jean")
        start = await browser.get("/admin/users")
        back = await here.provider.sign_in(start.location, "jean")
        assert query(back)["error"] == "access_denied"
        assert (await browser.get(back)).status == 403
        assert (await browser.get("/")).status == 200


async def test_a_fresh_sign_in_is_asked_for_by_prompt() -> None:
    """D14: there is no max_age."""
    fresh = {"path": "/pay", "rule": {"max_age": "5m"}}
    async with place(routes=[fresh]) as here:
        browser = here.browser()
        await browser.sign_in("/", "jean")
        here.clock.advance(600)
        asked = query((await browser.get("/pay")).location)
        assert asked["prompt"] == "login"
        assert "max_age" not in asked


async def test_sign_out_leads_through_proconnect() -> None:
    """D16."""
    async with place() as here:
        browser = here.browser()
        await browser.sign_in("/", "jean")
        asked = (await browser.post("/oauth2/sign_out")).location
        assert asked.startswith(f"{here.provider.issuer}/session/end?")
        back = await here.provider.sign_in(asked)
        assert back.startswith(f"{PUBLIC}/oauth2/signed_out?state=")
        assert (await browser.get(back)).status == 200


@pytest.mark.parametrize(
    "fault", ["userinfo_jwt_bad_signature", "userinfo_jwt_stranger", "callback_wrong_iss"]
)
async def test_what_is_not_proven_begins_nothing(fault: str) -> None:
    async with place() as here:
        here.provider.misbehave(fault)
        browser = here.browser()
        assert (await browser.sign_in("/", "jean")).status == 403
        assert browser.session is None


async def test_a_code_lives_for_a_minute() -> None:
    """D5."""
    async with place() as here:
        browser = here.browser()
        back = await browser.callback_url("/", "jean")
        here.clock.advance(61)
        assert (await browser.get(back)).status == 502
        assert browser.session is None
