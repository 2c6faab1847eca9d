"""What is sent to revoke tokens, and which answers are worth a word."""

from __future__ import annotations

import dataclasses
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model import Tokens
from proxy.oidc.client_auth import Proof
from proxy.oidc.revocation import revocation_problem, revocation_requests
from tests.oidc.scene import CLIENT, ISSUER, METADATA, SECRET, provider

URL = f"{ISSUER}/revoke"
WITH = dataclasses.replace(METADATA, revocation_endpoint=URL)
BOTH = Tokens("an id token", "the access token", "the refresh token")


def test_the_refresh_token_goes_first_and_the_id_token_never() -> None:
    requests = revocation_requests(WITH, provider(), BOTH)
    assert [dict(parse_qsl(request.body.decode())) for request in requests] == [
        {"token": "the refresh token", "token_type_hint": "refresh_token"},
        {"token": "the access token", "token_type_hint": "access_token"},
    ]
    for request in requests:
        assert request.url == URL
        assert dict(request.headers)["Authorization"].startswith("Basic ")
        assert "the refresh token" not in repr(request)


@pytest.mark.parametrize(
    ("tokens", "hints"),
    [
        pytest.param(Tokens("id"), [], id="neither is kept"),
        pytest.param(Tokens("id", access_token="a"), ["access_token"], id="the access token"),
        pytest.param(Tokens("id", refresh_token="r"), ["refresh_token"], id="the refresh token"),
    ],
)
def test_only_what_is_kept(tokens: Tokens, hints: list[str]) -> None:
    requests = revocation_requests(WITH, provider(), tokens)
    forms = [dict(parse_qsl(request.body.decode())) for request in requests]
    assert [form["token_type_hint"] for form in forms] == hints


def test_a_provider_without_the_endpoint_is_not_asked() -> None:
    assert revocation_requests(METADATA, provider(), BOTH) == ()


def test_the_client_is_known_as_at_the_token_endpoint() -> None:
    posted = revocation_requests(WITH, provider(token_auth_method="client_secret_post"), BOTH)[0]
    form = dict(parse_qsl(posted.body.decode()))
    assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
    public = revocation_requests(WITH, provider(token_auth_method="none"), BOTH)[0]
    assert dict(parse_qsl(public.body.decode()))["client_id"] == CLIENT
    assert "Authorization" not in dict(public.headers)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(200, b"", "", id="done"),
        pytest.param(200, b"<html>", "", id="done, whatever it says"),
        pytest.param(400, b'{"error":"unsupported_token_type"}', "", id="never of this kind"),
        pytest.param(
            401, b'{"error":"invalid_client"}', "status 401, error='invalid_client'", id="no"
        ),
        pytest.param(503, b"<html>", "status 503, error=None", id="a page"),
        pytest.param(302, b"", "status 302, error=None", id="a redirect"),
    ],
)
def test_problems(status: int, body: bytes, words: str) -> None:
    assert revocation_problem(status, body) == words


@given(st.integers(201, 599), st.binary(max_size=200))
def test_any_answer_is_short_words(status: int, body: bytes) -> None:
    problem = revocation_problem(status, body)
    assert problem.isprintable()
    assert len(problem) < 120


def test_each_request_has_a_proof_of_its_own() -> None:
    options = provider(token_auth_method="private_key_jwt", client_key_file="k")
    proofs = (Proof(assertion="a.a.a"), Proof(assertion="b.b.b"))
    first, second = revocation_requests(WITH, options, BOTH, proofs)
    assert b"client_assertion=a.a.a" in first.body
    assert b"client_assertion=b.b.b" in second.body
