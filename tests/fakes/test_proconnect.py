"""The ProConnect dialect is as strict as its documentation (requirements D3 to D20)."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from proxy.crypto import jwt
from proxy.demo.people import Client
from tests.fakes.provider import FakeProvider

CALLBACK = "http://127.0.0.1:9/oauth2/callback"
SIGNED_OUT = "http://127.0.0.1:9/oauth2/signed_out"
CLIENT = Client("proxy", "proxy-secret", (CALLBACK,), (SIGNED_OUT,))
ASK = {
    "response_type": "code",
    "client_id": "proxy",
    "redirect_uri": CALLBACK,
    "scope": "openid given_name usual_name email uid siret idp_id roles",
    "state": "s" * 32,
    "nonce": "n" * 32,
}
POST = {"client_id": "proxy", "client_secret": "proxy-secret"}


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider(CLIENT, dialect="proconnect") as provider:
        yield provider


async def call(method: str, url: str, **options: Any) -> tuple[int, str, str, str]:
    """Status, content type, Location and text."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, allow_redirects=False, **options) as response,
    ):
        location = response.headers.get("Location", "")
        return response.status, response.content_type, location, await response.text()


def url_of(fake: FakeProvider, **changes: str) -> str:
    return f"{fake.issuer}/authorize?{urlencode(ASK | changes)}"


async def code_for(fake: FakeProvider) -> str:
    return URL(await fake.sign_in(url_of(fake), "jean")).query["code"]


def code_fields(code: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK}


async def test_a_whole_sign_in_tells_the_person_in_userinfo_only(fake: FakeProvider) -> None:
    assert fake.issuer.endswith("/api/v2")
    code = await code_for(fake)
    _, _, _, text = await call("POST", f"{fake.issuer}/token", data=code_fields(code) | POST)
    answer = json.loads(text)
    _, kind, _, keys = await call("GET", f"{fake.issuer}/jwks")
    assert kind == "application/jwk-set+json"
    known = jwt.parse_jwks(json.loads(keys))
    claims = jwt.verify(answer["id_token"], known, ["RS256"]).claims
    assert set(claims) == {
        *("sub", "acr", "auth_time", "iss", "aud"),
        *("exp", "iat", "nonce", "at_hash", "sid"),
    }
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    _, kind, _, token = await call("GET", f"{fake.issuer}/userinfo", headers=bearer)
    assert kind == "application/jwt"
    person = dict(jwt.verify(token, known, ["RS256"]).claims)
    assert person.pop("iat")
    assert person.pop("exp")
    assert person == {
        "iss": fake.issuer,
        "aud": "proxy",
        "sub": claims["sub"],
        "email": "Jean.DUPONT@Interieur.gouv.fr",
        "given_name": "Jean",
        "usual_name": "DUPONT",
        "uid": "jean.dupont",
        "siret": "11001401500015",
        "idp_id": "71144ab3-ee1a-4401-b7b3-79b44f7daeeb",
        "roles": ["agent_public", "agent_public_etat"],
    }


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"approval_prompt": "force"}, id="unknown parameter"),
        pytest.param({"max_age": "60"}, id="max_age is not implemented"),
        pytest.param({"state": "s" * 31}, id="short state"),
        pytest.param({"nonce": "n" * 31}, id="short nonce"),
        pytest.param({"nonce": ""}, id="no nonce"),
        pytest.param({"scope": ""}, id="no scope"),
        pytest.param({"claims": "{"}, id="unreadable claims"),
        pytest.param({"login_hint": "jean"}, id="a hint that is no address"),
        pytest.param({"siret_hint": "1"}, id="a hint that is no siret"),
        pytest.param({"claims": "{}", "acr_values": "eidas2"}, id="two ways at once"),
    ],
)
async def test_bad_requests_show_a_page_of_its_own(
    fake: FakeProvider, changes: dict[str, str]
) -> None:
    status, _, location, text = await call("GET", url_of(fake, **changes))
    assert (status, location) == (400, "")
    assert "Y000400" in text


ESSENTIAL = '{"id_token":{"acr":{"essential":true,"values":["eidas2"]}}}'


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"scope": "openid phone"}, "invalid_scope", id="scope not granted"),
        pytest.param({"scope": "email"}, "invalid_request", id="no openid"),
        pytest.param({"claims": ESSENTIAL}, "access_denied", id="stronger sign-in demanded"),
    ],
)
async def test_errors_that_come_back(
    fake: FakeProvider, changes: dict[str, str], error: str
) -> None:
    _, _, location, _ = await call("GET", url_of(fake, **changes))
    assert URL(location).query["error"] == error
    assert URL(location).query["iss"] == fake.issuer


async def test_an_unheard_of_scope_is_ignored(fake: FakeProvider) -> None:
    assert "code" in URL(await fake.sign_in(url_of(fake, scope="openid profile"), "jean")).query


async def test_basic_authentication_is_refused(fake: FakeProvider) -> None:
    basic = base64.b64encode(b"proxy:proxy-secret").decode()
    status, _, _, text = await call(
        "POST",
        f"{fake.issuer}/token",
        data=code_fields(await code_for(fake)),
        headers={"Authorization": f"Basic {basic}"},
    )
    assert (status, json.loads(text)["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        pytest.param({"state": "t" * 32}, "Y030111", id="no way back"),
        pytest.param(
            {"state": "t" * 32, "post_logout_redirect_uri": SIGNED_OUT + "/"},
            "Y030111",
            id="not exact",
        ),
        pytest.param({"post_logout_redirect_uri": SIGNED_OUT}, "Y000400", id="no state"),
    ],
)
async def test_a_wrong_sign_out_is_refused(
    fake: FakeProvider, params: dict[str, str], shown: str
) -> None:
    query = urlencode({"client_id": "proxy", **params})
    status, _, _, text = await call("GET", f"{fake.issuer}/session/end?{query}")
    assert status == 400
    assert shown in text


async def test_sign_out_echoes_the_state(fake: FakeProvider) -> None:
    params = {"client_id": "proxy", "state": "t" * 32, "post_logout_redirect_uri": SIGNED_OUT}
    url = f"{fake.issuer}/session/end?{urlencode(params)}"
    status, _, location, _ = await call("GET", url)
    assert (status, location) == (303, f"{SIGNED_OUT}?state={'t' * 32}")
