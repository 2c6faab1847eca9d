"""What a front end may know (R142)."""

from __future__ import annotations

import json

from tests.web.place import PUBLIC, Place


async def test_whoever_asks_learns_where_to_sign_in_and_out() -> None:
    async with Place() as place:
        answer = await place.browser().get("/oauth2/settings", page=False)
        assert answer.status == 200
        assert json.loads(answer.body) == {
            "sso_enabled": True,
            "login_url": f"{PUBLIC}/oauth2/start",
            "logout_url": f"{PUBLIC}/oauth2/sign_out",
            "providers": [
                {
                    "name": "default",
                    "label": "default",
                    "login_url": f"{PUBLIC}/oauth2/start?rd=/",
                }
            ],
            "provider": None,
            "session_expires_at": None,
            "docs_url": None,
        }
        assert answer.headers["Cache-Control"] == "no-store"


async def test_with_a_session_it_says_how_long() -> None:
    providers = [{"name": "one"}, {"name": "two", "label": "The second"}]
    session = {"lifetime": "2h"}
    async with Place(providers=providers, session=session) as place:
        browser = place.browser()
        await browser.sign_in("/", provider="two")
        document = json.loads((await browser.get("/oauth2/settings", page=False)).body)
        assert document["provider"] == "two"
        assert document["session_expires_at"] == int(place.clock() + 7200)
        assert document["login_url"] == f"{PUBLIC}/oauth2/sign_in"
        named = {entry["name"]: entry for entry in document["providers"]}
        assert named["two"]["label"] == "The second"
        assert named["two"]["login_url"] == f"{PUBLIC}/oauth2/start?rd=/&provider=two"
        shown = json.dumps(document)
        assert not any(secret in shown for secret in place.secrets())


async def test_without_authentication_there_is_nothing_to_sign_in_to() -> None:
    async with Place(auth={"disabled": True}) as place:
        document = json.loads((await place.browser().get("/oauth2/settings", page=False)).body)
        assert (document["sso_enabled"], document["providers"]) == (False, [])
