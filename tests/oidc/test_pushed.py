"""When the request is pushed, and every odd answer to it (RFC 9126)."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ProviderError, Reason
from proxy.oidc.pushed import carried, is_pushed, push_request, read_pushed
from tests.oidc.scene import CLIENT, ISSUER, METADATA, SECRET, provider

PAR = f"{ISSUER}/par"
OFFERED = replace(METADATA, pushed_authorization_request_endpoint=PAR)
DEMANDED = replace(OFFERED, requires_pushed=True)
URI = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"
ANSWER: dict[str, object] = {"request_uri": URI, "expires_in": 60}


@pytest.mark.parametrize(
    ("choice", "metadata", "pushed"),
    [
        pytest.param("auto", METADATA, False, id="auto, not offered"),
        pytest.param("auto", OFFERED, True, id="auto, offered"),
        pytest.param("auto", DEMANDED, True, id="auto, demanded"),
        pytest.param("on", OFFERED, True, id="on, offered"),
        pytest.param("off", METADATA, False, id="off, not offered"),
        pytest.param("off", OFFERED, False, id="off, offered"),
        pytest.param("on", METADATA, None, id="on, not offered"),
        pytest.param("off", DEMANDED, None, id="off, demanded"),
        pytest.param(
            "auto", replace(METADATA, requires_pushed=True), None, id="demanded, but where?"
        ),
    ],
)
def test_whether_it_is_pushed(choice: str, metadata: object, pushed: bool | None) -> None:
    options = provider(pushed_authorization=choice)
    assert isinstance(metadata, type(METADATA))
    if pushed is None:
        with pytest.raises(ProviderError):
            is_pushed(metadata, options)
    else:
        assert is_pushed(metadata, options) is pushed


def test_the_request_holds_every_parameter_and_who_we_are() -> None:
    params = {"client_id": CLIENT, "state": "s", "scope": "openid email"}
    options = provider(token_auth_method="client_secret_post")
    request = push_request(OFFERED, options, params)
    assert request.url == PAR
    assert dict(parse_qsl(request.body.decode())) == {**params, "client_secret": SECRET}


@pytest.mark.parametrize("status", [201, 200])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as in the RFC"),
        pytest.param({"expires_in": 0.5}, id="a fraction of a second"),
        pytest.param({"more": [1]}, id="further members"),
        pytest.param({"request_uri": "https://idp.example.org/r/1?a=%20"}, id="a URL"),
    ],
)
def test_a_good_answer(status: int, changes: dict[str, object]) -> None:
    answer = ANSWER | changes
    assert read_pushed(status, json.dumps(answer).encode()) == answer["request_uri"]


def _json(**changes: object) -> bytes:
    return json.dumps(ANSWER | changes).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(400, b'{"error": "invalid_request"}', id="a refusal"),
        pytest.param(200, b'{"error": "invalid_request"}', id="a refusal with 200"),
        pytest.param(201, _json(error="server_error"), id="both at once"),
        pytest.param(202, _json(), id="another success"),
        pytest.param(500, b"<html>", id="no JSON, 500"),
        pytest.param(201, b"<html>", id="no JSON, 201"),
        pytest.param(201, b"[]", id="a list"),
        pytest.param(201, b"", id="nothing"),
        pytest.param(201, b'{"request_uri": "urn:a", "request_uri": "urn:b"}', id="twice"),
        pytest.param(201, b'{"expires_in": 60}', id="no request_uri"),
        pytest.param(201, _json(request_uri=None), id="null"),
        pytest.param(201, _json(request_uri=7), id="a number"),
        pytest.param(201, _json(request_uri=""), id="an empty one"),
        pytest.param(201, _json(request_uri="no-scheme"), id="not a URI"),
        pytest.param(201, _json(request_uri="urn:a b"), id="a space"),
        pytest.param(201, _json(request_uri="urn:a\r\nX: y"), id="CRLF"),
        pytest.param(201, _json(request_uri="urn:a\n"), id="a line end at its end"),
        pytest.param(201, _json(request_uri="urn:é"), id="not ASCII"),
        pytest.param(201, _json(request_uri="urn:a%zz"), id="a bad escape"),
        pytest.param(201, _json(request_uri='urn:"><script>'), id="a script"),
        pytest.param(201, _json(request_uri="urn:" + "a" * 2000), id="endless"),
        pytest.param(201, _json(expires_in=0), id="over at once"),
        pytest.param(201, _json(expires_in=-1), id="over before"),
        pytest.param(201, _json(expires_in="60"), id="expires_in as a text"),
        pytest.param(201, _json(expires_in=True), id="expires_in true"),
        pytest.param(201, _json(expires_in=None), id="no expires_in"),
        pytest.param(201, b'{"request_uri": "urn:a", "expires_in": NaN}', id="not a number"),
        pytest.param(201, _json(pad="x" * 70_000), id="larger than 64 KiB"),
    ],
)
def test_an_answer_that_is_no_permission(status: int, body: bytes) -> None:
    with pytest.raises(ProviderError) as refused:
        read_pushed(status, body)
    assert refused.value.reason is Reason.PROVIDER_ERROR
    assert refused.value.detail.startswith("pushed request: ")
    assert refused.value.detail.isprintable()


@given(st.integers(0, 600), st.binary(max_size=200))
def test_any_other_answer_is_a_provider_error(status: int, body: bytes) -> None:
    with pytest.raises(ProviderError):
        read_pushed(status, body)


def test_the_provider_s_words_are_in_the_detail_and_bounded() -> None:
    body = json.dumps({"error": "invalid_client", "error_description": "é" * 5000}).encode()
    with pytest.raises(ProviderError) as refused:
        read_pushed(401, body)
    assert "invalid_client" in refused.value.detail
    assert len(refused.value.detail) < 400


def test_the_browser_carries_two_parameters() -> None:
    assert carried(provider(), URI) == {"client_id": CLIENT, "request_uri": URI}
