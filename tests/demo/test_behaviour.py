"""A provider's behaviour can be changed step by step without touching the provider."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from proxy.demo.behaviour import Behaviour, OAuthError, PageError, Paths
from proxy.demo.people import Client
from proxy.demo.provider import ProviderConfig, create_provider
from tests.demo.conversation import CALLBACK, REQUEST, WEB, get, parameters
from tests.demo.serving import serving


class Elsewhere(Behaviour):
    """Other paths, a marked metadata document, and two refusals of its own."""

    paths = Paths(authorize="/o/authorize", jwks="/o/keys")

    def check_request(self, params: Mapping[str, str], client: Client) -> None:
        if params.get("state") == "page":
            raise PageError("E42", "Not like this.")
        raise OAuthError("temporarily_unavailable", "later")

    def callback(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [*params, ("extra", "1")]

    async def discovery(self, document: dict[str, object]) -> web.StreamResponse:
        return await super().discovery(document | {"marked": True})


def test_the_honest_behaviour_lets_a_code_live_for_a_minute() -> None:
    assert Behaviour.code_life == 60


async def test_each_overridden_step_is_used() -> None:
    app = create_provider(ProviderConfig("http://id.example", (WEB,)), behaviour=Elsewhere())
    async with serving(app) as url:
        document = (await get(f"{url}/.well-known/openid-configuration")).body
        assert document["marked"] is True
        assert document["authorization_endpoint"] == "http://id.example/o/authorize"
        assert (await get(f"{url}/o/keys")).status == 200
        query = "&".join(f"{name}={value}" for name, value in REQUEST.items() if name != "state")
        query = query.replace(CALLBACK, CALLBACK.replace("?", "%3F"))
        shown = await get(f"{url}/o/authorize?{query}&state=page")
        assert shown.status == 400
        assert "E42" in shown.body
        back = parameters((await get(f"{url}/o/authorize?{query}")).headers["Location"])
        assert back["error"] == ["temporarily_unavailable"]
        assert back["extra"] == ["1"]
