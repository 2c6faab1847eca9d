"""What a sign-in goes through is wired as the settings say."""

from __future__ import annotations

from pathlib import Path

from proxy.web.github import GitHub
from proxy.web.provider import Provider
from tests.web.place import Place


async def test_debugging_is_there_only_where_it_is_switched_on() -> None:
    async with Place() as place:
        assert place.app.parts.sign_in is not None
        assert place.app.parts.sign_in.debug is None
        assert (await place.browser().get("/oauth2/debug")).status == 404
    roles = [{"name": "admin", "groups": ["admins"]}]
    async with Place(roles=roles, debug={"enabled": True, "roles": ["admin"]}) as place:
        assert place.app.parts.sign_in is not None
        assert place.app.parts.sign_in.debug is not None


async def test_each_provider_is_of_its_kind_and_in_its_place() -> None:
    providers = [
        {"name": "staff"},
        {"name": "hub", "preset": "github", "issuer_url": "https://github.com"},
    ]
    async with Place(providers=providers) as place:
        found = place.app.parts.providers
        assert found is not None
        assert [type(idp) for idp in found.all] == [Provider, GitHub]
        assert found.named("hub") is found.all[1]


async def test_a_hook_is_loaded_at_the_start(tmp_path: Path) -> None:
    text = "async def admit(identity, claims):\n    return None\n"
    (tmp_path / "seats.py").write_text(text, encoding="utf-8")
    hooks = {"post_login": "seats:admit", "folder": str(tmp_path)}
    async with Place(hooks=hooks) as place:
        assert (await place.browser().sign_in("/")).status == 303
