"""What a running proxy is made of."""

from __future__ import annotations

from proxy.web.world import World
from tests.web.place import Place


def test_tokens_are_256_random_bits() -> None:
    tokens = {World().token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}


async def test_a_disabled_proxy_has_no_provider_and_no_sign_in() -> None:
    async with Place(auth={"disabled": True}) as place:
        parts = place.app.parts
        assert (parts.providers, parts.sign_in, parts.refresher) == (None, None, None)
        for path in ("/oauth2/start", "/oauth2/callback", "/oauth2/sign_in"):
            assert (await place.browser().get(path)).status == 404
        assert (await place.browser().get("/ready", page=False)).status == 200
