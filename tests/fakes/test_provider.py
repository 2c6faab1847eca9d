"""The fake provider is honest until told otherwise, and each fault does what its name says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from yarl import URL

from proxy.crypto import jwt
from proxy.demo.people import Client
from tests.fakes import misbehaviour
from tests.fakes.provider import FakeProvider

CALLBACK = "http://127.0.0.1:9/oauth2/callback"
CLIENT = Client("proxy", "proxy-secret", (CALLBACK,))
ASK = {
    "response_type": "code",
    "client_id": "proxy",
    "redirect_uri": CALLBACK,
    "scope": "openid email",
    "state": "s" * 43,
    "nonce": "n" * 43,
}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(CLIENT, algorithm="ES256") as provider:
        yield provider


async def sign_in(fake: FakeProvider) -> list[tuple[str, str]]:
    url = URL(f"{fake.issuer}/authorize").with_query(ASK)
    return list(URL(await fake.sign_in(str(url))).query.items())


async def redeem(fake: FakeProvider, code: str, timeout: float = 5) -> tuple[int, str]:
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}
    secret = {"client_id": "proxy", "client_secret": "proxy-secret"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{fake.issuer}/token",
            data=fields | secret,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as response,
    ):
        return response.status, await response.text()


async def tokens(fake: FakeProvider) -> dict[str, Any]:
    status, text = await redeem(fake, dict(await sign_in(fake))["code"])
    assert status == 200
    document = json.loads(text)
    assert isinstance(document, dict)
    return document


async def get(url: str, token: str = "") -> tuple[int, str, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, allow_redirects=False) as response,
    ):
        return response.status, response.content_type, await response.text()


async def test_calls_are_counted_and_recorded(fake: FakeProvider) -> None:
    await tokens(fake)
    assert fake.calls == {"authorize": 1, "sign-in": 1, "token": 1}
    request = fake.last("token")
    assert request.method == "POST"
    assert request.fields["client_secret"] == "proxy-secret"
    assert "Authorization" not in request.headers
    assert fake.last("authorize").fields["state"] == "s" * 43


async def test_an_unknown_fault_is_an_error(fake: FakeProvider) -> None:
    with pytest.raises(ValueError, match="no such misbehaviour"):
        fake.misbehave("token_5OO")


@pytest.mark.parametrize("name", sorted(misbehaviour.TOKEN))
async def test_every_token_fault_differs_from_an_honest_answer(
    fake: FakeProvider, name: str
) -> None:
    fake.misbehave(name)
    status, text = await redeem(fake, dict(await sign_in(fake))["code"])
    texts = ("access_token", "token_type", "refresh_token", "scope", "id_token")
    try:
        answer = json.loads(text)
        honest = status == 200 and answer["token_type"] == "Bearer" and len(answer) == 6
        honest = honest and all(isinstance(answer[name], str) for name in texts)
        honest = honest and isinstance(answer["expires_in"], int)
    except (ValueError, TypeError, KeyError):
        honest = False
    assert not honest


@pytest.mark.parametrize("name", sorted({*misbehaviour.ID_TOKEN, *misbehaviour.SIGN}))
async def test_every_id_token_fault_still_gives_tokens(fake: FakeProvider, name: str) -> None:
    fake.misbehave(name)
    assert (await tokens(fake))["id_token"].count(".") == 2


@pytest.mark.parametrize(
    ("name", "believed"),
    [
        ("id_token_alg_none", False),
        ("id_token_hs256", False),
        ("id_token_bad_signature", False),
        ("id_token_unknown_kid", False),
        ("id_token_stranger_known_kid", False),
        ("id_token_garbage", False),
        ("id_token_no_kid", True),
        ("id_token_keys_rotated", True),
        ("id_token_wrong_nonce", True),
    ],
)
async def test_signature_faults_are_real(fake: FakeProvider, name: str, believed: bool) -> None:
    fake.misbehave(name)
    token = (await tokens(fake))["id_token"]
    assert (fake.provider.keys.verified(token) is not None) is believed


async def test_a_rotation_leaves_earlier_keys_useless(fake: FakeProvider) -> None:
    before = jwt.parse_jwks(fake.provider.keys.document())
    fake.misbehave("id_token_keys_rotated")
    with pytest.raises(jwt.UnknownKey):
        jwt.verify((await tokens(fake))["id_token"], before, ["ES256"])


@pytest.mark.parametrize("name", sorted(misbehaviour.CALLBACK))
async def test_every_callback_fault_changes_the_way_back(fake: FakeProvider, name: str) -> None:
    fake.misbehave(name)
    names = [parameter for parameter, _ in await sign_in(fake)]
    wrong = dict(await sign_in(fake))
    honest = sorted(names) == ["code", "iss", "state"]
    assert not honest or wrong["iss"] != fake.issuer or wrong["state"] != "s" * 43


@pytest.mark.parametrize("endpoint", ["discovery", "jwks", "userinfo"])
async def test_documents_can_be_wrong_in_every_way(fake: FakeProvider, endpoint: str) -> None:
    url = {
        "discovery": fake.metadata_url,
        "jwks": f"{fake.issuer}/jwks",
        "userinfo": f"{fake.issuer}/userinfo",
    }[endpoint]
    token = (await tokens(fake))["access_token"]
    honest = await get(url, token)
    assert honest[0] == 200
    slow = misbehaviour.HANGING | misbehaviour.DRIPPING
    for name in (n for n in misbehaviour.ALL - slow if n.startswith(endpoint)):
        fake.misbehave(name)
        assert await get(url, token) != honest, name
    fake.behave()
    assert await get(url, token) == honest


async def test_a_redirect_leads_to_another_origin_and_is_counted(fake: FakeProvider) -> None:
    fake.misbehave("discovery_redirect")
    async with (
        aiohttp.ClientSession() as session,
        session.get(fake.metadata_url, allow_redirects=False) as response,
    ):
        assert response.headers["Location"] == f"http://localhost:{fake.port}/elsewhere"
    assert fake.calls["elsewhere"] == 0


async def test_a_hanging_endpoint_waits_for_the_test(fake: FakeProvider) -> None:
    code = dict(await sign_in(fake))["code"]
    fake.misbehave("token_hang")
    asked = asyncio.get_running_loop().create_task(redeem(fake, code))
    await asyncio.wait_for(fake.behaviour.reached.wait(), 5)
    assert not asked.done()
    fake.behave()
    status, _ = await asked
    assert status == 200


async def test_it_can_go_away_and_come_back_at_the_same_address(fake: FakeProvider) -> None:
    await fake.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(fake.metadata_url)
    await fake.restart()
    assert (await get(fake.metadata_url))[0] == 200


async def test_a_client_can_be_registered_later(fake: FakeProvider) -> None:
    fake.register(Client("proxy", "proxy-secret", ("http://127.0.0.1:9/elsewhere",)))
    with pytest.raises(AssertionError, match="400"):
        await sign_in(fake)
