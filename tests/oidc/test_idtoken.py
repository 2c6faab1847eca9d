"""One row for each thing that a strict relying party decides about an ID token."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.config.types import Secret
from proxy.crypto.jwt import UnknownKey, VerificationKeys, parse_jwks
from proxy.errors import LoginError, Reason
from proxy.oidc.idtoken import verify_id_token
from tests.crypto.forge import Key, at_hash, ec_key, ed_key, rsa_key, token, token_of
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NONCE, NOW, SECRET, keys, provider

ACCESS_TOKEN = "an access token"
GOOD: dict[str, object] = {
    "iss": ISSUER,
    "sub": "704e-1",
    "aud": CLIENT,
    "exp": NOW + 3600,
    "iat": NOW,
    "nonce": NONCE,
}
MISSING = object()


def _claims(changes: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in {**GOOD, **changes}.items() if v is not MISSING}


def _made(changes: Mapping[str, object]) -> str:
    return token(_claims(changes), rsa_key(), "RS256")


def _verify(
    made: str,
    known: VerificationKeys | None = None,
    *,
    access_token: str = ACCESS_TOKEN,
    nonce: str = NONCE,
    **options: object,
) -> Mapping[str, object]:
    algorithms = options.get("id_token_algorithms", ("RS256", "ES256"))
    assert isinstance(algorithms, tuple)
    return verify_id_token(
        made,
        keys() if known is None else known,
        provider=provider(**options),
        metadata=dataclasses.replace(METADATA, id_token_algorithms=algorithms),
        nonce=nonce,
        now=NOW,
        access_token=access_token,
    )


ACCEPTED = [
    pytest.param({}, id="the least"),
    pytest.param({"aud": [CLIENT]}, id="aud as a list"),
    pytest.param({"aud": [CLIENT, CLIENT]}, id="aud twice ours"),
    pytest.param({"aud": [CLIENT, "other"], "azp": CLIENT}, id="another aud, azp is ours"),
    pytest.param({"azp": CLIENT}, id="azp is ours"),
    pytest.param({"exp": NOW - 59}, id="exp 59 s ago, within the skew"),
    pytest.param({"exp": NOW + 0.5}, id="exp with a fraction"),
    pytest.param({"iat": NOW + 59}, id="iat 59 s ahead, within the skew"),
    pytest.param({"iat": int(NOW) - 86400}, id="iat long ago, exp good"),
    pytest.param({"nbf": NOW + 59}, id="nbf 59 s ahead, within the skew"),
    pytest.param({"sub": "x"}, id="sub of one character"),
    pytest.param({"sub": "x" * 255}, id="sub of 255 characters"),
    pytest.param({"sub": "auth0|a b"}, id="sub with a space inside"),
    pytest.param({"at_hash": at_hash(ACCESS_TOKEN)}, id="at_hash fits"),
    pytest.param({"auth_time": NOW - 100}, id="auth_time"),
    pytest.param({"auth_time": 0}, id="auth_time 0"),
    pytest.param({"email": "a@b.fr", "unknown": {"x": [1]}}, id="unknown claims"),
]


@pytest.mark.parametrize("changes", ACCEPTED)
def test_accepts(changes: dict[str, object]) -> None:
    assert _verify(_made(changes)) == _claims(changes)


REFUSED = [
    pytest.param({"iss": MISSING}, id="iss missing"),
    pytest.param({"iss": "https://other.example.org"}, id="iss of another issuer"),
    pytest.param({"iss": ISSUER + "/"}, id="iss with a slash more"),
    pytest.param({"iss": ISSUER[:-2]}, id="iss is a part of it"),
    pytest.param({"iss": ISSUER.upper()}, id="iss in another case"),
    pytest.param({"iss": [ISSUER]}, id="iss in a list"),
    pytest.param({"iss": None}, id="iss null"),
    pytest.param({"aud": MISSING}, id="aud missing"),
    pytest.param({"aud": "other"}, id="aud is another client"),
    pytest.param({"aud": []}, id="aud empty list"),
    pytest.param({"aud": ""}, id="aud empty"),
    pytest.param({"aud": CLIENT + "x"}, id="aud begins like ours"),
    pytest.param({"aud": ["other"]}, id="aud list of others"),
    pytest.param({"aud": [CLIENT, "other"]}, id="another aud without azp"),
    pytest.param({"aud": [CLIENT, 7]}, id="aud holds a number"),
    pytest.param({"aud": {CLIENT: 1}}, id="aud an object"),
    pytest.param({"azp": "other"}, id="azp is another client"),
    pytest.param({"azp": None}, id="azp null"),
    pytest.param({"azp": [CLIENT]}, id="azp in a list"),
    pytest.param({"aud": [CLIENT, "other"], "azp": "other"}, id="another aud, azp is the other"),
    pytest.param({"exp": MISSING}, id="exp missing"),
    pytest.param({"exp": NOW - 60}, id="exp a skew ago"),
    pytest.param({"exp": str(int(NOW) + 60)}, id="exp a text"),
    pytest.param({"exp": True}, id="exp true"),
    pytest.param({"exp": None}, id="exp null"),
    pytest.param({"exp": 0}, id="exp 0"),
    pytest.param({"exp": -1}, id="exp negative"),
    pytest.param({"exp": 2**53 + 2}, id="exp beyond 2^53"),
    pytest.param({"exp": 10**400}, id="exp beyond any float"),
    pytest.param({"iat": MISSING}, id="iat missing"),
    pytest.param({"iat": NOW + 61}, id="iat in the future"),
    pytest.param({"iat": str(int(NOW))}, id="iat a text"),
    pytest.param({"iat": 0}, id="iat 0"),
    pytest.param({"iat": True}, id="iat true"),
    pytest.param({"nbf": NOW + 61}, id="nbf in the future"),
    pytest.param({"nbf": "soon"}, id="nbf a text"),
    pytest.param({"sub": MISSING}, id="sub missing"),
    pytest.param({"sub": ""}, id="sub empty"),
    pytest.param({"sub": None}, id="sub null"),
    pytest.param({"sub": 42}, id="sub a number"),
    pytest.param({"sub": "x" * 256}, id="sub of 256 characters"),
    pytest.param({"sub": "me\r\nX-Forwarded-User: admin"}, id="sub with CRLF"),
    pytest.param({"sub": "me\n"}, id="sub with a newline at its end"),
    pytest.param({"sub": "me\0"}, id="sub with NUL"),
    pytest.param({"sub": "mé"}, id="sub not ASCII"),
    pytest.param({"sub": " me"}, id="sub begins with a space"),
    pytest.param({"sub": "me "}, id="sub ends with a space"),
    pytest.param({"at_hash": at_hash("another token")}, id="at_hash of another token"),
    pytest.param({"at_hash": at_hash(ACCESS_TOKEN, "sha512")}, id="at_hash by another hash"),
    pytest.param({"at_hash": ""}, id="at_hash empty"),
    pytest.param({"at_hash": None}, id="at_hash null"),
    pytest.param({"at_hash": "é"}, id="at_hash not ASCII"),
    pytest.param({"auth_time": "noon"}, id="auth_time a text"),
    pytest.param({"auth_time": True}, id="auth_time true"),
    pytest.param({"auth_time": -1}, id="auth_time negative"),
]


@pytest.mark.parametrize("changes", REFUSED)
def test_refuses(changes: dict[str, object]) -> None:
    with pytest.raises(LoginError) as error:
        _verify(_made(changes))
    assert error.value.reason is Reason.ID_TOKEN_INVALID
    assert error.value.detail.isprintable()


@pytest.mark.parametrize(
    "nonce",
    [
        pytest.param(MISSING, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("n" * 42 + "m", id="altered"),
        pytest.param([NONCE], id="in a list"),
        pytest.param("é\udcff", id="odd characters"),
    ],
)
def test_the_nonce_must_be_that_of_the_attempt(nonce: object) -> None:
    with pytest.raises(LoginError) as error:
        _verify(_made({"nonce": nonce}))
    assert error.value.reason is Reason.NONCE_MISMATCH


def test_an_empty_nonce_never_matches() -> None:
    with pytest.raises(LoginError) as error:
        _verify(_made({"nonce": ""}), nonce="")
    assert error.value.reason is Reason.NONCE_MISMATCH


def _signed(**header: object) -> str:
    return token(GOOD, rsa_key(), "RS256", **header)


SIGNATURES = [
    pytest.param(lambda: _signed()[:-4] + "AAAA", id="broken signature"),
    pytest.param(lambda: token(GOOD, b"", "none"), id="alg none"),
    pytest.param(lambda: token(GOOD, rsa_key(), "RS384"), id="alg not configured"),
    pytest.param(lambda: token(GOOD, SECRET.encode(), "HS256"), id="HS256 not configured"),
    pytest.param(lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa"), id="another's key"),
    pytest.param(
        lambda: token(GOOD, rsa_key("thief"), "RS256", kid="rsa", jwk=rsa_key("thief").jwk()),
        id="own key in the header",
    ),
    pytest.param(lambda: _signed(crit=["b64"], b64=True), id="crit"),
    pytest.param(lambda: _signed(typ="at+jwt"), id="typ of an access token"),
    pytest.param(lambda: _signed(typ="logout+jwt"), id="typ of a logout token"),
    pytest.param(lambda: _signed(typ=["JWT"]), id="typ in a list"),
    pytest.param(
        lambda: token(json.dumps(GOOD)[:-1].encode() + b',"sub":"x"}', rsa_key(), "RS256"),
        id="sub twice",
    ),
    pytest.param(lambda: token({**GOOD, "x": "x" * 70_000}, rsa_key(), "RS256"), id="too large"),
    pytest.param(lambda: token(b'"text"', rsa_key(), "RS256"), id="no object inside"),
    pytest.param(lambda: _signed() + ".x.y", id="encrypted"),
]


@pytest.mark.parametrize("made", SIGNATURES)
def test_refuses_what_is_not_properly_signed(made: Callable[[], str]) -> None:
    with pytest.raises(LoginError) as error:
        _verify(made())
    assert error.value.reason is Reason.ID_TOKEN_INVALID


@pytest.mark.parametrize("typ", [None, "JWT", "jwt"])
def test_typ_is_absent_or_jwt(typ: str | None) -> None:
    assert _verify(_signed(typ=typ))["sub"] == GOOD["sub"]


def test_an_unknown_key_is_for_the_caller_who_can_fetch_keys() -> None:
    made = token(GOOD, rsa_key("rotated"), "RS256")
    with pytest.raises(UnknownKey):
        _verify(made)
    fresh = parse_jwks({"keys": [rsa_key("rotated").jwk()]})
    assert _verify(made, fresh)["sub"] == GOOD["sub"]


@pytest.mark.parametrize(
    "kids",
    [
        pytest.param(["rsa"], id="a single key"),
        pytest.param(["other", "rsa"], id="several keys"),
    ],
)
def test_a_token_without_kid_is_tried_with_every_key(kids: list[str]) -> None:
    jwks = parse_jwks({"keys": [rsa_key(kid).jwk() for kid in kids]})
    assert _verify(_signed(kid=None), jwks)["sub"] == GOOD["sub"]


def test_es256() -> None:
    claims = {**GOOD, "at_hash": at_hash(ACCESS_TOKEN)}
    assert _verify(token(claims, ec_key(), "ES256"))["sub"] == GOOD["sub"]


@pytest.mark.parametrize(
    ("key", "alg", "digest"),
    [
        pytest.param(lambda: ec_key("p384", ec.SECP384R1), "ES384", "sha384", id="ES384"),
        pytest.param(rsa_key, "PS512", "sha512", id="PS512"),
        pytest.param(ed_key, "EdDSA", "sha512", id="EdDSA with Ed25519"),
    ],
)
def test_at_hash_follows_the_algorithm(key: Callable[[], Key], alg: str, digest: str) -> None:
    signing = key()
    known = parse_jwks({"keys": [signing.jwk()]})
    good = token({**GOOD, "at_hash": at_hash(ACCESS_TOKEN, digest)}, signing, alg)
    assert _verify(good, known, id_token_algorithms=(alg,))["sub"] == GOOD["sub"]
    wrong = token({**GOOD, "at_hash": at_hash("another", digest)}, signing, alg)
    with pytest.raises(LoginError):
        _verify(wrong, known, id_token_algorithms=(alg,))


def test_at_hash_without_an_access_token_is_refused() -> None:
    with pytest.raises(LoginError):
        _verify(_made({"at_hash": at_hash("")}), access_token="")


def test_hs256_only_where_it_is_configured_and_only_with_the_client_secret() -> None:
    made = token({**GOOD, "at_hash": at_hash(ACCESS_TOKEN)}, SECRET.encode(), "HS256")
    assert _verify(made, id_token_algorithms=("HS256",))["sub"] == GOOD["sub"]
    forged = token(GOOD, b"x" * 32, "HS256")
    for secret in (SECRET, "", "short"):
        with pytest.raises(LoginError):
            _verify(forged, id_token_algorithms=("HS256",), client_secret=Secret(secret))


def test_the_metadata_can_only_narrow_the_algorithms() -> None:
    metadata = dataclasses.replace(METADATA, id_token_algorithms=())
    made = token(GOOD, rsa_key(), "RS512")
    with pytest.raises(LoginError):
        verify_id_token(made, keys(), provider=provider(), metadata=metadata, nonce=NONCE, now=NOW)


def test_no_token_is_said_as_such() -> None:
    with pytest.raises(LoginError) as error:
        _verify("")
    assert (error.value.reason, error.value.status) == (Reason.ID_TOKEN_MISSING, 502)


def test_without_a_client_id_no_audience_is_ours() -> None:
    with pytest.raises(LoginError):
        _verify(_made({"aud": ""}), client_id="")


def test_the_skew_is_that_of_the_settings() -> None:
    with pytest.raises(LoginError):
        _verify(_made({"exp": NOW - 20}), clock_skew="10s")


def test_the_detail_holds_no_part_of_the_token() -> None:
    made = _made({"email": "private@example.org", "exp": NOW - 600})
    with pytest.raises(LoginError) as error:
        _verify(made)
    assert "private" not in error.value.detail
    assert made[:20] not in error.value.detail


def test_a_header_that_is_not_json_is_refused() -> None:
    with pytest.raises(LoginError):
        _verify(token_of(b"{", GOOD, rsa_key(), "RS256"))
