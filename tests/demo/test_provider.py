"""Metadata, keys, userinfo, sign-out and pages of the demo's provider."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from proxy.demo.keys import Keys
from tests.demo.conversation import (
    CALLBACK,
    OTHER,
    SIGNED_OUT,
    WEB,
    authorize_url,
    code_for,
    get,
    redeem,
)
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider


async def test_the_metadata_says_what_the_provider_does(fake: FakeProvider) -> None:
    document = (await get(fake.metadata_url)).body
    assert document["issuer"] == fake.issuer
    for name, path in {
        "authorization_endpoint": "/authorize",
        "token_endpoint": "/token",
        "userinfo_endpoint": "/userinfo",
        "jwks_uri": "/jwks",
        "end_session_endpoint": "/session/end",
    }.items():
        assert document[name] == fake.issuer + path
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "none",
    ]
    assert document["id_token_signing_alg_values_supported"] == ["ES256"]


async def test_an_issuer_with_a_path_serves_below_it() -> None:
    async with FakeProvider(WEB, algorithm="ES256", base_path="/realm/") as fake:
        assert fake.issuer.endswith("/realm/")
        document = (await get(fake.metadata_url)).body
        assert document["issuer"] == fake.issuer
        assert document["token_endpoint"] == f"{fake.issuer}token"
        assert (await get(f"{fake.issuer}jwks")).status == 200


async def test_the_keys_show_nothing_private(fake: FakeProvider) -> None:
    (key,) = (await get(f"{fake.issuer}/jwks")).body["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic abc", "Bearer "])
async def test_userinfo_needs_a_good_token(fake: FakeProvider, authorization: str) -> None:
    answer = await get(f"{fake.issuer}/userinfo", Authorization=authorization)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_access_token_ends_after_an_hour(fake: FakeProvider, clock: FakeClock) -> None:
    token = (await redeem(fake, await code_for(fake))).body["access_token"]
    clock.advance(3600)
    answer = await get(f"{fake.issuer}/userinfo", Authorization=f"Bearer {token}")
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def end_url(fake: FakeProvider, **params: str) -> str:
    return f"{fake.issuer}/session/end?{urlencode(params)}"


async def test_sign_out_ends_the_sign_in_and_returns_with_state(
    fake: FakeProvider, clock: FakeClock
) -> None:
    hint = (await redeem(fake, await code_for(fake))).body["id_token"]
    clock.advance(11 * 3600)  # an expired hint still says who it was
    url = end_url(
        fake,
        id_token_hint=hint,
        client_id="web",
        post_logout_redirect_uri=SIGNED_OUT,
        state="t" * 43,
    )
    answer = await get(url)
    assert answer.status == 303
    assert answer.headers["Location"] == f"{SIGNED_OUT}?state={'t' * 43}"
    silent = await fake.sign_in(authorize_url(fake, prompt="none"))
    assert "error=login_required" in silent


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({}, id="nothing said"),
        pytest.param({"client_id": "web", "state": "s"}, id="no way back asked"),
    ],
)
async def test_without_a_way_back_a_page_says_so(
    fake: FakeProvider, params: dict[str, str]
) -> None:
    answer = await get(end_url(fake, **params))
    assert answer.status == 200
    assert "You are signed out" in answer.body


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"post_logout_redirect_uri": SIGNED_OUT}, id="no client"),
        pytest.param(
            {"client_id": "web", "post_logout_redirect_uri": "https://evil.example/"},
            id="foreign way back",
        ),
        pytest.param(
            {"client_id": "web", "post_logout_redirect_uri": CALLBACK},
            id="registered for another purpose",
        ),
        pytest.param({"id_token_hint": "a.b.c"}, id="unreadable hint"),
    ],
)
async def test_a_wrong_sign_out_is_refused_and_ends_nothing(
    fake: FakeProvider, params: dict[str, str]
) -> None:
    await fake.sign_in(authorize_url(fake))
    answer = await get(end_url(fake, **params))
    assert answer.status == 400
    assert "code=" in await fake.sign_in(authorize_url(fake, prompt="none"))


async def test_the_hint_must_be_ours_and_of_that_client(fake: FakeProvider) -> None:
    hint = (await redeem(fake, await code_for(fake))).body["id_token"]
    claims = fake.provider.keys.verified(hint)
    assert claims
    forged = Keys("ES256").sign(claims)
    assert (await get(end_url(fake, id_token_hint=forged))).status == 400
    mixed = end_url(fake, id_token_hint=hint, client_id=OTHER.client_id)
    assert (await get(mixed)).status == 400


async def test_its_pages_load_no_script_and_their_assets_exist(fake: FakeProvider) -> None:
    home = await get(fake.issuer + "/")
    assert "Nobody is signed in here" in home.body
    assert "<script" not in home.body
    for asset, kind in (("/style.css", "text/css"), ("/icon.svg", "image/svg+xml")):
        answer = await get(fake.issuer + asset)
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
