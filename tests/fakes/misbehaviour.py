"""Every way in which the fake provider can be wrong, by name: tables of small functions."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from aiohttp import web

from proxy.crypto.jwk import encode_base64url
from proxy.demo.keys import Keys
from proxy.model import Json
from tests.fakes.hostile_keys import KEY_SETS, SIGNATURES

Claims = dict[str, Json]
HUGE = 8 * 1024 * 1024


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _html(status: int = 200) -> web.Response:
    text = "<!doctype html><title>Maintenance</title><h1>secret-of-the-provider</h1>"
    return web.Response(text=text, status=status, content_type="text/html")


def _huge(document: Claims) -> web.Response:
    return _json(document | {"padding": "x" * HUGE})


def _without(document: Claims, *names: str) -> Claims:
    return {name: value for name, value in document.items() if name not in names}


Answer = Callable[[Claims], web.Response]

TOKEN: Mapping[str, Answer] = {
    "token_200_error": lambda d: _json({"error": "invalid_grant", "error_description": "no"}),
    "token_400_error": lambda d: _json({"error": "invalid_grant"}, 400),
    "token_list": lambda d: _json([]),
    "token_null": lambda d: _json(None),
    "token_html": lambda d: _html(),
    "token_truncated": lambda d: web.Response(
        text=json.dumps(d)[:-20], content_type="application/json"
    ),
    "token_access_token_null": lambda d: _json(d | {"access_token": None}),
    "token_access_token_missing": lambda d: _json(_without(d, "access_token")),
    "token_access_token_number": lambda d: _json(d | {"access_token": 7}),
    "token_type_missing": lambda d: _json(_without(d, "token_type")),
    "token_type_mac": lambda d: _json(d | {"token_type": "mac"}),
    "token_type_mixed_case": lambda d: _json(d | {"token_type": "bEaReR"}),
    "token_expires_in_missing": lambda d: _json(_without(d, "expires_in")),
    "token_expires_in_text": lambda d: _json(d | {"expires_in": "soon"}),
    "token_refresh_token_missing": lambda d: _json(_without(d, "refresh_token")),
    "token_id_token_missing": lambda d: _json(_without(d, "id_token")),
    "token_id_token_null": lambda d: _json(d | {"id_token": None}),
    "token_500": lambda d: _html(500),
    "token_503_json": lambda d: _json({"error": "temporarily_unavailable"}, 503),
    "token_huge": _huge,
}

USERINFO: Mapping[str, Answer] = {
    "userinfo_500": lambda c: _html(500),
    "userinfo_401": lambda c: web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}),
    "userinfo_empty": lambda c: _json({}),
    "userinfo_null": lambda c: _json(None),
    "userinfo_list": lambda c: _json([c]),
    "userinfo_html": lambda c: _html(),
    "userinfo_wrong_sub": lambda c: _json(c | {"sub": "somebody-else"}),
    "userinfo_missing_sub": lambda c: _json(_without(c, "sub")),
    "userinfo_null_claims": lambda c: _json(dict.fromkeys(c) | {"sub": c["sub"]}),
    "userinfo_unverified_email": lambda c: _json(c | {"email_verified": False}),
    "userinfo_huge": _huge,
}

DISCOVERY: Mapping[str, Answer] = {
    "discovery_wrong_issuer": lambda d: _json(d | {"issuer": "https://other.example"}),
    "discovery_trailing_slash": lambda d: _json(d | {"issuer": f"{d['issuer']}/"}),
    "discovery_500": lambda d: _html(500),
    "discovery_404": lambda d: _html(404),
    "discovery_html": lambda d: _html(),
    "discovery_list": lambda d: _json([d]),
    "discovery_huge": _huge,
    "discovery_no_token_endpoint": lambda d: _json(_without(d, "token_endpoint")),
    "discovery_no_userinfo": lambda d: _json(_without(d, "userinfo_endpoint")),
    "discovery_no_end_session": lambda d: _json(_without(d, "end_session_endpoint")),
    "discovery_no_iss_parameter": lambda d: _json(
        _without(d, "authorization_response_iss_parameter_supported")
    ),
    "discovery_no_pkce": lambda d: _json(_without(d, "code_challenge_methods_supported")),
    "discovery_plain_pkce_only": lambda d: _json(
        d | {"code_challenge_methods_supported": ["plain"]}
    ),
    "discovery_basic_only": lambda d: _json(
        d | {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}
    ),
    "discovery_javascript_endpoint": lambda d: _json(
        d | {"authorization_endpoint": "javascript:alert(1)"}
    ),
    "discovery_plain_http": lambda d: _json(d | {"token_endpoint": "http://op.example/token"}),
    "discovery_other_jwks_uri": lambda d: _json(d | {"jwks_uri": f"{d['jwks_uri']}?run=2"}),
}

JWKS: Mapping[str, Answer] = {
    "jwks_500": lambda d: _html(500),
    "jwks_html": lambda d: _html(),
    "jwks_empty": lambda d: _json({"keys": []}),
    "jwks_list": lambda d: _json([d]),
    "jwks_huge": _huge,
    **{
        name: lambda d, change=change: _json(change(d))  # type: ignore[misc]
        for name, change in KEY_SETS.items()
    },
}

REVOKE: Mapping[str, Answer] = {
    "revoke_503": lambda d: _html(503),
    "revoke_400": lambda d: _json({"error": "invalid_request", "error_description": "no"}, 400),
    "revoke_unsupported": lambda d: _json({"error": "unsupported_token_type"}, 400),
    "revoke_huge": _huge,
}


PROTOCOL = ("iss", "sub", "aud", "exp", "iat", "nonce", "at_hash", "acr", "auth_time", "sid")

PUSH: Mapping[str, Answer] = {
    "push_500": lambda d: _html(500),
    "push_400": lambda d: _json({"error": "invalid_request", "error_description": "no"}, 400),
    "push_200_error": lambda d: _json(d | {"error": "invalid_request"}),
    "push_html": lambda d: _html(),
    "push_no_uri": lambda d: _json(_without(d, "request_uri"), 201),
    "push_odd_uri": lambda d: _json(d | {"request_uri": 'urn:"><script>\r\n'}, 201),
    "push_over": lambda d: _json(d | {"expires_in": 0}, 201),
    "push_huge": _huge,
}


def _shift(claims: Claims, seconds: int, *names: str) -> Claims:
    moved = {name: value + seconds for name in names if isinstance(value := claims[name], int)}
    return claims | moved


ID_TOKEN: Mapping[str, Callable[[Claims], Claims]] = {
    "id_token_wrong_iss": lambda c: c | {"iss": "https://other.example"},
    "id_token_wrong_aud": lambda c: c | {"aud": "another-client"},
    "id_token_wrong_aud_my_azp": lambda c: c | {"aud": "another-client", "azp": c["aud"]},
    "id_token_extra_aud": lambda c: c | {"aud": [c["aud"], "another-client"]},
    "id_token_extra_aud_my_azp": lambda c: (
        c | {"aud": [c["aud"], "another-client"], "azp": c["aud"]}
    ),
    "id_token_aud_list": lambda c: c | {"aud": [c["aud"]]},
    "id_token_wrong_azp": lambda c: c | {"azp": "another-client"},
    "id_token_wrong_nonce": lambda c: c | {"nonce": "of-another-attempt"},
    "id_token_wrong_at_hash": lambda c: c | {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    **{
        f"id_token_missing_{name}": lambda c, name=name: _without(c, name)  # type: ignore[misc]
        for name in ("iss", "sub", "aud", "exp", "iat", "nonce", "at_hash", "acr", "auth_time")
    },
    "id_token_empty_sub": lambda c: c | {"sub": ""},
    "id_token_number_sub": lambda c: c | {"sub": 42},
    "id_token_long_sub": lambda c: c | {"sub": "s" * 5000},
    "id_token_crlf_sub": lambda c: c | {"sub": "alice\r\nX-Evil: 1"},
    "id_token_crlf_email": lambda c: c | {"email": "alice@example.org\r\nX-Evil: 1"},
    "id_token_null_claims": lambda c: c | {"email": None, "name": None, "groups": None},
    "id_token_expired": lambda c: _shift(c, -7200, "iat", "exp", "auth_time"),
    "id_token_future": lambda c: _shift(c, 7200, "iat", "exp", "auth_time"),
    "id_token_text_exp": lambda c: c | {"exp": str(c["exp"])},
    "id_token_multi_at_email": lambda c: c | {"email": "a@example.org@evil.example"},
    "id_token_unverified_email": lambda c: c | {"email_verified": False},
    "id_token_without_person": lambda c: {n: v for n, v in c.items() if n in PROTOCOL},
    "id_token_empty_aud": lambda c: c | {"aud": []},
    "id_token_zero_auth_time": lambda c: c | {"auth_time": 0},
    "id_token_fraction_auth_time": lambda c: c | {"auth_time": 0.25 + int(str(c["auth_time"]))},
    "id_token_other_subject": lambda c: c | {"sub": "somebody-else"},
}


def _encoded(part: Mapping[str, Json]) -> str:
    return encode_base64url(json.dumps(dict(part)).encode())


def _none(keys: Keys, claims: Mapping[str, Json]) -> str:
    return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(claims)}."


def _bad_signature(keys: Keys, claims: Mapping[str, Json]) -> str:
    head, _, signature = keys.sign(claims).rpartition(".")
    swapped = "B" if signature[10] == "A" else "A"
    return f"{head}.{signature[:10]}{swapped}{signature[11:]}"


def _stranger(keys: Keys, claims: Mapping[str, Json]) -> str:
    return Keys(keys.algorithm).sign(claims)


def _stranger_known_kid(keys: Keys, claims: Mapping[str, Json]) -> str:
    stranger = Keys(keys.algorithm).signer
    return replace(stranger, kid=keys.signer.kid).sign(claims)


def _no_kid(keys: Keys, claims: Mapping[str, Json]) -> str:
    return replace(keys.signer, kid="").sign(claims)


def _public_key_as_secret(keys: Keys, claims: Mapping[str, Json]) -> str:
    # By hand: libraries refuse to do this (RFC 8725 section 2.1).
    head = _encoded({"alg": "HS256", "typ": "JWT", "kid": keys.signer.kid})
    signed = f"{head}.{_encoded(claims)}"
    secret = json.dumps(keys.document()).encode()
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{encode_base64url(digest)}"


def _rotated(keys: Keys, claims: Mapping[str, Json]) -> str:
    keys.rotate()
    return keys.sign(claims)


SIGN: Mapping[str, Callable[[Keys, Mapping[str, Json]], str]] = {
    "id_token_alg_none": _none,
    "id_token_hs256": _public_key_as_secret,
    "id_token_bad_signature": _bad_signature,
    "id_token_unknown_kid": _stranger,
    "id_token_stranger_known_kid": _stranger_known_kid,
    "id_token_no_kid": _no_kid,
    "id_token_keys_rotated": _rotated,
    "id_token_typ_access_token": lambda keys, c: keys.sign(c, "at+jwt"),
    "id_token_typ_logout_token": lambda keys, c: keys.sign(c, "logout+jwt"),
    "id_token_garbage": lambda keys, c: "not.a.token",
    **SIGNATURES,
}

Params = list[tuple[str, str]]


def _minus(params: Params, *names: str) -> Params:
    return [(name, value) for name, value in params if name not in names]


def _twice(params: Params, name: str) -> Params:
    return [*params, *((n, v) for n, v in params if n == name)]


CALLBACK: Mapping[str, Callable[[Params], Params]] = {
    "callback_no_iss": lambda p: _minus(p, "iss"),
    "callback_wrong_iss": lambda p: [*_minus(p, "iss"), ("iss", "https://other.example")],
    "callback_empty_iss": lambda p: [*_minus(p, "iss"), ("iss", "")],
    "callback_denied_wrong_iss": lambda p: [
        *_minus(p, "iss", "code"),
        ("iss", "https://other.example"),
        ("error", "access_denied"),
    ],
    "callback_no_state": lambda p: _minus(p, "state"),
    "callback_wrong_state": lambda p: [*_minus(p, "state"), ("state", "w" * 43)],
    "callback_no_code": lambda p: _minus(p, "code"),
    "callback_duplicate_state": lambda p: _twice(p, "state"),
    "callback_duplicate_code": lambda p: _twice(p, "code"),
    "callback_duplicate_iss": lambda p: _twice(p, "iss"),
    "callback_access_denied": lambda p: [*_minus(p, "code"), ("error", "access_denied")],
    "callback_server_error": lambda p: [*_minus(p, "code"), ("error", "server_error")],
    "callback_markup_error": lambda p: [
        *_minus(p, "code"),
        ("error", "invalid_request"),
        ("error_description", "<script>alert(1)</script>" + "x" * 5000),
    ],
    "callback_code_and_error": lambda p: [*p, ("error", "access_denied")],
}

ENDPOINTS = ("discovery", "jwks", "token", "userinfo")
HANGING = frozenset(f"{endpoint}_hang" for endpoint in ENDPOINTS)
"""The endpoint does not answer before the test sets ``fake.release``."""
DRIPPING = frozenset(f"{endpoint}_drip" for endpoint in ENDPOINTS)
"""The endpoint answers with a byte now and then, all of them blanks, until ``fake.release``."""
REDIRECTING = frozenset(f"{endpoint}_redirect" for endpoint in ENDPOINTS)
"""The endpoint answers 307 to another origin; following it is counted as ``elsewhere``."""
USERINFO_SIGNED = frozenset({"userinfo_jwt", "userinfo_jwt_bad_signature", "userinfo_jwt_stranger"})

ALL = (
    frozenset()
    .union(TOKEN, USERINFO, DISCOVERY, JWKS, ID_TOKEN, SIGN, CALLBACK, HANGING, REDIRECTING)
    .union(USERINFO_SIGNED, DRIPPING)
)
"""The name of every misbehaviour while somebody signs in."""
FURTHER = frozenset(
    {
        *(*REVOKE, "revoke_hang", "revoke_redirect"),
        *(*PUSH, "push_hang", "push_redirect"),
    }
)
"""And of those at endpoints that not every provider has."""
