"""GitHub (preset github): OAuth 2.0 without OpenID Connect, on an Enterprise Server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.github import MONA, FakeGitHub
from tests.scenarios.preset_place import PresetPlace
from tests.web.place import query
from tests.wire.stage import eventually


def place(github: dict[str, Any] | None = None, **settings: Any) -> PresetPlace:
    def idp(client: Client, clock: FakeClock) -> FakeGitHub:
        return FakeGitHub(client.redirect_uris[0])

    def known(idp: FakeGitHub) -> dict[str, Any]:
        return {"preset": "github", "github": {"url": idp.url, **(github or {})}}

    return PresetPlace(idp, known, **settings)


def server(here: PresetPlace) -> FakeGitHub:
    return cast(FakeGitHub, here.provider)


async def test_a_sign_in() -> None:
    async with place() as here:
        asked = query((await here.browser().get("/")).location)
        assert set(asked) == {
            *("response_type", "client_id", "redirect_uri", "scope", "state"),
            *("code_challenge", "code_challenge_method"),
        }
        assert asked["scope"] == "read:user user:email read:org"
        told = await here.told("mona")
        assert told["sub"] == str(MONA.number)
        assert told["preferred_username"] == "mona"
        assert (told["email"], told["email_verified"]) == ("mona@example.org", True)
        assert told["groups"] == ["acme", "octo-org", "acme:admins", "octo-org:all-staff"]
        assert told["idp_iss"] == server(here).issuer


async def test_a_team_opens_the_door() -> None:
    async with place(access={"groups": {"any": ["acme:admins"]}}) as here:
        await here.told("mona")
        assert (await here.browser().sign_in("/", "eve")).status == 403


async def test_an_address_that_was_not_verified_is_none() -> None:
    async with place(access={"emails": ["ceo@example.org"]}) as here:
        browser = here.browser()
        assert (await browser.sign_in("/", "eve")).status == 403
        assert browser.session is None
        assert "email_missing" in here.logged()


async def test_organisations_that_cannot_be_read_let_nobody_in() -> None:
    async with place() as here:
        server(here).forbidden.add("/user/orgs")
        browser = here.browser()
        assert (await browser.sign_in("/", "mona")).status == 502
        assert browser.session is None
        assert "groups_unavailable" in here.logged()


async def test_who_leaves_the_team_is_out_at_the_next_refresh() -> None:
    rules: dict[str, Any] = {
        "access": {"groups": {"any": ["acme:admins"]}},
        "session": {"refresh_every": "55m"},
    }
    async with place(**rules) as here:
        browser = here.browser()
        await browser.sign_in("/", "mona")
        server(here).replace(replace(MONA, login="mona-renamed"))
        here.clock.advance(55 * 60)
        assert (await browser.get("/")).status == 200
        server(here).replace(replace(MONA, teams=()))
        here.clock.advance(55 * 60)
        assert (await browser.get("/")).status == 403


async def test_a_rate_limit_at_a_refresh_ends_nothing() -> None:
    async with place(session={"refresh_every": "55m"}) as here:
        browser = here.browser()
        await browser.sign_in("/", "mona")
        server(here).limited = True
        here.clock.advance(55 * 60)
        assert (await browser.get("/")).status == 200


async def test_an_authorisation_that_was_withdrawn_ends_the_session() -> None:
    async with place(session={"refresh_every": "55m"}) as here:
        browser = here.browser()
        await browser.sign_in("/", "mona")
        server(here).tokens.clear()
        here.clock.advance(55 * 60)
        assert (await browser.get("/", page=False)).status == 401
        assert browser.session is None


async def test_it_is_ready_as_long_as_github_answers() -> None:
    async with place() as here:
        await eventually(lambda: server(here).calls["/rate_limit"])
        providers = here.app.parts.providers
        assert providers is not None
        await eventually(lambda: providers.first.seen)
        assert (await here.browser().get("/ready", page=False)).status == 200


async def test_a_sign_out_is_ours_alone_and_gives_the_token_back() -> None:
    async with place(session={"refresh_every": "55m"}) as here:
        browser = here.browser()
        await browser.sign_in("/", "mona")
        assert server(here).tokens
        answer = await browser.post("/oauth2/sign_out")
        assert (answer.status, answer.location, browser.session) == (200, "", None)
        await eventually(lambda: not server(here).tokens)


async def test_no_token_is_ever_logged() -> None:
    async with place() as here:
        await here.told("mona")
        assert server(here).tokens
        assert not any(token in here.logged() for token in server(here).tokens)
