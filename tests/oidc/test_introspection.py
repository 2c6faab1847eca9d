"""What is believed of an issuer's word about an opaque token (RFC 7662)."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from urllib.parse import parse_qs

import pytest

from proxy.errors import BearerRefused, ProviderError, Reason
from proxy.oidc.bearer import Believed, Terms
from proxy.oidc.introspection import introspection_request, read_introspection
from tests.oidc.acts import MISSING, changed
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NOW, SECRET, provider

API = "https://app.example.org"
GOOD: Mapping[str, object] = {
    "active": True,
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": API,
    "exp": NOW + 600,
    "iat": NOW,
    "token_type": "Bearer",
    "client_id": "a-program",
    "scope": "models",
}


def read(
    answer: object, terms: Terms | None = None, status: int = 200, **options: object
) -> Believed | None:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_introspection(
        status,
        body,
        provider=provider(**options),
        metadata=METADATA,
        terms=terms or Terms((API,)),
        now=NOW,
    )


def test_the_question() -> None:
    metadata = replace(METADATA, introspection_endpoint=f"{ISSUER}/introspect")
    asked = introspection_request(metadata, provider(), "opaque+1")
    assert asked.url == f"{ISSUER}/introspect"
    form = {"token": ["opaque+1"], "token_type_hint": ["access_token"]}
    assert parse_qs(asked.body.decode()) == form
    pair = f"{CLIENT}:{SECRET.replace(' ', '+')}"
    assert dict(asked.headers)["Authorization"] == (
        "Basic " + base64.b64encode(pair.encode()).decode()
    )
    assert "opaque" not in repr(asked)


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        pytest.param({}, NOW + 660, id="whole"),
        pytest.param({"iss": MISSING}, NOW + 660, id="iss left out"),
        pytest.param({"iss": None}, NOW + 660, id="iss null"),
        pytest.param({"exp": MISSING}, inf, id="no exp"),
        pytest.param({"aud": ["other", API]}, NOW + 660, id="aud a list"),
        pytest.param({"token_type": "bearer"}, NOW + 660, id="token_type in lower case"),
        pytest.param({"token_type": MISSING}, NOW + 660, id="no token_type"),
        pytest.param({"token_use": "access_token", "cnf": None}, NOW + 660, id="as Hydra has it"),
        pytest.param({"nonce": "n", "azp": "x"}, NOW + 660, id="an access token with a nonce"),
    ],
)
def test_a_good_token(changes: dict[str, object], end: float) -> None:
    found = read(changed(GOOD, changes))
    assert found is not None
    assert (found.issuer, found.claims["sub"]) == (ISSUER, "704e-1")
    assert (found.expires_at, found.scopes) == (end, ("models",))


@pytest.mark.parametrize(
    "answer", [{"active": False}, {**GOOD, "active": False}, {"active": False, "sub": 7}]
)
def test_a_no(answer: object) -> None:
    assert read(answer) is None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": ISSUER + "/"}, id="another iss"),
        pytest.param({"iss": ""}, id="iss empty"),
        pytest.param({"aud": MISSING}, id="no aud"),
        pytest.param({"aud": None}, id="aud null"),
        pytest.param({"aud": "other"}, id="another aud"),
        pytest.param({"aud": [[API]]}, id="aud nested"),
        pytest.param({"sub": MISSING}, id="no sub"),
        pytest.param({"sub": "a\nb"}, id="sub with a newline"),
        pytest.param({"exp": NOW - 60}, id="over"),
        pytest.param({"exp": "soon"}, id="exp a text"),
        pytest.param({"exp": 0}, id="exp 0"),
        pytest.param({"nbf": NOW + 61}, id="not yet good"),
        pytest.param({"token_type": "DPoP"}, id="bound by DPoP"),
        pytest.param({"token_type": "refresh_token"}, id="a refresh token"),
        pytest.param({"token_type": 7}, id="token_type a number"),
        pytest.param({"token_use": "refresh_token"}, id="Hydra's refresh token"),
        pytest.param({"typ": "Refresh"}, id="Keycloak's refresh token"),
        pytest.param({"cnf": {"jkt": "x"}}, id="bound to a key"),
    ],
)
def test_a_token_that_is_not_good_here(changes: dict[str, object]) -> None:
    with pytest.raises(BearerRefused) as refused:
        read(changed(GOOD, changes))
    assert (refused.value.status, refused.value.error) == (401, "invalid_token")


def test_a_missing_scope() -> None:
    with pytest.raises(BearerRefused) as refused:
        read(GOOD, Terms((API,), ("admin",)))
    assert refused.value.reason is Reason.SCOPE_MISSING


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        pytest.param(401, {"error": "invalid_client"}, id="we are not known there"),
        pytest.param(500, b"", id="a fault"),
        pytest.param(204, b"", id="nothing"),
        pytest.param(200, b"", id="an empty answer"),
        pytest.param(200, b"true", id="no object"),
        pytest.param(200, b'{"active":false,"active":true}', id="active twice"),
        pytest.param(200, {"active": "true"}, id="active a text"),
        pytest.param(200, {"active": 1}, id="active a number"),
        pytest.param(200, {"active": None}, id="active null"),
        pytest.param(200, {**GOOD, "active": MISSING}, id="no active"),
        pytest.param(200, b'{"active":true,"x":"' + b"y" * 70_000 + b'"}', id="too large"),
    ],
)
def test_what_is_no_answer(status: int, answer: object) -> None:
    if isinstance(answer, dict):
        answer = {name: value for name, value in answer.items() if value is not MISSING}
    with pytest.raises(ProviderError) as refused:
        read(answer, status=status)
    assert refused.value.reason is Reason.PROVIDER_ERROR
