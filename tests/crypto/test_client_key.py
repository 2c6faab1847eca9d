"""Which key files we can prove ourselves with, and what their assertions' headers say."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from proxy.crypto.client_key import load_client_signers
from proxy.crypto.jwk import PrivateKey, decode_base64url, public_jwk, thumbprint
from proxy.crypto.jwt import parse_jwks, verify
from tests.crypto.forge import Key, ec_key, ed_key, rsa_key
from tests.fakes.authority import Authority


def pem(key: PrivateKey | ed448.Ed448PrivateKey, password: bytes = b"") -> bytes:
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)


def header(token: str) -> dict[str, object]:
    found = json.loads(decode_base64url(token.partition(".")[0]))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        pytest.param(rsa_key, ("RS256", "PS256"), id="RSA"),
        pytest.param(ec_key, ("ES256",), id="P-256"),
        pytest.param(lambda: ec_key("p384", ec.SECP384R1), ("ES384",), id="P-384"),
        pytest.param(lambda: ec_key("p521", ec.SECP521R1), ("ES512",), id="P-521"),
        pytest.param(ed_key, ("EdDSA",), id="Ed25519"),
    ],
)
def test_the_key_decides_the_algorithm(key: Callable[[], Key], algorithms: tuple[str, ...]) -> None:
    signers = load_client_signers(pem(key().private))
    assert tuple(signer.algorithm for signer in signers) == algorithms
    jwk = public_jwk(key().private.public_key())
    for signer in signers:
        token = signer.sign({"sub": "proxy"})
        assert header(token) == {"alg": signer.algorithm, "typ": "JWT", "kid": thumbprint(jwk)}
        keys = parse_jwks({"keys": [{**jwk, "kid": thumbprint(jwk)}]})
        assert verify(token, keys, [signer.algorithm]).claims == {"sub": "proxy"}


def test_the_kid_is_the_operator_s_where_one_is_given() -> None:
    signer, *_ = load_client_signers(pem(rsa_key().private), "key-of-2026")
    assert header(signer.sign({}))["kid"] == "key-of-2026"


def test_the_key_s_own_certificate_is_named_in_the_header(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("proxy.example.org")
    text = authority.file.read_bytes() + certificate.read_bytes() + key.read_bytes()
    signer, *_ = load_client_signers(text)
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)

    def named(digest: bytes) -> str:
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    found = header(signer.sign({}))
    assert found["x5t"] == named(hashlib.sha1(der).digest())
    assert found["x5t#S256"] == named(hashlib.sha256(der).digest())
    assert set(found) == {"alg", "typ", "kid", "x5t", "x5t#S256"}


def _two_keys(tmp_path: Path) -> bytes:
    return pem(rsa_key().private) + pem(ec_key().private)


def _another_s_certificate(tmp_path: Path) -> bytes:
    certificate, _ = Authority(tmp_path).issue("proxy.example.org")
    return certificate.read_bytes() + pem(ec_key().private)


def _broken_certificate(tmp_path: Path) -> bytes:
    broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    return pem(ec_key().private) + broken


@pytest.mark.parametrize(
    ("made", "words"),
    [
        pytest.param(lambda _: b"", "not a private key", id="nothing"),
        pytest.param(_two_keys, "holds 2", id="two keys"),
        pytest.param(lambda _: pem(rsa_key().private, b"hush"), "encrypted", id="encrypted"),
        pytest.param(lambda _: pem(rsa_key("s", 1024).private), "1024 bits", id="a small RSA key"),
        pytest.param(
            lambda _: pem(ec.generate_private_key(ec.SECP256K1())), "P-256", id="another curve"
        ),
        pytest.param(lambda _: pem(ed448.Ed448PrivateKey.generate()), "neither", id="Ed448"),
        pytest.param(_another_s_certificate, "none of the certificates", id="not its certificate"),
        pytest.param(_broken_certificate, "cannot be read", id="a certificate that is none"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(
    made: Callable[[Path], bytes], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        load_client_signers(made(tmp_path))


def test_a_signer_shows_nothing_of_its_key() -> None:
    signer, *_ = load_client_signers(pem(ed_key().private))
    assert "object at" in repr(signer)
