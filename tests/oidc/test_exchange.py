"""What is sent to exchange a token, and every odd answer to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.programs import Exchange
from proxy.errors import ProviderError, Reason
from proxy.oidc.client_auth import Proof
from proxy.oidc.exchange import Exchanged, exchange_request, read_exchanged
from tests.oidc.scene import CLIENT, METADATA, NOW, SECRET, provider

TYPE = "urn:ietf:params:oauth:token-type:access_token"
GOOD: dict[str, object] = {
    "access_token": "new-token",
    "issued_token_type": TYPE,
    "token_type": "Bearer",
    "expires_in": 300,
}


def read(changes: Mapping[str, object]) -> Exchanged:
    answer = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return read_exchanged(200, json.dumps(answer).encode(), NOW)


def form(wanted: Exchange, **options: object) -> dict[str, str]:
    request = exchange_request(METADATA, provider(**options), "the-token", wanted, Proof())
    assert request.url == METADATA.token_endpoint
    assert "the-token" not in repr(request)
    return dict(parse_qsl(request.body.decode(), strict_parsing=True))


def test_the_request() -> None:
    every = Exchange(audience="api", resource="https://api.example.org/", scope="read write")
    assert form(every) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "the-token",
        "subject_token_type": TYPE,
        "requested_token_type": TYPE,
        "audience": "api",
        "resource": "https://api.example.org/",
        "scope": "read write",
    }
    assert form(Exchange(audience="api")).keys().isdisjoint({"resource", "scope"})


def test_the_client_is_known_as_at_any_other_grant() -> None:
    found = form(Exchange(audience="api"), token_auth_method="client_secret_post")
    assert (found["client_id"], found["client_secret"]) == (CLIENT, SECRET)


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        pytest.param({}, NOW + 300, id="as the RFC has it"),
        pytest.param({"token_type": "bearer"}, NOW + 300, id="bearer"),
        pytest.param(
            {"issued_token_type": "urn:ietf:params:oauth:token-type:jwt"}, NOW + 300, id="a JWT"
        ),
        pytest.param({"expires_in": None}, None, id="no life"),
        pytest.param({"expires_in": 0.5}, NOW + 0.5, id="a fraction"),
        pytest.param({"refresh_token": "r", "scope": "read"}, NOW + 300, id="further members"),
    ],
)
def test_a_good_answer(changes: dict[str, object], end: float | None) -> None:
    found = read(changes)
    assert found == Exchanged("new-token", end)
    assert "new-token" not in repr(found)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"token_type": None}, id="no token_type"),
        pytest.param({"token_type": "N_A"}, id="no bearer token"),
        pytest.param({"token_type": "DPoP"}, id="DPoP"),
        pytest.param({"token_type": 1}, id="token_type is a number"),
        pytest.param({"issued_token_type": None}, id="no issued_token_type"),
        pytest.param(
            {"issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            id="a refresh token",
        ),
        pytest.param({"issued_token_type": [TYPE]}, id="issued_token_type is a list"),
        pytest.param({"access_token": None}, id="no token"),
        pytest.param({"access_token": ""}, id="an empty token"),
        pytest.param({"access_token": "a b"}, id="a space in it"),
        pytest.param({"access_token": "a\r\nX: y"}, id="a line break in it"),
        pytest.param({"access_token": "a" * 16385}, id="a huge token"),
        pytest.param({"access_token": ["a"]}, id="a list of tokens"),
        pytest.param({"expires_in": 0}, id="a life of nothing"),
        pytest.param({"expires_in": -1}, id="a life in the past"),
        pytest.param({"expires_in": "300"}, id="a life in words"),
        pytest.param({"expires_in": True}, id="a life of true"),
        pytest.param({"expires_in": 10**12}, id="a life of ages"),
    ],
)
def test_a_yes_that_cannot_be_used(changes: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as caught:
        read(changes)
    assert caught.value.reason is Reason.TOKEN_RESPONSE_INVALID
    assert caught.value.status == 502


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(400, b'{"error":"invalid_target"}', Reason.TOKEN_REFUSED, id="refused"),
        pytest.param(400, b"no JSON", Reason.TOKEN_REFUSED, id="refused without words"),
        pytest.param(401, b"{}", Reason.TOKEN_REFUSED, id="the client is refused"),
        pytest.param(200, b'{"error":"invalid_grant"}', Reason.TOKEN_REFUSED, id="a no with 200"),
        pytest.param(200, b"[]", Reason.TOKEN_RESPONSE_INVALID, id="a list"),
        pytest.param(200, b"", Reason.TOKEN_RESPONSE_INVALID, id="nothing"),
        pytest.param(
            200, b'{"a":1,"a":2}', Reason.TOKEN_RESPONSE_INVALID, id="a member that comes twice"
        ),
        pytest.param(201, json.dumps(GOOD).encode(), Reason.TOKEN_REFUSED, id="another status"),
        pytest.param(500, b"oops", Reason.PROVIDER_UNREACHABLE, id="a fault"),
        pytest.param(429, b"{}", Reason.PROVIDER_UNREACHABLE, id="too many requests"),
    ],
)
def test_a_no(status: int, body: bytes, reason: Reason) -> None:
    with pytest.raises(ProviderError) as caught:
        read_exchanged(status, body, NOW)
    assert caught.value.reason is reason


def test_what_the_provider_says_of_a_token_is_not_repeated() -> None:
    said = {"error": "invalid_grant the-token", "error_description": "the-token is over"}
    with pytest.raises(ProviderError) as caught:
        read_exchanged(400, json.dumps(said).encode(), NOW)
    assert "the-token" not in str(caught.value)
    with pytest.raises(ProviderError, match="invalid_target"):
        read_exchanged(400, b'{"error":"invalid_target"}', NOW)


@given(st.binary(max_size=200), st.integers(200, 599))
def test_any_answer_is_a_token_or_a_provider_error(body: bytes, status: int) -> None:
    with pytest.raises(ProviderError):
        read_exchanged(status, body, NOW)
