"""Signed JWTs: verify those of others, sign our own. The only door to PyJWT.

Only signatures are judged here; what the claims must say is decided in ``oidc/`` and ``rules/``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from proxy.crypto.jwk import (
    PrivateKey,
    PublicKey,
    VerificationKey,
    VerificationKeys,
    decode_base64url,
    generate_signing_key,
    load_private_key,
    parse_jwks,
    private_keys,
    public_jwk,
    thumbprint,
)
from proxy.crypto.strict_json import read_object

__all__ = [
    "JwtInvalid",
    "Signer",
    "UnknownKey",
    "VerificationKeys",
    "Verified",
    "generate_signing_key",
    "load_signer",
    "parse_jwks",
    "private_keys",
    "public_jwks",
    "shared_secret_signer",
    "verify",
]

LONGEST_TOKEN = 64 * 1024
JWKS_SECONDS = 300
"""How long others may keep our JWKS: a new key is published for at least that before it signs."""
# the least key sizes of RFC 7518 section 3.2, which OpenID Connect Core 16.19 repeats
_HMAC_BYTES: Mapping[str, int] = MappingProxyType({"HS256": 32, "HS384": 48, "HS512": 64})


_MOST_TRIED = 20
"""Keys that one token is tried with, where it names none, or they all have one name."""


class JwtInvalid(Exception):
    """A token that cannot be believed; the message holds no part of the token's secrets."""


class UnknownKey(JwtInvalid):
    """None of the keys at hand signed the token; keys fetched afresh might have."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verified:
    """Header and claims of a token whose signature is good. Only ``verify`` makes one."""

    header: Mapping[str, object]
    claims: Mapping[str, object] = field(repr=False)


def verify(
    token: str,
    keys: VerificationKeys,
    algorithms: Collection[str],
    *,
    secret: bytes | None = None,
) -> Verified:
    """Header and claims of ``token`` once its signature is proven (RFC 7515 section 5.2).

    Compact form only, at most 64 KiB, signed with one of ``algorithms`` (never ``none``).
    The header chooses among ``keys`` by ``kid`` and in no other way; HS* algorithms use
    ``secret`` alone. Raises UnknownKey when newer keys might help, else JwtInvalid.
    """
    header, claims = _read(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm == "none" or algorithm not in algorithms:
        raise JwtInvalid(f"algorithm {ascii(algorithm)[:40]} is not accepted")
    if "crit" in header or header.get("b64", True) is not True:
        raise JwtInvalid("the header demands extensions that are not supported (crit, b64)")
    if algorithm in _HMAC_BYTES:
        if not _good(token, _hmac_key(algorithm, secret), algorithm):
            raise JwtInvalid("the signature is wrong")
        return Verified(header, claims)
    kid = header.get("kid")
    if not any(_good(token, key.key, algorithm) for key in _choose(keys, kid, algorithm)):
        if kid is None:
            # without a name, a rotated key looks the same as a forged signature
            raise UnknownKey("the signature fits none of the keys")
        raise JwtInvalid("the signature is wrong")
    return Verified(header, claims)


def _read(token: str) -> tuple[dict[str, object], dict[str, object]]:
    if len(token) > LONGEST_TOKEN:
        raise JwtInvalid("the token is larger than 64 KiB")
    parts = token.split(".")
    if len(parts) != 3:
        raise JwtInvalid(f"the token has {len(parts)} parts instead of 3")
    try:
        header, claims, _ = (decode_base64url(part) for part in parts)
        return read_object(header, LONGEST_TOKEN), read_object(claims, LONGEST_TOKEN)
    except ValueError as exc:
        raise JwtInvalid(f"the token cannot be read: {exc}") from None


def _hmac_key(algorithm: str, secret: bytes | None) -> bytes:
    if secret is None:
        raise JwtInvalid(f"{algorithm} needs a shared secret")
    if len(secret) < _HMAC_BYTES[algorithm]:
        raise JwtInvalid(f"the shared secret is too short for {algorithm}")
    return secret


def _choose(keys: VerificationKeys, kid: object, algorithm: str) -> list[VerificationKey]:
    if kid is not None and not isinstance(kid, str):
        raise JwtInvalid("kid is not a text")
    named = [key for key in keys.keys if kid is None or key.kid == kid]
    if not named:
        raise UnknownKey("no key has the token's kid" if kid is not None else "there are no keys")
    # the key's type decides, never the token alone (RFC 8725 section 3.1)
    fitting = [key for key in named if algorithm in key.algorithms]
    if not fitting and kid is not None:
        raise JwtInvalid(f"the key that the token names is not one for {algorithm}")
    return fitting[:_MOST_TRIED]


def _good(token: str, key: PublicKey | bytes, algorithm: str) -> bool:
    import jwt as pyjwt  # late: see Signer.sign

    try:
        pyjwt.PyJWS([algorithm]).decode_complete(token, key, algorithms=[algorithm])
    except pyjwt.InvalidSignatureError:
        return False
    except (pyjwt.PyJWTError, ValueError, TypeError) as exc:
        raise JwtInvalid(f"the signature cannot be checked ({type(exc).__name__})") from None
    return True


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Signer:
    """A key that signs JWTs. ``kid`` is the RFC 7638 thumbprint; a shared secret has none.

    ``public_jwk`` is what the JWKS may show of the key; ``None`` when it must show nothing.
    ``header`` holds what each header says besides.
    """

    algorithm: str
    kid: str
    public_jwk: Mapping[str, str] | None
    _key: PrivateKey | bytes = field(repr=False)
    header: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def sign(self, claims: Mapping[str, object], typ: str = "JWT") -> str:
        """``claims`` as a JWT in compact form. Raises ValueError when they are not JSON."""
        payload = json.dumps(dict(claims), separators=(",", ":"), allow_nan=False)
        header = {"typ": typ} | ({"kid": self.kid} if self.kid else {}) | dict(self.header)
        import jwt as pyjwt  # late: slow to import, and nothing before a sign-in needs it

        jws = pyjwt.PyJWS([self.algorithm])
        return jws.encode(payload.encode(), self._key, self.algorithm, headers=header)


def load_signer(pem: bytes, algorithm: str) -> Signer:
    """The signer for a PEM private key; ``algorithm`` is ES256, RS256 or EdDSA.

    Raises ValueError, in words for the operator, when the key does not fit.
    """
    key = load_private_key(pem, algorithm)
    jwk = public_jwk(key.public_key())
    kid = thumbprint(jwk)
    shown = {**jwk, "use": "sig", "alg": algorithm, "kid": kid}
    return Signer(algorithm, kid, MappingProxyType(shown), key)


def shared_secret_signer(secret: bytes) -> Signer:
    """An HS256 signer. Raises ValueError when ``secret`` is shorter than 32 bytes.

    It has no ``kid``: a thumbprint of a secret would help to guess it (RFC 7638 section 7).
    """
    if len(secret) < _HMAC_BYTES["HS256"]:
        raise ValueError(f"a shared secret needs at least 32 bytes; this one has {len(secret)}")
    return Signer("HS256", "", None, secret)


def public_jwks(signers: Iterable[Signer]) -> dict[str, list[dict[str, str]]]:
    """The JWKS to publish: each public key once, in the order given, nothing of shared secrets."""
    by_kid = {s.kid: dict(s.public_jwk) for s in signers if s.public_jwk is not None}
    return {"keys": list(by_kid.values())}
