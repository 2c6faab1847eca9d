"""Keys of signed tokens: the provider's public ones from a JWKS, our own from PEM files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Mapping[str, tuple[type[ec.EllipticCurve], str]] = MappingProxyType(
    {
        "P-256": (ec.SECP256R1, "ES256"),
        "P-384": (ec.SECP384R1, "ES384"),
        "P-521": (ec.SECP521R1, "ES512"),
    }
)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_RSA_BITS = range(2048, 16385)
# of keys of others, which cost us time with each token: what people use, and no more
_THEIR_RSA_BITS = range(2048, 8193)
_LONGEST_EXPONENT = 32
_LONGEST_NUMBER = 2048  # characters of base64url
_MOST_KEYS = 100
_BEGUN = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----(?:(?!-----).)*-----END \1-----", re.S
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VerificationKey:
    """A public key and the algorithms that it may verify; ``kid`` is empty when it has none."""

    kid: str
    key: PublicKey
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class VerificationKeys:
    """The usable keys of a JWKS, in its order."""

    keys: tuple[VerificationKey, ...] = ()


def parse_jwks(document: object) -> VerificationKeys:
    """The public signature keys of a JWKS document (RFC 7517 section 5).

    Keys that cannot be used are left out, never guessed at: symmetric keys, RSA outside of
    2048 to 8192 bits, other uses than signing, unknown types and curves, all after the first
    hundred. Raises ValueError when the document is no JWKS at all.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError('a JWKS is a JSON object with a list "keys"')
    found = (_read_key(entry) for entry in entries[:_MOST_KEYS] if isinstance(entry, dict))
    return VerificationKeys(tuple(key for key in found if key))


def _read_key(jwk: Mapping[str, object]) -> VerificationKey | None:
    kid, named, operations = jwk.get("kid", ""), jwk.get("alg"), jwk.get("key_ops")
    if not isinstance(kid, str) or jwk.get("use", "sig") != "sig":
        return None
    if operations is not None and not (isinstance(operations, list) and "verify" in operations):
        return None
    try:
        key, fitting = _public_key(jwk)
    except (ValueError, UnsupportedAlgorithm):
        return None
    # a key that names its algorithm is for that one only (RFC 8725 section 3.1)
    algorithms = fitting if named is None else tuple(a for a in fitting if a == named)
    return VerificationKey(kid, key, algorithms) if algorithms else None


def _public_key(jwk: Mapping[str, object]) -> tuple[PublicKey, tuple[str, ...]]:
    match jwk.get("kty"), jwk.get("crv"):
        case "RSA", _:
            n, e = _integer(jwk, "n"), _integer(jwk, "e")
            if n.bit_length() not in _THEIR_RSA_BITS or e.bit_length() > _LONGEST_EXPONENT:
                raise ValueError("RSA size")
            return rsa.RSAPublicNumbers(e, n).public_key(), RSA_ALGORITHMS
        case "EC", str(name) if name in _CURVES:
            curve, algorithm = _CURVES[name]
            numbers = ec.EllipticCurvePublicNumbers(_integer(jwk, "x"), _integer(jwk, "y"), curve())
            return numbers.public_key(), (algorithm,)
        case "OKP", "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(_octets(jwk, "x")), ("EdDSA",)
    raise ValueError("key type")


