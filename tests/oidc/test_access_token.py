"""Access tokens, beyond what test_strict.py decides: what is said, and what says nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.jwt import UnknownKey, VerificationKeys
from proxy.errors import LoginError, Reason
from proxy.oidc.access_token import verify_access_token
from proxy.oidc.facts import Claims
from tests.crypto.forge import rsa_key, token, token_of
from tests.oidc.acts import ACCESS_CLAIMS, MISSING, changed
from tests.oidc.scene import CLIENT, METADATA, NOW, keys, provider


def _verify(made: str, known: VerificationKeys | None = None, **options: object) -> Claims:
    return verify_access_token(
        made,
        keys() if known is None else known,
        provider=provider(**options),
        metadata=METADATA,
        subject="704e-1",
        now=NOW,
    )


def _made(changes: Mapping[str, object], **header: object) -> str:
    return token(changed(ACCESS_CLAIMS, changes), rsa_key(), "RS256", **header)


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        pytest.param({}, {}, id="as Keycloak's"),
        pytest.param(
            {"azp": MISSING, "client_id": CLIENT}, {"typ": "at+jwt"}, id="as RFC 9068 has it"
        ),
        pytest.param({}, {"typ": "application/at+jwt"}, id="the long typ"),
        pytest.param({}, {"typ": None}, id="no typ"),
        pytest.param({"sub": MISSING}, {}, id="no sub"),
        pytest.param({"azp": MISSING, "aud": MISSING}, {}, id="given to nobody in particular"),
        pytest.param({"exp": NOW - 59}, {}, id="over, within the skew"),
    ],
)
def test_says_what_is_in_it(changes: dict[str, object], header: dict[str, object]) -> None:
    assert _verify(_made(changes, **header)) == changed(ACCESS_CLAIMS, changes)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param("", id="none"),
        pytest.param("2YotnFZFEjr1zCsicMWpAA", id="opaque"),
        pytest.param("ya29.a0AfH6.SMBx", id="opaque with dots"),
        pytest.param("é.b.c", id="not ASCII"),
        pytest.param("e30.e30.e30.e30.e30", id="encrypted"),
    ],
)
def test_one_that_is_not_ours_to_read_says_nothing(made: str) -> None:
    assert _verify(made) == {}


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: _made({})[:-4] + "AAAA", id="broken signature"),
        pytest.param(lambda: token_of(b"{", ACCESS_CLAIMS, rsa_key(), "RS256"), id="half a header"),
        pytest.param(lambda: token_of(b"{}", ACCESS_CLAIMS, rsa_key(), "RS256"), id="no alg"),
        pytest.param(lambda: token(ACCESS_CLAIMS, b"x" * 32, "HS256"), id="HS256"),
        pytest.param(lambda: _made({"azp": None}), id="azp null"),
        pytest.param(lambda: _made({"sub": None}), id="sub null"),
        pytest.param(lambda: _made({"exp": "soon"}), id="exp a text"),
        pytest.param(lambda: _made({"nbf": NOW + 61}), id="not yet"),
        pytest.param(lambda: _made({"x": "x" * 70_000}), id="too large"),
        pytest.param(lambda: _made({}, crit=["exp"]), id="crit"),
    ],
)
def test_a_jwt_that_cannot_be_believed_ends_the_sign_in(made: object) -> None:
    assert callable(made)
    with pytest.raises(LoginError) as error:
        _verify(made())
    assert error.value.reason is Reason.ACCESS_TOKEN_INVALID
    assert error.value.detail.isprintable()


def test_a_tenant_that_may_not_come() -> None:
    entra = {"allowed_tenants": ["8d1e39ab-0000-4000-8000-00000000000a"]}
    with pytest.raises(LoginError) as error:
        _verify(_made({"tid": "8d1e39ab-0000-4000-8000-00000000000b"}), entra=entra)
    assert error.value.reason is Reason.ACCESS_TOKEN_INVALID


def test_an_unknown_key_is_for_the_caller_who_can_fetch_keys() -> None:
    with pytest.raises(UnknownKey):
        _verify(_made({}), VerificationKeys())


@given(st.text(max_size=60) | st.from_regex(r"e[a-zA-Z0-9_-]{1,9}\.[a-zA-Z0-9_-]{0,9}\.[\w-]{0,9}"))
def test_any_text_says_nothing_or_is_refused(text: str) -> None:
    with contextlib.suppress(LoginError):
        assert _verify(text, VerificationKeys()) == {}
