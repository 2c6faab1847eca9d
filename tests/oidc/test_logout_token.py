"""Logout tokens, beyond the suite's modules, which are rows of test_strict.py."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.jwt import UnknownKey, parse_jwks
from proxy.errors import BadRequest, Reason
from proxy.oidc.logout_token import EVENT, LogoutRequest, verify_logout_token
from tests.crypto.forge import rsa_key, token
from tests.oidc.acts import LOGOUT_CLAIMS as GOOD
from tests.oidc.acts import MISSING, changed
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NOW, SECRET, keys, provider

DAY = 86400


def _made(changes: Mapping[str, object], **header: object) -> str:
    return token(changed(GOOD, changes), rsa_key(), "RS256", **{"typ": "logout+jwt", **header})


def _verify(made: str, **options: object) -> LogoutRequest:
    algorithms = options.get("id_token_algorithms", ("RS256", "ES256"))
    assert isinstance(algorithms, tuple)
    return verify_logout_token(
        made,
        keys(),
        provider=provider(**options),
        metadata=dataclasses.replace(METADATA, id_token_algorithms=algorithms),
        now=NOW,
    )


def _refused(made: str, **options: object) -> BadRequest:
    with pytest.raises(BadRequest) as error:
        _verify(made, **options)
    assert (error.value.status, error.value.reason) == (400, Reason.LOGOUT_REQUEST_INVALID)
    assert error.value.detail.isprintable()
    return error.value


ACCEPTED = [
    pytest.param({}, ("704e-1", "sid-1"), 180, id="sid and sub"),
    pytest.param({"sub": MISSING}, ("", "sid-1"), 180, id="sid alone"),
    pytest.param({"sid": MISSING}, ("704e-1", ""), 180, id="sub alone"),
    pytest.param({"exp": MISSING}, ("704e-1", "sid-1"), 120, id="no exp: good for 120 s"),
    pytest.param(
        {"exp": MISSING, "sid": MISSING, "iat": NOW - 119}, ("704e-1", ""), 1, id="as Glewlwyd's"
    ),
    pytest.param({"exp": NOW - 59}, ("704e-1", "sid-1"), 1, id="exp 59 s ago, within the skew"),
    pytest.param({"iat": NOW + 59}, ("704e-1", "sid-1"), 180, id="iat 59 s ahead"),
    pytest.param({"iat": NOW - 3600}, ("704e-1", "sid-1"), 180, id="iat an hour ago, exp good"),
    pytest.param(
        {"exp": NOW + 10 * DAY}, ("704e-1", "sid-1"), DAY + 60, id="exp far away: a day at most"
    ),
    pytest.param({"aud": [CLIENT]}, ("704e-1", "sid-1"), 180, id="aud as a list"),
    pytest.param({"aud": [CLIENT, "b"], "azp": CLIENT}, ("704e-1", "sid-1"), 180, id="azp is ours"),
    pytest.param(
        {"events": {EVENT: {"x": 1}, "urn:other": {}}}, ("704e-1", "sid-1"), 180, id="more events"
    ),
    pytest.param({"sid": "s" * 1024}, ("704e-1", "s" * 1024), 180, id="sid of 1024 characters"),
]


@pytest.mark.parametrize(("changes", "whom", "life"), ACCEPTED)
def test_accepts(changes: dict[str, object], whom: tuple[str, str], life: float) -> None:
    assert _verify(_made(changes)) == LogoutRequest(ISSUER, *whom, "jti-1", NOW + life)


REFUSED = [
    pytest.param({"nonce": None}, id="nonce null"),
    pytest.param({"nonce": ""}, id="nonce empty"),
    pytest.param({"events": {EVENT: None}}, id="the event is null"),
    pytest.param({"events": {EVENT: []}}, id="the event is a list"),
    pytest.param({"events": {EVENT: True}}, id="the event is true"),
    pytest.param({"events": {EVENT + "/": {}}}, id="an event that begins like it"),
    pytest.param({"events": [EVENT]}, id="events a list"),
    pytest.param({"events": EVENT}, id="events a text"),
    pytest.param({"iss": MISSING}, id="no iss"),
    pytest.param({"iss": ISSUER + "/"}, id="iss with a slash more"),
    pytest.param({"aud": MISSING}, id="no aud"),
    pytest.param({"aud": [CLIENT, "other"]}, id="another aud without azp"),
    pytest.param({"azp": "other"}, id="azp is another client"),
    pytest.param({"iat": MISSING}, id="no iat"),
    pytest.param({"iat": MISSING, "exp": MISSING}, id="neither iat nor exp"),
    pytest.param({"iat": NOW - 120, "exp": MISSING}, id="no exp, iat 120 s ago"),
    pytest.param({"iat": NOW - DAY - 60, "exp": NOW + DAY}, id="iat more than a day ago"),
    pytest.param({"iat": NOW + 61}, id="iat in the future"),
    pytest.param({"iat": NOW + 61, "exp": MISSING}, id="iat in the future, no exp"),
    pytest.param({"iat": str(int(NOW))}, id="iat a text"),
    pytest.param({"iat": True}, id="iat true"),
    pytest.param({"exp": NOW - 60}, id="exp a skew ago"),
    pytest.param({"exp": None}, id="exp null"),
    pytest.param({"exp": "soon"}, id="exp a text"),
    pytest.param({"nbf": NOW + 61}, id="nbf in the future"),
    pytest.param({"jti": MISSING}, id="no jti"),
    pytest.param({"jti": ""}, id="jti empty"),
    pytest.param({"jti": 7}, id="jti a number"),
    pytest.param({"jti": "j" * 256}, id="jti of 256 characters"),
    pytest.param({"jti": "j\n"}, id="jti with a newline"),
    pytest.param({"jti": "é"}, id="jti not ASCII"),
    pytest.param({"sub": MISSING, "sid": MISSING}, id="neither sub nor sid"),
    pytest.param({"sub": ""}, id="sub empty"),
    pytest.param({"sub": None}, id="sub null"),
    pytest.param({"sub": "x" * 256}, id="sub of 256 characters"),
    pytest.param({"sub": "me\r\nX: y"}, id="sub with CRLF"),
    pytest.param({"sid": ""}, id="sid empty"),
    pytest.param({"sid": None}, id="sid null"),
    pytest.param({"sid": ["sid-1"]}, id="sid a list"),
    pytest.param({"sid": "s\0"}, id="sid with NUL"),
    pytest.param({"sid": "s" * 1025}, id="sid of 1025 characters"),
]


@pytest.mark.parametrize("changes", REFUSED)
def test_refuses(changes: dict[str, object]) -> None:
    _refused(_made(changes))


SIGNATURES = [
    pytest.param(
        lambda: token(GOOD, json.dumps(rsa_key().jwk()).encode(), "HS256", kid="rsa"),
        id="wrong-alg: our key as a secret",
    ),
    pytest.param(lambda: token(GOOD, rsa_key(), "RS384"), id="alg not configured"),
    pytest.param(lambda: _made({})[:-4] + "AAAA", id="broken signature"),
    pytest.param(
        lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa", jwk=rsa_key("thief").jwk()),
        id="own key in the header",
    ),
    pytest.param(lambda: _made({}, typ="secevent+jwt"), id="typ of another event"),
    pytest.param(lambda: _made({}, typ=["logout+jwt"]), id="typ in a list"),
    pytest.param(
        lambda: token(json.dumps(GOOD)[:-1].encode() + b',"sub":"x"}', rsa_key(), "RS256"),
        id="sub twice",
    ),
    pytest.param(lambda: token(b"[]", rsa_key(), "RS256"), id="no object inside"),
    pytest.param(lambda: _made({"x": "x" * 70_000}), id="too large"),
    pytest.param(lambda: _made({}) + ".x.y", id="encrypted"),
    pytest.param(lambda: "", id="nothing"),
]


@pytest.mark.parametrize("made", SIGNATURES)
def test_refuses_what_is_not_properly_signed(made: Callable[[], str]) -> None:
    _refused(made())


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "logout+jwt", "Logout+JWT"])
def test_typ_is_absent_or_that_of_a_jwt_or_of_a_logout_token(typ: str | None) -> None:
    assert _verify(_made({}, typ=typ)).sid == "sid-1"


def test_an_unknown_key_is_for_the_caller_who_can_fetch_keys() -> None:
    with pytest.raises(UnknownKey):
        _verify(token(GOOD, rsa_key("rotated"), "RS256"))


def test_hs256_where_it_is_configured_and_only_with_the_client_secret() -> None:
    made = token(GOOD, SECRET.encode(), "HS256")
    assert _verify(made, id_token_algorithms=("HS256",)).sid == "sid-1"
    _refused(token(GOOD, b"x" * 32, "HS256"), id_token_algorithms=("HS256",))


@pytest.mark.parametrize(
    ("tid", "good"),
    [
        pytest.param("8d1e39ab-0000-4000-8000-00000000000a", True, id="an allowed tenant"),
        pytest.param("8d1e39ab-0000-4000-8000-00000000000b", False, id="another tenant"),
    ],
)
def test_a_tenant_speaks_for_its_own_people(tid: str, good: bool) -> None:
    issuer = f"https://login.example.org/{tid}/v2.0"
    made = _made({"iss": issuer, "tid": tid})
    metadata = dataclasses.replace(METADATA, issuer="https://login.example.org/{tenantid}/v2.0")
    settings = provider(entra={"allowed_tenants": ["8d1e39ab-0000-4000-8000-00000000000a"]})
    if good:
        found = verify_logout_token(made, keys(), provider=settings, metadata=metadata, now=NOW)
        assert found.issuer == issuer
        return
    with pytest.raises(BadRequest) as error:
        verify_logout_token(made, keys(), provider=settings, metadata=metadata, now=NOW)
    assert (error.value.status, error.value.reason) == (400, Reason.LOGOUT_REQUEST_INVALID)


def test_the_skew_is_that_of_the_settings() -> None:
    _refused(_made({"exp": NOW - 20}), clock_skew="10s")


def test_the_detail_holds_no_part_of_the_token() -> None:
    made = _made({"email": "private@example.org", "exp": NOW - 600})
    detail = _refused(made).detail
    assert "private" not in detail
    assert made[:20] not in detail


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "nonce", "nbf", "azp"]), _ANY, max_size=4))
def test_any_claims_are_a_request_or_a_refusal(changes: dict[str, object]) -> None:
    try:
        found = _verify(_made(changes))
    except BadRequest:
        return
    assert found.issuer == ISSUER
    assert found.sid or found.subject
    assert NOW < found.until <= NOW + DAY + 120
    assert found.jti.isprintable()
    assert "nonce" not in changes


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises((BadRequest, UnknownKey)):
        verify_logout_token(
            text, parse_jwks({"keys": []}), provider=provider(), metadata=METADATA, now=NOW
        )
