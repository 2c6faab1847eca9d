"""How the code is exchanged, and every odd answer that a token endpoint can give."""

from __future__ import annotations

import base64
import dataclasses
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.types import Secret
from proxy.errors import ProviderError, Reason
from proxy.model import Tokens
from proxy.oidc.tokens import TokenRequest, read_tokens, refresh_is_over, token_request
from tests.oidc.scene import (
    CLIENT,
    ISSUER,
    METADATA,
    NOW,
    REDIRECT,
    SECRET,
    VERIFIER,
    callback,
    provider,
)


def _request(methods: tuple[str, ...] = (), /, **options: object) -> TokenRequest:
    metadata = dataclasses.replace(METADATA, token_auth_methods=methods)
    return token_request(metadata, provider(**options), callback(), REDIRECT)


def _form(request: TokenRequest) -> dict[str, str]:
    pairs = parse_qsl(request.body.decode("ascii"), strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


EXCHANGE = {
    "grant_type": "authorization_code",
    "code": "the code",
    "redirect_uri": REDIRECT,
    "code_verifier": VERIFIER,
}
POSTED = EXCHANGE | {"client_id": CLIENT, "client_secret": SECRET}
BASIC, POST = ("client_secret_basic",), ("client_secret_post",)
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@pytest.mark.parametrize(
    ("method", "listed", "basic"),
    [
        pytest.param("auto", (), True, id="auto, nothing listed"),
        pytest.param("auto", POST + BASIC, True, id="auto, both listed"),
        pytest.param(
            "auto", ("client_secret_post", "private_key_jwt"), False, id="auto, ProConnect"
        ),
        pytest.param("client_secret_basic", POST, True, id="basic although not listed"),
        pytest.param("client_secret_post", BASIC, False, id="post although not listed"),
    ],
)
def test_client_authentication(method: str, listed: tuple[str, ...], basic: bool) -> None:
    request = _request(listed, token_auth_method=method)
    assert request.url == f"{ISSUER}/token"
    assert _form(request) == (EXCHANGE if basic else POSTED)
    assert HEADERS.items() <= dict(request.headers).items()
    assert ("Authorization" in dict(request.headers)) is basic


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"client_secret": Secret("")}, id="auto without a secret"),
        pytest.param({"token_auth_method": "none"}, id="none"),
    ],
)
def test_a_public_client_names_itself_and_sends_no_secret(options: dict[str, object]) -> None:
    request = _request(**options)
    assert _form(request) == EXCHANGE | {"client_id": CLIENT}
    assert dict(request.headers) == HEADERS


def test_basic_credentials_are_form_encoded_first() -> None:
    request = _request(client_id="a:b c", client_secret=Secret("p%ü+/ ="))
    scheme, _, value = dict(request.headers)["Authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value) == b"a%3Ab+c:p%25%C3%BC%2B%2F+%3D"


def test_no_verifier_without_pkce() -> None:
    assert "code_verifier" not in _form(_request(pkce="off"))


def test_a_request_does_not_show_its_secrets() -> None:
    shown = repr(_request()) + repr(_request(POST))
    assert not any(secret in shown for secret in (SECRET, "the code", VERIFIER, "Basic"))


ANSWER: dict[str, object] = {
    "access_token": "at",
    "refresh_token": "rt",
    "id_token": "a.b.c",
    "expires_in": 3600,
    "scope": "openid",
    "token_type": "Bearer",
}


def _read(answer: object, status: int = 200) -> Tokens:
    return read_tokens(status, json.dumps(answer).encode(), NOW)


def test_reads_an_answer() -> None:
    assert _read(ANSWER) == Tokens("a.b.c", "at", "rt", NOW + 3600)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(60, 60, id="number"),
        pytest.param(0.5, 0.5, id="fraction"),
        pytest.param("3599", 3599, id="numeric text (Azure)"),
        pytest.param(None, None, id="null"),
        pytest.param(True, None, id="true"),
        pytest.param("soon", None, id="words"),
        pytest.param("", None, id="empty"),
        pytest.param("٣", None, id="other digits"),
        pytest.param(0, None, id="zero"),
        pytest.param(-5, None, id="negative"),
        pytest.param(10**400, None, id="huge"),
        pytest.param([60], None, id="a list"),
    ],
)
def test_expires_in_is_a_hint(given: object, expected: float | None) -> None:
    wanted = None if expected is None else NOW + expected
    assert _read(ANSWER | {"expires_in": given}).expires_at == wanted


def test_expires_in_may_be_absent() -> None:
    assert _read({k: v for k, v in ANSWER.items() if k != "expires_in"}).expires_at is None


@pytest.mark.parametrize("kind", ["bearer", "bEaReR", "BEARER", None])
def test_token_type_is_compared_without_case(kind: str | None) -> None:
    assert _read(ANSWER | {"token_type": kind}).access_token == "at"


@pytest.mark.parametrize("name", ["id_token", "refresh_token"])
@pytest.mark.parametrize("absent", ["null", "missing", "empty"])
def test_a_token_that_is_absent_is_empty(name: str, absent: str) -> None:
    answer = {k: v for k, v in ANSWER.items() if k != name}
    if absent != "missing":
        answer[name] = None if absent == "null" else ""
    assert getattr(_read(answer), name) == ""


