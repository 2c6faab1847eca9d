"""Google (preset google): a Workspace domain is proven by hd, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.google import ADA, OTTO, PIA, ZOE, Google
from tests.fakes.provider import FakeProvider
from tests.scenarios.preset_place import PresetPlace
from tests.web.place import query


def google(client: Client, clock: FakeClock) -> FakeProvider:
    people = (ADA, OTTO, PIA, ZOE)
    return FakeProvider(client, dialect=lambda _: Google(), users=people, clock=clock)


def place(settings: dict[str, Any] | None = None, **options: Any) -> PresetPlace:
    def known(idp: FakeProvider) -> dict[str, Any]:
        return {"preset": "google", "issuer_url": idp.issuer, **options}

    return PresetPlace(google, known, **(settings or {}))


async def test_a_sign_in() -> None:
    async with place() as here:
        told = await here.told("ada")
        assert told["sub"] == ADA.sub
        assert (told["email"], told["email_verified"]) == ("ada@example.org", True)
        assert told["name"] == "Ada Byron"
        assert "groups" not in told or told["groups"] == []


@pytest.mark.parametrize(
    ("user", "comes"),
    [
        pytest.param("ada", True, id="of the domain"),
        pytest.param("otto", False, id="of another domain"),
        pytest.param("pia", False, id="of none"),
        pytest.param("zoe", False, id="an address of the domain, but no account of it"),
    ],
)
async def test_hosted_domains(user: str, comes: bool) -> None:
    async with place(hosted_domains=["example.org"]) as here:
        browser = here.browser()
        answer = await browser.sign_in("/", user)
        assert answer.status == (303 if comes else 403)
        assert bool(browser.session) is comes


async def test_an_unverified_address_does_not_count() -> None:
    rule = {"access": {"email_domains": ["example.org"]}}
    async with place(rule) as here:
        here.provider.behaviour.userinfo_change = lambda c: c | {"email_verified": False}
        browser = here.browser()
        assert (await browser.sign_in("/", "ada")).status == 403
        assert browser.session is None


async def test_the_domain_may_be_hinted_at() -> None:
    async with place(authorization_params={"hd": "example.org"}) as here:
        assert query((await here.browser().get("/")).location)["hd"] == "example.org"


async def test_there_is_no_end_of_the_session_at_google() -> None:
    async with place() as here:
        browser = here.browser()
        await browser.sign_in("/", "ada")
        answer = await browser.post("/oauth2/sign_out")
        assert (answer.status, answer.location, browser.session) == (200, "", None)