def decode_base64url(text: str) -> bytes:
    """Base64url without padding and in its one canonical spelling. Raises ValueError."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("not base64url") from None
    if encode_base64url(raw) != text:
        raise ValueError("not canonical base64url")
    return raw


def encode_base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _octets(jwk: Mapping[str, object], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_NUMBER:
        raise ValueError(name)
    return decode_base64url(value)


def _integer(jwk: Mapping[str, object], name: str) -> int:
    return int.from_bytes(_octets(jwk, name), "big")


def public_jwk(key: PublicKey) -> dict[str, str]:
    """The required members of the key's JWK (RFC 7518 section 6, RFC 8037), nothing private."""
    if isinstance(key, rsa.RSAPublicKey):
        n, e = key.public_numbers().n, key.public_numbers().e
        return {"kty": "RSA", "e": _text(e, _length(e)), "n": _text(n, _length(n))}
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = _length_of_bits(key.curve.key_size)
        name = next(n for n, (curve, _) in _CURVES.items() if isinstance(key.curve, curve))
        point = key.public_numbers()
        return {"kty": "EC", "crv": name, "x": _text(point.x, size), "y": _text(point.y, size)}
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(raw)}


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 of the required members in order, as base64url."""
    canonical = json.dumps(dict(jwk), sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(canonical.encode()).digest())


def _text(number: int, size: int) -> str:
    return encode_base64url(number.to_bytes(size, "big"))


def _length(number: int) -> int:
    return _length_of_bits(number.bit_length())


def _length_of_bits(bits: int) -> int:
    return (bits + 7) // 8


def generate_signing_key(algorithm: str, bits: int = 2048) -> bytes:
    """A new private key as PEM (PKCS #8) for ES256, RS256 or EdDSA. Raises ValueError.

    ``bits`` is for RSA only.
    """
    key: PrivateKey
    match algorithm:
        case "ES256":
            key = ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        case "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
        case _:
            raise ValueError(f"no key pairs for {algorithm}: use ES256, RS256 or EdDSA")
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def similar_signing_key(pem: bytes) -> bytes:
    """A new private key of the kind and size that ``pem`` holds. Raises ValueError."""
    algorithm = signing_algorithm(pem)
    key = load_private_key(pem, algorithm)
    bits = key.key_size if isinstance(key, rsa.RSAPrivateKey) else 0
    return generate_signing_key(algorithm, bits)


def signing_algorithm(pem: bytes) -> str:
    """Which of ES256, RS256 and EdDSA the private key in ``pem`` is for. Raises ValueError."""
    match _load(pem):
        case ec.EllipticCurvePrivateKey():
            algorithm = "ES256"
        case rsa.RSAPrivateKey():
            algorithm = "RS256"
        case _:
            algorithm = "EdDSA"
    load_private_key(pem, algorithm)
    return algorithm


def private_keys(pem: bytes) -> tuple[bytes, ...]:
    """The private keys in ``pem`` one by one, in order; what is around them is left out.

    They may be any number (RFC 7468 section 5). Raises ValueError for none, and for one that is
    cut off; each is for ``load_private_key`` to judge.
    """
    found = tuple(match[0] + b"\n" for match in _PRIVATE_KEY.finditer(pem))
    if not found:
        raise ValueError("not a private key in PEM form")
    if len(found) != len(_BEGUN.findall(pem)):
        raise ValueError("a private key in it is cut off")
    return found


def load_private_key(pem: bytes, algorithm: str) -> PrivateKey:
    """The private key in ``pem``, checked to be one for ``algorithm``. Raises ValueError."""
    key = _load(pem)
    match algorithm, key:
        case "ES256", ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return key
        case "RS256", rsa.RSAPrivateKey():
            if key.key_size not in _RSA_BITS:
                raise ValueError(f"the RSA key has {key.key_size} bits; 2048 are the least")
            return key
        case "EdDSA", ed25519.Ed25519PrivateKey():
            return key
    needed = {"ES256": "an EC key on P-256", "RS256": "an RSA key", "EdDSA": "an Ed25519 key"}
    if algorithm not in needed:
        raise ValueError(f"no key pairs for {algorithm}: use ES256, RS256 or EdDSA")
    raise ValueError(f"{algorithm} needs {needed[algorithm]}; the file holds another kind of key")


def any_private_key(pem: bytes) -> tuple[PrivateKey, tuple[str, ...]]:
    """The private key in ``pem``, and the algorithms that it can sign with, the usual one first.

    Raises ValueError for a key that is none of ours, or too small.
    """
    key = _load(pem)
    match key:
        case ec.EllipticCurvePrivateKey():
            for curve, algorithm in _CURVES.values():
                if isinstance(key.curve, curve):
                    return key, (algorithm,)
        case rsa.RSAPrivateKey():
            if key.key_size not in _RSA_BITS:
                raise ValueError(f"the RSA key has {key.key_size} bits; 2048 are the least")
            return key, ("RS256", "PS256")
        case ed25519.Ed25519PrivateKey():
            return key, ("EdDSA",)
    raise ValueError("neither an RSA key, nor an EC key on P-256, P-384 or P-521, nor Ed25519")


def _load(pem: bytes) -> PrivateKeyTypes:
    """Any private key. Raises ValueError."""
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise ValueError(
            "the key is encrypted; a key file without a passphrase is needed"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM form") from None