REFUSED, INVALID = Reason.TOKEN_REFUSED, Reason.TOKEN_RESPONSE_INVALID
HTML = b"<html>secret-looking page</html>"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(400, b'{"error":"invalid_grant"}', REFUSED, id="invalid_grant"),
        pytest.param(401, b'{"error":"invalid_client"}', REFUSED, id="invalid_client"),
        pytest.param(200, b'{"error":"invalid_grant"}', REFUSED, id="200 with an error"),
        pytest.param(
            200, b'{"error":"x","access_token":"at"}', REFUSED, id="200 with an error and a token"
        ),
        pytest.param(500, HTML, REFUSED, id="500 HTML"),
        pytest.param(503, b"", REFUSED, id="503 empty"),
        pytest.param(302, b"", REFUSED, id="redirect"),
        pytest.param(201, json.dumps(ANSWER).encode(), REFUSED, id="201"),
        pytest.param(200, HTML, INVALID, id="200 HTML"),
        pytest.param(200, b"", INVALID, id="200 empty"),
        pytest.param(200, b"[]", INVALID, id="200 list"),
        pytest.param(200, b"null", INVALID, id="200 null"),
        pytest.param(200, b'"at"', INVALID, id="200 text"),
        pytest.param(200, b"access_token=at", INVALID, id="200 form"),
        pytest.param(200, b"{}", INVALID, id="200 empty object"),
        pytest.param(200, b'{"access_token":null}', INVALID, id="access_token null"),
        pytest.param(200, b'{"access_token":""}', INVALID, id="access_token empty"),
        pytest.param(200, b'{"access_token":7}', INVALID, id="access_token a number"),
        pytest.param(200, b'{"access_token":"a","id_token":{}}', INVALID, id="id_token an object"),
        pytest.param(
            200, b'{"access_token":"a","access_token":"b"}', INVALID, id="access_token twice"
        ),
        pytest.param(
            200, b'{"access_token":"a","token_type":"DPoP"}', INVALID, id="token_type DPoP"
        ),
        pytest.param(
            200, b'{"access_token":"a","token_type":1}', INVALID, id="token_type a number"
        ),
        pytest.param(200, b'{"access_token":"' + b"a" * 70_000 + b'"}', INVALID, id="too large"),
        pytest.param(200, b'{"access_token":"\xff"}', INVALID, id="not UTF-8"),
    ],
)
def test_odd_answers(status: int, body: bytes, reason: Reason) -> None:
    with pytest.raises(ProviderError) as error:
        read_tokens(status, body, NOW)
    assert (error.value.reason, error.value.status) == (reason, 502)
    assert "secret-looking" not in error.value.detail


def test_an_answer_without_a_token_is_described_by_names_never_by_values() -> None:
    with pytest.raises(ProviderError) as error:
        _read({"id_token": "hush", "scope": "x"})
    assert "['id_token', 'scope']" in error.value.detail
    assert "hush" not in error.value.detail


def test_what_the_provider_says_reaches_the_log_tamed() -> None:
    said = {"error": "invalid_request", "error_description": "x\r\ny" * 500, "id_token": "hush"}
    with pytest.raises(ProviderError) as error:
        _read(said, status=400)
    assert "invalid_request" in error.value.detail
    assert "hush" not in error.value.detail
    assert error.value.detail.isprintable()
    assert len(error.value.detail) < 400


def test_a_missing_verifier_points_to_the_option() -> None:
    said = {"error": "invalid_request", "error_description": "Code verifier is required"}
    with pytest.raises(ProviderError, match=r"provider\.pkce"):
        _read(said, status=400)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_answer_is_tokens_or_a_provider_error(status: int, body: bytes) -> None:
    with pytest.raises(ProviderError):
        read_tokens(status, body, NOW)


@pytest.mark.parametrize(
    ("status", "body", "over"),
    [
        pytest.param(400, b'{"error": "invalid_grant"}', True, id="as RFC 6749 section 5.2 says"),
        pytest.param(401, b'{"error": "invalid_grant"}', True, id="with another status"),
        pytest.param(200, b'{"error": "invalid_grant"}', True, id="with the status of success"),
        pytest.param(400, b"", True, id="Glewlwyd: 400 and nothing else"),
        pytest.param(400, b"\r\n", True, id="400 and an empty line"),
        pytest.param(401, b"", False, id="our secret is wrong, perhaps"),
        pytest.param(500, b"", False, id="a fault"),
        pytest.param(200, b"", False, id="a broken answer"),
        pytest.param(400, b"<html>", False, id="a page of something in between"),
        pytest.param(400, b'{"error": "invalid_client"}', False, id="another error"),
        pytest.param(400, b'["invalid_grant"]', False, id="no object"),
    ],
)
def test_when_a_refresh_token_is_no_good(status: int, body: bytes, over: bool) -> None:
    assert refresh_is_over(status, body) is over
