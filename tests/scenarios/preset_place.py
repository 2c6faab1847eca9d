"""A place whose provider is one that a preset knows: the configuration says little else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider
from tests.web.place import Place

TOLD = ["email", "email_verified", "name", "preferred_username", "groups", "role", "roles", "acr"]


class PresetPlace(Place):
    """``idp`` makes the provider for a client, ``provider`` what the configuration says of it.

    Nothing else is set under ``provider``: what a sign-in needs beyond comes from the preset.
    """

    provider: FakeProvider

    def __init__(
        self,
        idp: Callable[[Client, FakeClock], Any],
        provider: Callable[[Any], dict[str, Any]],
        **settings: Any,
    ) -> None:
        told = {"claims": TOLD, **settings.pop("identity", {})}
        super().__init__(identity=told, **settings)
        self._idp, self._known = idp, provider

    def _fake(self, below: str = "") -> FakeProvider:
        client = Client(
            "proxy",
            "proxy-secret",
            (f"{self.public}/oauth2/callback{below}",),
            (f"{self.public}/oauth2/signed_out",),
        )
        made: FakeProvider = self._idp(client, self.clock)
        return made

    def options(self) -> dict[str, Any]:
        client = {"client_id": "proxy", "client_secret": "proxy-secret"}
        return {**super().options(), "provider": {**client, **self._known(self.provider)}}

    async def told(self, user: str) -> dict[str, Any]:
        """What the upstream is told of somebody who has just signed in."""
        browser = self.browser()
        answer = await browser.sign_in("/", user)
        assert answer.status == 303, self.logged()
        assert (await browser.get("/")).status == 200
        return await self.identity()
