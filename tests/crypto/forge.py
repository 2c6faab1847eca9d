"""A token maker without scruples: signs any header and payload bytes, right or wrong.

It uses cryptography directly, so that tests do not lean on the library under test.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from proxy.crypto.jwk import PrivateKey, encode_base64url, public_jwk

Raw = Mapping[str, object] | bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A private key under the name that its JWK has."""

    kid: str
    private: PrivateKey

    def jwk(self, **more: object) -> dict[str, object]:
        return {**public_jwk(self.private.public_key()), "kid": self.kid, **more}


def rsa_key(kid: str = "rsa", bits: int = 2048) -> Key:
    """One key for each name and size; made once in a test run, as are those below."""
    return _rsa_key(kid, bits)


def ec_key(kid: str = "ec", curve: type[ec.EllipticCurve] = ec.SECP256R1) -> Key:
    return _ec_key(kid, curve)


def ed_key(kid: str = "ed") -> Key:
    return _ed_key(kid)


@cache
def _rsa_key(kid: str, bits: int) -> Key:
    return Key(kid, rsa.generate_private_key(public_exponent=65537, key_size=bits))


@cache
def _ec_key(kid: str, curve: type[ec.EllipticCurve]) -> Key:
    return Key(kid, ec.generate_private_key(curve()))


@cache
def _ed_key(kid: str) -> Key:
    return Key(kid, ed25519.Ed25519PrivateKey.generate())


def token(claims: Raw, key: Key | bytes, alg: str, **header: object) -> str:
    """A signed compact JWT; header members that are ``None`` are left out."""
    kid = key.kid if isinstance(key, Key) else None
    members = {"alg": alg, "kid": kid, "typ": "JWT", **header}
    return token_of({k: v for k, v in members.items() if v is not None}, claims, key, alg)


def token_of(header: Raw, claims: Raw, key: Key | bytes, alg: str) -> str:
    signed = f"{encode_base64url(_bytes(header))}.{encode_base64url(_bytes(claims))}"
    return f"{signed}.{encode_base64url(signature(signed.encode(), key, alg))}"


def signature(signed: bytes, key: Key | bytes, alg: str) -> bytes:
    if alg == "none":
        return b""
    digest = {"256": "sha256", "384": "sha384", "512": "sha512"}.get(alg[-3:], "sha512")
    if isinstance(key, bytes):
        return hmac.digest(key, signed, digest)
    hashing: hashes.HashAlgorithm = getattr(hashes, digest.upper())()
    private = key.private
    if isinstance(private, rsa.RSAPrivateKey):
        if alg.startswith("PS"):
            pss = padding.PSS(padding.MGF1(hashing), salt_length=hashing.digest_size)
            return private.sign(signed, pss, hashing)
        return private.sign(signed, padding.PKCS1v15(), hashing)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        size = (private.curve.key_size + 7) // 8
        r, s = decode_dss_signature(private.sign(signed, ec.ECDSA(hashing)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return private.sign(signed)


def at_hash(access_token: str, digest: str = "sha256") -> str:
    raw = hashlib.new(digest, access_token.encode()).digest()
    return encode_base64url(raw[: len(raw) // 2])


def _bytes(value: Raw) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(dict(value)).encode()
