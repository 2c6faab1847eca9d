"""The authorization endpoint: who is redirected, with what, and who is not."""

from __future__ import annotations

import re

import aiohttp
import pytest

from tests.demo.conversation import CALLBACK, authorize_url, get, parameters
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider


async def test_a_sign_in_returns_code_state_and_iss(fake: FakeProvider) -> None:
    callback = await fake.sign_in(authorize_url(fake))
    assert callback.startswith(CALLBACK + "&code=")
    found = parameters(callback)
    assert set(found) == {"keep", "code", "state", "iss"}
    assert found["state"] == ["s" * 43]
    assert found["iss"] == [fake.issuer]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": "nobody"}, id="unknown client"),
        pytest.param({"client_id": None}, id="no client"),
        pytest.param({"redirect_uri": "https://evil.example/"}, id="foreign redirect_uri"),
        pytest.param({"redirect_uri": CALLBACK + "/"}, id="almost the same redirect_uri"),
        pytest.param({"redirect_uri": None}, id="no redirect_uri"),
    ],
)
async def test_an_untrusted_request_is_never_redirected(
    fake: FakeProvider, changes: dict[str, str | None]
) -> None:
    answer = await get(authorize_url(fake, **changes))
    assert answer.status == 400
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
        pytest.param({"response_type": None}, "unsupported_response_type", id="no type"),
        pytest.param({"response_mode": "fragment"}, "invalid_request", id="fragment"),
        pytest.param({"scope": "profile"}, "invalid_scope", id="no openid"),
        pytest.param({"scope": None}, "invalid_scope", id="no scope"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain PKCE"),
        pytest.param({"code_challenge": "short"}, "invalid_request", id="short challenge"),
        pytest.param({"code_challenge": None}, "invalid_request", id="method only"),
        pytest.param(
            {"client_id": "spa", "code_challenge": None, "code_challenge_method": None},
            "invalid_request",
            id="public client without PKCE",
        ),
        pytest.param({"prompt": "none"}, "login_required", id="silent, nobody signed in"),
        pytest.param({"prompt": "none login"}, "invalid_request", id="none with another"),
        pytest.param({"prompt": "dance"}, "invalid_request", id="unknown prompt"),
        pytest.param({"max_age": "soon"}, "invalid_request", id="max_age no number"),
        pytest.param({"request": "e30.e30."}, "request_not_supported", id="request object"),
    ],
)
async def test_errors_go_back_with_state_and_iss(
    fake: FakeProvider, changes: dict[str, str | None], error: str
) -> None:
    answer = await get(authorize_url(fake, **changes))
    assert answer.status == 303
    found = parameters(answer.headers["Location"])
    assert found["error"] == [error]
    assert found["state"] == ["s" * 43]
    assert found["iss"] == [fake.issuer]
    assert "code" not in found


async def test_a_parameter_twice_is_refused(fake: FakeProvider) -> None:
    answer = await get(authorize_url(fake) + "&state=other")
    assert answer.status == 400


async def test_a_second_sign_in_is_silent(fake: FakeProvider) -> None:
    await fake.sign_in(authorize_url(fake), "bob")
    # The form is not shown, so that the other name plays no part.
    await fake.sign_in(authorize_url(fake, prompt="none"), "alice")
    assert fake.calls["sign-in"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"prompt": "login"}, id="prompt=login"),
        pytest.param({"prompt": "select_account"}, id="prompt=select_account"),
        pytest.param({"max_age": "60"}, id="max_age is over"),
    ],
)
async def test_the_form_comes_again_when_asked_for(
    fake: FakeProvider, clock: FakeClock, changes: dict[str, str]
) -> None:
    await fake.sign_in(authorize_url(fake))
    clock.advance(61)
    await fake.sign_in(authorize_url(fake, **changes))
    assert fake.calls["sign-in"] == 2


async def test_a_sign_in_ends_after_twelve_hours(fake: FakeProvider, clock: FakeClock) -> None:
    await fake.sign_in(authorize_url(fake))
    clock.advance(12 * 3600)
    await fake.sign_in(authorize_url(fake))
    assert fake.calls["sign-in"] == 2


async def test_the_form_names_the_people_and_the_application(fake: FakeProvider) -> None:
    answer = await get(authorize_url(fake, login_hint='"><script>'))
    assert 'value="alice"' in answer.body
    assert 'value="bob"' in answer.body
    assert 'value="mallory"' not in answer.body
    assert "127.0.0.1:9" in answer.body
    assert "<script" not in answer.body
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    # Chromium would apply it to the redirect that leads back to the relying party.
    assert "form-action" not in policy


async def submit(fake: FakeProvider, fields: dict[str, str], **headers: str) -> tuple[int, str]:
    page = await get(authorize_url(fake))
    ticket = re.search(r'name="form" value="([^"]+)"', page.body)
    assert ticket
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{fake.issuer}/sign-in",
            data={"form": ticket[1]} | fields,
            headers=headers,
            allow_redirects=False,
        ) as response,
    ):
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        pytest.param({"user": "alice"}, {}, 303, id="a button"),
        pytest.param({"name": " Mallory "}, {}, 303, id="a typed name"),
        pytest.param({"name": "<b>eve"}, {}, 400, id="a stranger"),
        pytest.param({"name": ""}, {}, 400, id="nobody"),
        pytest.param({"user": "alice", "form": "made-up"}, {}, 400, id="a made-up form"),
        pytest.param({"user": "alice"}, {"Sec-Fetch-Site": "cross-site"}, 400, id="cross-site"),
    ],
)
async def test_only_the_own_form_signs_known_people_in(
    fake: FakeProvider, fields: dict[str, str], headers: dict[str, str], status: int
) -> None:
    found, text = await submit(fake, fields, **headers)
    assert found == status
    assert "<b>eve" not in text


async def test_the_request_may_be_posted_too(fake: FakeProvider) -> None:
    url, _, query = authorize_url(fake).partition("?")
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url,
            data=query,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ) as response,
    ):
        assert response.status == 200
        assert "Who are you today?" in await response.text()
