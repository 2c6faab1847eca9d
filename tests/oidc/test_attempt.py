"""What the browser is sent away with, and what it must come back with."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.provider import Provider
from proxy.errors import LoginError, Reason
from proxy.oidc.attempt import (
    Attempt,
    Callback,
    authorization_request,
    authorization_url,
    begin,
    check_callback,
    cookie_tag,
    dump,
    load,
)
from proxy.oidc.metadata import Metadata
from tests.oidc.scene import (
    ATTEMPT,
    CLIENT,
    ISSUER,
    METADATA,
    NONCE,
    NOW,
    REDIRECT,
    STATE,
    VERIFIER,
    provider,
)

TENANT = "8d1e39ab-0000-4000-8000-00000000000a"
GOOD = (("code", "c0de"), ("state", STATE))


def _token() -> str:
    return secrets.token_urlsafe(32)


def test_an_attempt_has_three_different_secrets() -> None:
    attempt = begin("/x", NOW, _token)
    values = {attempt.state, attempt.nonce, attempt.verifier}
    assert len(values) == 3
    assert all(len(value) >= 43 for value in values)
    assert (attempt.return_to, attempt.created_at) == ("/x", NOW)


@pytest.mark.parametrize("weak", ["short", "x" * 42, "x" * 129, "x" * 43 + "\n", "é" * 43, ""])
def test_weak_randomness_is_refused(weak: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        begin("/x", NOW, lambda: weak)


def test_an_attempt_does_not_show_its_secrets() -> None:
    assert not any(secret in repr(ATTEMPT) for secret in (STATE, NONCE, VERIFIER))


def _url(
    metadata: Metadata,
    options: Provider,
    attempt: Attempt,
    redirect_uri: str,
    passed: Mapping[str, str] | None = None,
) -> str:
    request = authorization_request(metadata, options, attempt, redirect_uri, passed or {})
    return authorization_url(metadata, request)


def _params(url: str) -> dict[str, str]:
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_authorization_request_holds_exactly_what_is_needed() -> None:
    options = provider(scope=" openid given_name\n usual_name  email ")
    url = _url(METADATA, options, ATTEMPT, REDIRECT)
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    assert url.startswith(f"{ISSUER}/authorize?")
    assert _params(url) == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid given_name usual_name email",
        "state": STATE,
        "nonce": NONCE,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    attempt = dataclasses.replace(ATTEMPT, verifier=verifier)
    url = _url(METADATA, provider(), attempt, REDIRECT)
    assert _params(url)["code_challenge"] == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_pkce_can_be_switched_off() -> None:
    url = _url(METADATA, provider(pkce="off"), ATTEMPT, REDIRECT)
    assert not {"code_challenge", "code_challenge_method"} & _params(url).keys()


def test_openid_is_always_asked_for() -> None:
    url = _url(METADATA, provider(scope="email email"), ATTEMPT, REDIRECT)
    assert _params(url)["scope"] == "openid email"


def test_the_endpoint_keeps_its_own_parameters() -> None:
    endpoint = f"{ISSUER}/authorize?policy=b2c&blank=&state=old"
    metadata = dataclasses.replace(METADATA, authorization_endpoint=endpoint)
    params = _params(_url(metadata, provider(), ATTEMPT, REDIRECT))
    assert (params["policy"], params["blank"], params["state"]) == ("b2c", "", STATE)


@pytest.mark.parametrize(
    ("options", "passed", "sent"),
    [
        pytest.param({"authorization_params": {"prompt": "login"}}, {}, "login", id="configured"),
        pytest.param({"authorization_params": {"prompt": ""}}, {}, None, id="configured as empty"),
        pytest.param({}, {"prompt": "none"}, None, id="passed but not allowed"),
        pytest.param(
            {"allowed_login_params": ["prompt"]},
            {"prompt": "none"},
            "none",
            id="passed and allowed",
        ),
        pytest.param(
            {"allowed_login_params": ["prompt"]}, {"prompt": ""}, None, id="passed, empty"
        ),
        pytest.param(
            {"allowed_login_params": ["prompt"], "authorization_params": {"prompt": "login"}},
            {"prompt": "none"},
            "login",
            id="configured wins over passed",
        ),
    ],
)
def test_extra_parameters(
    options: dict[str, object], passed: dict[str, str], sent: str | None
) -> None:
    url = _url(METADATA, provider(**options), ATTEMPT, REDIRECT, passed)
    assert _params(url).get("prompt") == sent


@pytest.mark.parametrize(
    "name",
    ["state", "nonce", "redirect_uri", "client_id", "response_type", "code_challenge", "request"],
)
def test_no_extra_parameter_replaces_one_of_ours(name: str) -> None:
    plain = _url(METADATA, provider(), ATTEMPT, REDIRECT)
    options = provider(allowed_login_params=[name], authorization_params={name: "evil"})
    url = _url(METADATA, options, ATTEMPT, REDIRECT, {name: "evil"})
    assert _params(url) == _params(plain)


def test_an_attempt_survives_its_cookie() -> None:
    attempt = dataclasses.replace(ATTEMPT, return_to="/ünï?a=1&b=\U0001f600", created_at=NOW + 0.25)
    assert load(dump(attempt)) == attempt
    attempt = dataclasses.replace(
        ATTEMPT, provider="entra", wanted_acr=("a", "b"), wanted_age=300.0, debug=True
    )
    assert load(dump(attempt)) == attempt


ACR = {"essential": True, "values": ["gold", "silver"]}


@pytest.mark.parametrize(
    ("options", "wanted", "sent"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param(
            {}, {"wanted_acr": ("gold", "silver")}, {"acr_values": "gold silver"}, id="acr_values"
        ),
        pytest.param(
            {"acr_request": "claims", "authorization_params": {"acr_values": "iron"}},
            {"wanted_acr": ("gold", "silver")},
            {"claims": {"id_token": {"acr": ACR}}},
            id="essential claims, and never acr_values beside them",
        ),
        pytest.param(
            {
                "acr_request": "claims",
                "authorization_params": {"claims": '{"id_token":{"amr":null},"userinfo":{}}'},
            },
            {"wanted_acr": ("gold", "silver")},
            {"claims": {"id_token": {"amr": None, "acr": ACR}, "userinfo": {}}},
            id="beside the configured claims",
        ),
        pytest.param({}, {"wanted_age": 300.0}, {"max_age": "300"}, id="max_age"),
        pytest.param(
            {"fresh_sign_in": "prompt"}, {"wanted_age": 300.0}, {"prompt": "login"}, id="prompt"
        ),
    ],
)
def test_a_stronger_sign_in_is_asked_for(
    options: dict[str, object], wanted: dict[str, Any], sent: dict[str, object]
) -> None:
    attempt = dataclasses.replace(ATTEMPT, **wanted)
    params = _params(_url(METADATA, provider(**options), attempt, REDIRECT))
    named = ("acr_values", "claims", "max_age", "prompt")
    found: dict[str, object] = {name: params[name] for name in named if name in params}
    if "claims" in found:
        found["claims"] = json.loads(params["claims"])
    assert found == sent


@pytest.mark.parametrize(
    ("issuer", "good"),
    [
        pytest.param(
            "https://login.example/8d1e39ab-0000-4000-8000-00000000000a/v2.0", True, id="a tenant"
        ),
        pytest.param("https://login.example/x/v2.0", False, id="no tenant"),
        pytest.param("https://login.example/{tenantid}/v2.0", False, id="the template itself"),
        pytest.param("https://login.example//v2.0", False, id="none"),
        pytest.param(
            "https://evil.example/8d1e39ab-0000-4000-8000-00000000000a/v2.0", False, id="elsewhere"
        ),
    ],
)
def test_iss_of_one_of_many_tenants(issuer: str, good: bool) -> None:
    metadata = dataclasses.replace(METADATA, issuer="https://login.example/{tenantid}/v2.0")
    params = (*GOOD, ("iss", issuer))
    if good:
        check_callback(params, ATTEMPT, metadata, NOW, 600)
        return
    with pytest.raises(LoginError) as error:
        check_callback(params, ATTEMPT, metadata, NOW, 600)
    assert error.value.reason is Reason.ISSUER_MISMATCH


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{}", id="no members"),
        pytest.param(b"[]", id="a list"),
        pytest.param(dump(ATTEMPT).replace(b'"v": 2', b'"v": 3'), id="another version"),
        pytest.param(dump(ATTEMPT).replace(b"nnn", b"", 1), id="short nonce"),
        pytest.param(dump(ATTEMPT).replace(b"1799", b'"1799', 1), id="not JSON"),
        pytest.param(dump(ATTEMPT).replace(b"1799999995.0", b"true"), id="time is true"),
        pytest.param(dump(ATTEMPT).replace(b"1799999995.0", b"1e999"), id="time is infinite"),
        pytest.param(dump(ATTEMPT).replace(b'"/chat?m=1"', b"null"), id="nowhere to return to"),
        pytest.param(dump(ATTEMPT).replace(b"[[]", b"[[7]"), id="acr is a number"),
        pytest.param(dump(ATTEMPT).replace(b"null, false", b"-1, false"), id="a negative age"),
        pytest.param(dump(ATTEMPT).replace(b"null, false", b"null, 0"), id="debug is a number"),
        pytest.param(dump(ATTEMPT)[:-1], id="cut"),
    ],
)
def test_other_bytes_are_no_attempt(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(data)


def test_a_cookie_tag_is_stable_and_short() -> None:
    assert cookie_tag(STATE) == cookie_tag(STATE) != cookie_tag(STATE + "x")
    assert len(cookie_tag(STATE)) == 16
    assert cookie_tag("\udcff") != cookie_tag("")


def _check(
    *params: tuple[str, str],
    attempt: Attempt | None = ATTEMPT,
    iss_parameter: bool = False,
    now: float = NOW,
) -> Callback:
    metadata = dataclasses.replace(METADATA, iss_parameter=iss_parameter)
    return check_callback(params, attempt, metadata, now, 600)


@pytest.mark.parametrize(
    ("extra", "iss_parameter"),
    [
        pytest.param((), False, id="code and state"),
        pytest.param((("iss", ISSUER),), False, id="iss although it was not announced"),
        pytest.param((("iss", ISSUER),), True, id="iss as announced"),
        pytest.param((("session_state", "a"), ("session_state", "b")), False, id="others ignored"),
    ],
)
def test_a_good_callback(extra: tuple[tuple[str, str], ...], iss_parameter: bool) -> None:
    callback = _check(*GOOD, *extra, iss_parameter=iss_parameter)
    assert (callback.code, callback.attempt) == ("c0de", ATTEMPT)
    assert "c0de" not in repr(callback)


def test_nobody_else_makes_a_callback() -> None:
    with pytest.raises(TypeError):
        Callback("code", ATTEMPT, None)
    with pytest.raises(TypeError):
        Callback("code", ATTEMPT)  # type: ignore[call-arg]
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(_check(*GOOD), code="another")  # type: ignore[call-arg]


ERROR = ("error", "access_denied")


@pytest.mark.parametrize(
    ("params", "reason", "status"),
    [
        pytest.param((*GOOD, GOOD[0]), "duplicate_parameter", 400, id="two codes"),
        pytest.param((*GOOD, ("state", "x")), "duplicate_parameter", 400, id="two states"),
        pytest.param((*GOOD, ("iss", "a"), ("iss", "a")), "duplicate_parameter", 400, id="two iss"),
        pytest.param((GOOD[1], ERROR, ERROR), "duplicate_parameter", 400, id="two errors"),
        pytest.param((GOOD[0],), "state_missing", 400, id="no state"),
        pytest.param((GOOD[0], ("state", "")), "state_missing", 400, id="empty state"),
        pytest.param((ERROR,), "state_missing", 400, id="error without state"),
        pytest.param((GOOD[0], ("state", "x" * 43)), "attempt_missing", 403, id="another state"),
        pytest.param((GOOD[0], ("state", STATE[:-1])), "attempt_missing", 403, id="part of it"),
        pytest.param((GOOD[0], ("state", "é\udcff")), "attempt_missing", 403, id="odd state"),
        pytest.param((ERROR, ("state", "x")), "attempt_missing", 403, id="error, another state"),
        pytest.param(
            (*GOOD, ("iss", "https://evil.example.org")), "issuer_mismatch", 403, id="another iss"
        ),
        pytest.param((*GOOD, ("iss", ISSUER + "/")), "issuer_mismatch", 403, id="a slash more"),
        pytest.param((*GOOD, ("iss", "")), "issuer_mismatch", 403, id="empty iss"),
        pytest.param(
            (GOOD[1], ERROR, ("iss", "https://evil")),
            "issuer_mismatch",
            403,
            id="error, another iss",
        ),
        pytest.param((GOOD[1], ERROR), "provider_denied", 403, id="access_denied"),
        pytest.param((*GOOD, ERROR), "provider_denied", 403, id="an error wins over a code"),
        pytest.param(
            (GOOD[1], ("error", "temporarily_unavailable")), "provider_error", 503, id="unavailable"
        ),
        pytest.param(
            (GOOD[1], ("error", "server_error")), "provider_error", 502, id="server_error"
        ),
        pytest.param(
            (GOOD[1], ("error", "login_required")), "provider_error", 403, id="other error"
        ),
        pytest.param((*GOOD, ("error", "")), "provider_error", 403, id="empty error"),
        pytest.param((GOOD[1],), "code_missing", 400, id="no code"),
        pytest.param((GOOD[1], ("code", "")), "code_missing", 400, id="empty code"),
    ],
)
def test_refuses(params: tuple[tuple[str, str], ...], reason: str, status: int) -> None:
    with pytest.raises(LoginError) as error:
        _check(*params)
    assert (error.value.reason, error.value.status) == (Reason(reason), status)


def test_iss_that_was_announced_must_come() -> None:
    with pytest.raises(LoginError) as error:
        _check(*GOOD, iss_parameter=True)
    assert error.value.reason is Reason.ISSUER_MISMATCH


def test_another_browser_has_no_attempt() -> None:
    with pytest.raises(LoginError) as error:
        _check(*GOOD, attempt=None)
    assert error.value.reason is Reason.ATTEMPT_MISSING


@pytest.mark.parametrize(
    ("age", "good"),
    [
        pytest.param(600, True, id="on the last second"),
        pytest.param(601, False, id="a second late"),
        pytest.param(-30, True, id="another replica's clock"),
        pytest.param(-61, False, id="from the future"),
    ],
)
def test_an_attempt_has_its_time(age: float, good: bool) -> None:
    now = ATTEMPT.created_at + age
    if good:
        _check(*GOOD, now=now)
        return
    with pytest.raises(LoginError) as error:
        _check(*GOOD, now=now)
    assert error.value.reason is Reason.ATTEMPT_EXPIRED
    assert error.value.status == 403


def test_what_the_provider_says_reaches_the_log_tamed() -> None:
    said = ("error_description", "no\r\nway <script>" + "x" * 1000)
    with pytest.raises(LoginError) as error:
        _check(GOOD[1], ("error", "invalid_scope"), said)
    assert error.value.detail.isprintable()
    assert len(error.value.detail) < 400
