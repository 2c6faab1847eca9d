"""Which keys are used at all, and how ours are shown."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.jwk import (
    decode_base64url,
    encode_base64url,
    generate_signing_key,
    load_private_key,
    parse_jwks,
    private_keys,
    signing_algorithm,
    similar_signing_key,
    thumbprint,
)
from tests.crypto.forge import ec_key, ed_key, rsa_key


def _rsa(**more: object) -> dict[str, object]:
    return rsa_key().jwk(**more)


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        pytest.param(_rsa, ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), id="RSA"),
        pytest.param(lambda: _rsa(alg="RS256"), ("RS256",), id="RSA for RS256 only"),
        pytest.param(
            lambda: _rsa(use="sig", key_ops=["verify"]), None, id="said to be for signing"
        ),
        pytest.param(lambda: ec_key().jwk(), ("ES256",), id="P-256"),
        pytest.param(lambda: ec_key("p384", ec.SECP384R1).jwk(), ("ES384",), id="P-384"),
        pytest.param(lambda: ec_key("p521", ec.SECP521R1).jwk(), ("ES512",), id="P-521"),
        pytest.param(lambda: ed_key().jwk(), ("EdDSA",), id="Ed25519"),
        pytest.param(
            lambda: _rsa(x5c=["AAAA"], x5u="https://evil"), None, id="certificates ignored"
        ),
        pytest.param(lambda: _rsa(d="AQAB"), None, id="a private key is used by its public half"),
    ],
)
def test_uses(jwk: Any, algorithms: tuple[str, ...] | None) -> None:
    (key,) = parse_jwks({"keys": [jwk()]}).keys
    assert algorithms is None or key.algorithms == algorithms


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(lambda: {"kty": "oct", "k": "c2VjcmV0", "kid": "a"}, id="a symmetric key"),
        pytest.param(lambda: _rsa(use="enc"), id="for encryption"),
        pytest.param(lambda: _rsa(key_ops=["encrypt"]), id="for other operations"),
        pytest.param(lambda: _rsa(alg="RSA-OAEP"), id="for an encryption algorithm"),
        pytest.param(lambda: _rsa(alg="ES256"), id="an algorithm of another key type"),
        pytest.param(lambda: _rsa(kid=7), id="kid is a number"),
        pytest.param(lambda: _rsa(n=None), id="no modulus"),
        pytest.param(lambda: _rsa(n="!!"), id="modulus is not base64url"),
        pytest.param(lambda: _rsa(e="AQ"), id="exponent 1"),
        pytest.param(lambda: rsa_key("weak", 1024).jwk(), id="RSA of 1024 bits"),
        pytest.param(lambda: _rsa(n=encode_base64url(b"\xff" * 4096)), id="RSA of 32768 bits"),
        pytest.param(lambda: _rsa(n=encode_base64url(b"\xff" * 1025)), id="RSA of 8200 bits"),
        pytest.param(lambda: _rsa(n="_" * 900_000), id="RSA of half a million bytes"),
        pytest.param(lambda: _rsa(e=encode_base64url(b"\xff" * 5)), id="a long exponent"),
        pytest.param(lambda: ec_key().jwk(x="A" * 900_000), id="an endless coordinate"),
        pytest.param(lambda: ec_key().jwk(x="AQ"), id="a point that is not on the curve"),
        pytest.param(lambda: ec_key().jwk(crv="secp256k1"), id="another curve"),
        pytest.param(lambda: ed_key().jwk(x="AQ"), id="a short Ed25519 key"),
        pytest.param(lambda: {"kty": "OKP", "crv": "X25519", "x": "AQ"}, id="a key agreement key"),
        pytest.param(lambda: {"kty": ["RSA"]}, id="kty is a list"),
        pytest.param(lambda: "key", id="not an object"),
    ],
)
def test_leaves_out_and_keeps_the_others(jwk: Any) -> None:
    keys = parse_jwks({"keys": [jwk(), ec_key("good").jwk()]}).keys
    assert [key.kid for key in keys] == ["good"]


@pytest.mark.parametrize("document", [None, [], {}, {"keys": {}}, {"keys": None}, "keys"])
def test_a_document_that_is_no_jwks_is_a_value_error(document: object) -> None:
    with pytest.raises(ValueError, match="JWKS"):
        parse_jwks(document)


def test_the_first_hundred_keys_count() -> None:
    flood = [ec_key().jwk(kid=str(number)) for number in range(5000)]
    assert [key.kid for key in parse_jwks({"keys": flood}).keys] == [str(n) for n in range(100)]


def test_an_empty_jwks_has_no_keys() -> None:
    assert parse_jwks({"keys": []}).keys == ()


@pytest.mark.parametrize(
    ("jwk", "expected"),
    [
        pytest.param(
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            },
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            id="RFC 8037 A.3",
        ),
    ],
)
def test_thumbprint_is_that_of_the_rfc(jwk: dict[str, str], expected: str) -> None:
    assert thumbprint(jwk) == expected


@pytest.mark.parametrize("text", ["", "a", "YQ==", "YR", "Y Q", "Y+Q", "YQ\n", "é"])
def test_base64url_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        decode_base64url(text)


@given(st.binary(min_size=1))
def test_base64url_comes_back(raw: bytes) -> None:
    assert decode_base64url(encode_base64url(raw)) == raw


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_generated_key_can_be_loaded(algorithm: str) -> None:
    pem = generate_signing_key(algorithm)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    load_private_key(pem, algorithm)


def test_no_key_pair_for_a_shared_secret_algorithm() -> None:
    with pytest.raises(ValueError, match="HS256"):
        generate_signing_key("HS256")
    with pytest.raises(ValueError, match="HS256"):
        load_private_key(generate_signing_key("ES256"), "HS256")


def _pem(private: Any, password: bytes = b"") -> bytes:
    sealed = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    raw: bytes = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed
    )
    return raw


@pytest.mark.parametrize(
    ("pem", "algorithm", "words"),
    [
        pytest.param(lambda: _pem(rsa_key().private), "ES256", "P-256", id="RSA for ES256"),
        pytest.param(
            lambda: _pem(ec_key("p384", ec.SECP384R1).private),
            "ES256",
            "P-256",
            id="P-384 for ES256",
        ),
        pytest.param(lambda: _pem(ec_key().private), "RS256", "RSA", id="EC for RS256"),
        pytest.param(lambda: _pem(ec_key().private), "EdDSA", "Ed25519", id="EC for EdDSA"),
        pytest.param(lambda: _pem(rsa_key("weak", 1024).private), "RS256", "1024", id="weak RSA"),
        pytest.param(lambda: _pem(ec_key().private, b"pw"), "ES256", "encrypted", id="encrypted"),
        pytest.param(lambda: b"hello", "ES256", "PEM", id="no PEM"),
    ],
)
def test_a_key_that_does_not_fit_is_explained(pem: Any, algorithm: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_private_key(pem(), algorithm)


def test_private_keys_stand_one_behind_the_other() -> None:
    one, two = generate_signing_key("ES256"), generate_signing_key("RS256")
    around = b"\xef\xbb\xbf# mine\r\nKey Attributes\n-----BEGIN EC PARAMETERS-----\nAA==\n"
    text = around + b"-----END EC PARAMETERS-----\n" + one + b"# old\n" + two.rstrip()
    assert private_keys(text) == (one, two)
    assert [signing_algorithm(key) for key in private_keys(text)] == ["ES256", "RS256"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda key: b"", "not a private key", id="nothing"),
        pytest.param(lambda key: b"hello\n", "not a private key", id="no PEM"),
        pytest.param(lambda key: key[:-30], "not a private key", id="cut off"),
        pytest.param(lambda key: key + key[:60], "cut off", id="the second cut off"),
        pytest.param(lambda key: key[:60] + key, "cut off", id="the first cut off"),
        pytest.param(
            lambda key: key.replace(b"END PRIVATE", b"END RSA PRIVATE"), "not a", id="other ends"
        ),
    ],
)
def test_private_keys_that_are_none(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        private_keys(make(generate_signing_key("ES256")))


@pytest.mark.parametrize(
    ("algorithm", "bits"), [("ES256", 256), ("EdDSA", 0), ("RS256", 2048), ("RS256", 3072)]
)
def test_a_similar_key_is_of_the_same_kind_and_size_and_another(algorithm: str, bits: int) -> None:
    pem = generate_signing_key(algorithm, bits)
    similar = similar_signing_key(pem)
    assert signing_algorithm(similar) == algorithm
    key = load_private_key(similar, algorithm)
    assert getattr(key, "key_size", 0) == bits
    assert similar != pem


def test_a_key_that_signs_nothing_of_ours_has_no_algorithm() -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ValueError, match="P-256"):
        signing_algorithm(pem)
