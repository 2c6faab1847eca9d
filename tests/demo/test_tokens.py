"""The token endpoint: who gets tokens, what they say, and every refusal."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote_plus

import pytest

from tests.demo.conversation import (
    CALLBACK,
    OTHER,
    VERIFIER,
    WEB,
    code_for,
    get,
    post_token,
    redeem,
    refresh,
    verified,
)
from tests.fakes.clock import START, FakeClock
from tests.fakes.provider import FakeProvider


async def test_a_code_gives_tokens_that_say_who_signed_in(fake: FakeProvider) -> None:
    answer = await redeem(fake, await code_for(fake))
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.body) == {
        *("access_token", "refresh_token", "id_token"),
        *("token_type", "expires_in", "scope"),
    }
    claims = dict(await verified(fake, answer.body["id_token"]))
    half = hashlib.sha256(answer.body["access_token"].encode()).digest()[:16]
    assert claims.pop("at_hash") == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert claims.pop("sid")
    assert claims == {
        "iss": fake.issuer,
        "sub": "alice-5f0c3b1e",
        "aud": "web",
        "iat": START,
        "exp": START + 3600,
        "auth_time": START,
        "acr": "1",
        "nonce": "n" * 43,
        "name": "Alice Martin",
        "given_name": "Alice",
        "family_name": "Martin",
        "preferred_username": "alice",
        "email": "alice@example.org",
        "email_verified": True,
        "groups": ["admins", "dev"],
    }


async def test_userinfo_tells_what_the_scopes_allow(fake: FakeProvider) -> None:
    answer = await redeem(fake, await code_for(fake, scope="openid email"))
    token = answer.body["access_token"]
    userinfo = await get(f"{fake.issuer}/userinfo", Authorization=f"bearer {token}")
    assert userinfo.body == {
        "sub": "alice-5f0c3b1e",
        "email": "alice@example.org",
        "email_verified": True,
    }


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"code": "x"}, 400, "invalid_grant", id="unknown code"),
        pytest.param({"code": None}, 400, "invalid_request", id="no code"),
        pytest.param({"redirect_uri": None}, 400, "invalid_grant", id="no redirect_uri"),
        pytest.param({"redirect_uri": "x"}, 400, "invalid_grant", id="other redirect_uri"),
        pytest.param({"code_verifier": None}, 400, "invalid_grant", id="no verifier"),
        pytest.param({"code_verifier": "w" * 64}, 400, "invalid_grant", id="wrong verifier"),
        pytest.param({"code_verifier": "v" * 42}, 400, "invalid_grant", id="short verifier"),
        pytest.param({"grant_type": None}, 400, "invalid_request", id="no grant type"),
        pytest.param({"grant_type": "password"}, 400, "unsupported_grant_type", id="password"),
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"client_secret": None}, 401, "invalid_client", id="no secret"),
        pytest.param({"client_id": None}, 401, "invalid_client", id="no client"),
        pytest.param(
            {"client_id": OTHER.client_id, "client_secret": OTHER.secret},
            400,
            "invalid_grant",
            id="code of another client",
        ),
    ],
)
async def test_refusals_follow_rfc_6749(
    fake: FakeProvider, changes: dict[str, str | None], status: int, error: str
) -> None:
    answer = await redeem(fake, await code_for(fake), **changes)
    assert (answer.status, answer.body["error"]) == (status, error)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_code_lives_a_minute(fake: FakeProvider, clock: FakeClock) -> None:
    code = await code_for(fake)
    clock.advance(60)
    assert (await redeem(fake, code)).body["error"] == "invalid_grant"


async def test_a_code_used_twice_ends_the_first_tokens(fake: FakeProvider) -> None:
    code = await code_for(fake)
    first = (await redeem(fake, code)).body
    assert (await redeem(fake, code)).body["error"] == "invalid_grant"
    token = first["access_token"]
    assert (await get(f"{fake.issuer}/userinfo", Authorization=f"Bearer {token}")).status == 401
    assert (await refresh(fake, first["refresh_token"])).body["error"] == "invalid_grant"


async def test_a_verifier_without_a_challenge_is_refused(fake: FakeProvider) -> None:
    code = await code_for(fake, code_challenge=None, code_challenge_method=None)
    assert (await redeem(fake, code)).body["error"] == "invalid_grant"


async def test_pkce_may_be_left_out_by_a_client_with_a_secret(fake: FakeProvider) -> None:
    code = await code_for(fake, code_challenge=None, code_challenge_method=None)
    assert (await redeem(fake, code, code_verifier=None)).status == 200


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param(basic("web", quote_plus(WEB.secret)), 200, id="form-encoded"),
        pytest.param(basic("web", "wrong"), 401, id="wrong secret"),
        pytest.param(basic("spa", ""), 401, id="public client"),
        pytest.param("Basic ???", 401, id="no base64"),
        pytest.param("Bearer abc", 401, id="another scheme"),
    ],
)
async def test_basic_authentication(fake: FakeProvider, authorization: str, status: int) -> None:
    fields = {
        "grant_type": "authorization_code",
        "code": await code_for(fake),
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
    }
    answer = await post_token(fake, fields, {"Authorization": authorization})
    assert answer.status == status
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_two_authentications_at_once_are_refused(fake: FakeProvider) -> None:
    fields = {"grant_type": "authorization_code", "client_secret": WEB.secret}
    headers = {"Authorization": basic("web", quote_plus(WEB.secret))}
    answer = await post_token(fake, fields, headers)
    assert answer.body["error"] == "invalid_request"


async def test_a_public_client_needs_no_secret(fake: FakeProvider) -> None:
    code = await code_for(fake, client_id="spa")
    answer = await redeem(fake, code, client_id="spa", client_secret=None)
    assert answer.status == 200


async def test_only_a_form_is_read(fake: FakeProvider) -> None:
    answer = await post_token(fake, {}, {"Content-Type": "application/json"})
    assert answer.body["error"] == "invalid_request"


async def test_a_refresh_rotates_and_keeps_who_it_is(fake: FakeProvider, clock: FakeClock) -> None:
    first = (await redeem(fake, await code_for(fake))).body
    clock.advance(1000)
    second = (await refresh(fake, first["refresh_token"])).body
    assert second["refresh_token"] != first["refresh_token"]
    before = await verified(fake, first["id_token"])
    after = await verified(fake, second["id_token"])
    for name in ("iss", "sub", "aud", "auth_time", "sid"):
        assert after[name] == before[name]
    assert after["iat"] == START + 1000
    assert "nonce" not in after


async def test_a_reused_refresh_token_ends_the_family(fake: FakeProvider) -> None:
    first = (await redeem(fake, await code_for(fake))).body
    second = (await refresh(fake, first["refresh_token"])).body
    assert (await refresh(fake, first["refresh_token"])).body["error"] == "invalid_grant"
    assert (await refresh(fake, second["refresh_token"])).body["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"refresh_token": "x"}, "invalid_grant", id="unknown"),
        pytest.param({"refresh_token": ""}, "invalid_request", id="empty"),
        pytest.param({"scope": "openid admin"}, "invalid_scope", id="wider scope"),
        pytest.param(
            {"client_id": OTHER.client_id, "client_secret": OTHER.secret},
            "invalid_grant",
            id="another client",
        ),
    ],
)
async def test_refresh_refusals(fake: FakeProvider, changes: dict[str, str], error: str) -> None:
    first = (await redeem(fake, await code_for(fake))).body
    assert (await refresh(fake, first["refresh_token"], **changes)).body["error"] == error


async def test_a_refresh_may_ask_for_less(fake: FakeProvider) -> None:
    first = (await redeem(fake, await code_for(fake))).body
    second = (await refresh(fake, first["refresh_token"], scope="openid")).body
    assert second["scope"] == "openid"
    assert "email" not in await verified(fake, second["id_token"])
