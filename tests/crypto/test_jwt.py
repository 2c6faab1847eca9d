"""Signatures: what is accepted, what is refused, and what we sign ourselves."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.jwk import encode_base64url
from proxy.crypto.jwt import (
    JwtInvalid,
    UnknownKey,
    VerificationKeys,
    generate_signing_key,
    load_signer,
    parse_jwks,
    public_jwks,
    shared_secret_signer,
    verify,
)
from tests.crypto.forge import Key, ec_key, ed_key, rsa_key, token, token_of

CLAIMS = {"sub": "me"}
SECRET = b"0123456789abcdef0123456789abcdef"
ALL = ("RS256", "RS384", "PS256", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def _keys(*keys: Key) -> VerificationKeys:
    return parse_jwks({"keys": [key.jwk() for key in keys]})


def _all() -> VerificationKeys:
    return _keys(rsa_key(), ec_key(), ed_key(), _p384(), _p521())


def _p384() -> Key:
    return ec_key("p384", ec.SECP384R1)


def _p521() -> Key:
    return ec_key("p521", ec.SECP521R1)


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        pytest.param(rsa_key, "RS256", id="RS256"),
        pytest.param(rsa_key, "RS384", id="RS384"),
        pytest.param(rsa_key, "PS256", id="PS256"),
        pytest.param(rsa_key, "PS512", id="PS512"),
        pytest.param(ec_key, "ES256", id="ES256"),
        pytest.param(_p384, "ES384", id="ES384"),
        pytest.param(_p521, "ES512", id="ES512"),
        pytest.param(ed_key, "EdDSA", id="EdDSA"),
    ],
)
def test_accepts_a_good_signature(key: Callable[[], Key], alg: str) -> None:
    verified = verify(token(CLAIMS, key(), alg), _all(), ALL)
    assert verified.claims == CLAIMS
    assert verified.header["alg"] == alg


def test_no_kid_tries_every_key_that_fits() -> None:
    keys = _keys(ec_key(), rsa_key("other"), rsa_key())
    assert verify(token(CLAIMS, rsa_key(), "RS256", kid=None), keys, ALL).claims == CLAIMS


def test_twenty_keys_are_tried_and_no_more() -> None:
    """Each costs time, and strangers may send tokens."""
    others = [ec_key(f"other {number}") for number in range(20)]
    made = token(CLAIMS, ec_key(), "ES256", kid=None)
    assert verify(made, _keys(*others[:19], ec_key()), ALL).claims == CLAIMS
    with pytest.raises(UnknownKey):
        verify(made, _keys(*others, ec_key()), ALL)


def test_two_keys_of_the_same_kid_are_both_tried() -> None:
    keys = parse_jwks({"keys": [ec_key("a").jwk(kid="x"), ec_key("b").jwk(kid="x")]})
    assert verify(token(CLAIMS, ec_key("b"), "ES256", kid="x"), keys, ALL).claims == CLAIMS


@pytest.mark.parametrize(
    ("made", "keys"),
    [
        pytest.param(lambda: token(CLAIMS, ec_key("new"), "ES256"), _all, id="kid not in the keys"),
        pytest.param(
            lambda: token(CLAIMS, ec_key("new"), "ES256", kid=None), _all, id="no kid, none fits"
        ),
        pytest.param(lambda: token(CLAIMS, ec_key(), "ES256"), VerificationKeys, id="no keys"),
        pytest.param(
            lambda: token(CLAIMS, ec_key(), "ES256", kid=None),
            VerificationKeys,
            id="no keys, no kid",
        ),
        pytest.param(lambda: token(CLAIMS, ec_key(), "ES256", kid=""), _all, id="an empty kid"),
    ],
)
def test_newer_keys_might_help(
    made: Callable[[], str], keys: Callable[[], VerificationKeys]
) -> None:
    with pytest.raises(UnknownKey):
        verify(made(), keys(), ALL)


def _tampered() -> str:
    header, _, signature = token(CLAIMS, ec_key(), "ES256").split(".")
    return f"{header}.{encode_base64url(json.dumps({'sub': 'you'}).encode())}.{signature}"


def _resealed(header: dict[str, object]) -> str:
    return token(CLAIMS, ec_key("thief"), "ES256", **{"kid": "ec", **header})


def _public_pem(key: Key) -> bytes:
    return key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


REFUSED = [
    pytest.param(_tampered, id="changed payload"),
    pytest.param(lambda: token(CLAIMS, ec_key("thief"), "ES256", kid="ec"), id="signed by another"),
    pytest.param(lambda: token(CLAIMS, b"", "none"), id="alg none"),
    pytest.param(lambda: token(CLAIMS, b"", "none") + "AA", id="alg none with a signature"),
    pytest.param(
        lambda: token_of({"alg": "nOnE", "kid": "ec"}, CLAIMS, ec_key(), "ES256"), id="alg nOnE"
    ),
    pytest.param(lambda: token(CLAIMS, rsa_key(), "RS512"), id="alg not in the list"),
    pytest.param(lambda: token_of({"kid": "ec"}, CLAIMS, ec_key(), "ES256"), id="no alg"),
    pytest.param(
        lambda: token_of({"alg": ["ES256"], "kid": "ec"}, CLAIMS, ec_key(), "ES256"),
        id="alg is a list",
    ),
    pytest.param(
        lambda: token(CLAIMS, _public_pem(rsa_key()), "HS256", kid="rsa"),
        id="HS256 with the public key as secret (CVE-2022-29217)",
    ),
    pytest.param(lambda: token(CLAIMS, SECRET, "HS256"), id="HS256 without being configured"),
    pytest.param(lambda: token(CLAIMS, rsa_key(), "RS256", kid="ec"), id="kid of another key type"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256", kid=7), id="kid is a number"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256", crit=["exp"]), id="crit"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256", crit=[]), id="empty crit"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256", b64=False), id="b64 false"),
    pytest.param(
        lambda: _resealed({"jwk": ec_key("thief").jwk()}), id="own key in the header (jwk)"
    ),
    pytest.param(lambda: _resealed({"jku": "https://evil/jwks"}), id="own key by jku"),
    pytest.param(lambda: _resealed({"x5u": "https://evil/x", "x5c": ["AA"]}), id="own key by x5u"),
    pytest.param(lambda: token(b"[1]", ec_key(), "ES256"), id="payload is a list"),
    pytest.param(lambda: token(b"", ec_key(), "ES256"), id="payload is empty"),
    pytest.param(lambda: token(b"\xff", ec_key(), "ES256"), id="payload is not UTF-8"),
    pytest.param(lambda: token(b'{"sub":1,"sub":2}', ec_key(), "ES256"), id="a claim twice"),
    pytest.param(
        lambda: token_of(b'{"alg":"none","alg":"ES256","kid":"ec"}', CLAIMS, ec_key(), "ES256"),
        id="alg twice",
    ),
    pytest.param(lambda: token_of(b"[]", CLAIMS, ec_key(), "ES256"), id="header is a list"),
    pytest.param(lambda: token({"a": "x" * 70_000}, ec_key(), "ES256"), id="larger than 64 KiB"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256") + "=", id="padding"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256") + "\n", id="a newline after it"),
    pytest.param(lambda: " " + token(CLAIMS, ec_key(), "ES256"), id="a space before it"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256") + ".AA", id="four parts"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256") + ".AA.AA", id="encrypted, five parts"),
    pytest.param(lambda: token(CLAIMS, ec_key(), "ES256").rpartition(".")[0], id="two parts"),
    pytest.param(lambda: json.dumps({"payload": "", "signatures": []}), id="JSON serialisation"),
    pytest.param(lambda: "", id="nothing"),
    pytest.param(lambda: "..", id="two dots"),
    pytest.param(lambda: "é.é.é", id="not ASCII"),
]


@pytest.mark.parametrize("made", REFUSED)
def test_refuses(made: Callable[[], str]) -> None:
    with pytest.raises(JwtInvalid) as error:
        verify(made(), _all(), ALL)
    assert not isinstance(error.value, UnknownKey)


def test_none_is_refused_even_when_it_is_listed() -> None:
    with pytest.raises(JwtInvalid):
        verify(token(CLAIMS, b"", "none") + "AA", _all(), ("none",))


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_verifies_where_it_is_listed(alg: str) -> None:
    made = token(CLAIMS, SECRET * 2, alg, kid="whatever")
    assert verify(made, _all(), (alg,), secret=SECRET * 2).claims == CLAIMS
    with pytest.raises(JwtInvalid, match="wrong"):
        verify(made, _all(), (alg,), secret=b"x" * 64)
    with pytest.raises(JwtInvalid, match="secret"):
        verify(made, _all(), (alg,))


def test_a_short_secret_is_refused_not_warned_about() -> None:
    with pytest.raises(JwtInvalid, match="too short"):
        verify(token(CLAIMS, b"short", "HS256"), _all(), ("HS256",), secret=b"short")


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{1,40}(\.[A-Za-z0-9_-]{0,40}){2}"))
def test_any_text_is_refused_without_surprise(text: str) -> None:
    with pytest.raises(JwtInvalid):
        verify(text, VerificationKeys(), ALL)


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_what_we_sign_verifies_with_the_keys_we_publish(algorithm: str) -> None:
    signer = load_signer(generate_signing_key(algorithm), algorithm)
    signed = signer.sign({"sub": "me", "name": "Zoé"})
    jwks = public_jwks([signer])
    verified = verify(signed, parse_jwks(jwks), (algorithm,))
    assert verified.claims == {"sub": "me", "name": "Zoé"}
    assert verified.header == {"alg": algorithm, "kid": signer.kid, "typ": "JWT"}
    # another reader agrees
    key = pyjwt.PyJWKSet.from_dict(jwks)[signer.kid]
    assert pyjwt.decode(signed, key, algorithms=[algorithm])["sub"] == "me"


def test_typ_can_be_our_own() -> None:
    signer = load_signer(generate_signing_key("ES256"), "ES256")
    assert pyjwt.get_unverified_header(signer.sign({}, "identity+jwt"))["typ"] == "identity+jwt"


def test_the_same_key_has_the_same_kid() -> None:
    pem = generate_signing_key("ES256")
    assert load_signer(pem, "ES256").kid == load_signer(pem, "ES256").kid


def test_published_keys_hold_nothing_private_and_each_key_once() -> None:
    pem = generate_signing_key("RS256")
    signer = load_signer(pem, "RS256")
    newer = load_signer(generate_signing_key("ES256"), "ES256")
    shared = shared_secret_signer(SECRET)
    keys = public_jwks([newer, signer, load_signer(pem, "RS256"), shared])["keys"]
    assert [key["kid"] for key in keys] == [newer.kid, signer.kid]
    assert set(keys[0]) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    assert set(keys[1]) == {"kty", "n", "e", "use", "alg", "kid"}


def test_a_shared_secret_signs_without_a_kid() -> None:
    signer = shared_secret_signer(SECRET)
    signed = signer.sign(CLAIMS)
    assert "kid" not in pyjwt.get_unverified_header(signed)
    assert verify(signed, VerificationKeys(), ("HS256",), secret=SECRET).claims == CLAIMS
    with pytest.raises(ValueError, match="32 bytes"):
        shared_secret_signer(b"short")


def test_a_signer_does_not_show_its_key_and_cannot_change() -> None:
    signer = shared_secret_signer(SECRET)
    assert SECRET.decode() not in repr(signer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        signer.kid = "x"  # type: ignore[misc]


def test_claims_that_are_not_json_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        shared_secret_signer(SECRET).sign({"exp": float("nan")})
