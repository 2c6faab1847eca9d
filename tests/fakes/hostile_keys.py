"""Key sets and signatures that no honest provider makes: more tables for ``misbehaviour``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from proxy.crypto.jwk import encode_base64url, generate_signing_key
from proxy.crypto.jwt import load_signer
from proxy.demo.keys import Keys
from proxy.model import Json
from tests.crypto.forge import Key, ec_key, ed_key, rsa_key, token

Document = dict[str, Json]
MANY = 10_000
HUGE_BITS = 64 * 1024


def _keys(document: Document) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], document["keys"])


def _several(document: Document) -> Document:
    more = [rsa_key(f"another-{n}").jwk(use="sig", alg="RS256") for n in range(2)]
    return cast(Document, {"keys": [*more, *_keys(document)]})


def _many(document: Document) -> Document:
    x = ed_key().jwk()["x"]
    crowd = [{"kty": "OKP", "crv": "Ed25519", "x": x, "kid": str(n)} for n in range(MANY)]
    return cast(Document, {"keys": [*crowd, *_keys(document)]})


def _huge_rsa(document: Document) -> Document:
    number = encode_base64url(b"\xff" * (HUGE_BITS // 8))
    return cast(Document, {"keys": [{**key, "n": number} for key in _keys(document)]})


def _symmetric(document: Document) -> Document:
    """A public key's name, and a shared secret that everybody can read."""
    secret = {"kty": "oct", "k": encode_base64url(b"k" * 32), "alg": "HS256"}
    return cast(Document, {"keys": [secret | {"kid": key["kid"]} for key in _keys(document)]})


def _for_encryption(document: Document) -> Document:
    return cast(Document, {"keys": [key | {"use": "enc"} for key in _keys(document)]})


KEY_SETS: Mapping[str, Callable[[Document], Document]] = {
    "jwks_several": _several,
    "jwks_many": _many,
    "jwks_huge_rsa": _huge_rsa,
    "jwks_symmetric": _symmetric,
    "jwks_for_encryption": _for_encryption,
}

Claims = Mapping[str, Json]


def _own(keys: Keys) -> Key:
    return Key(keys.signer.kid, cast(Any, keys.signer._key))


def _same_key_other_algorithm(keys: Keys, claims: Claims) -> str:
    return token(dict(claims), _own(keys), "PS256")


def _published_other_algorithm(keys: Keys, claims: Claims) -> str:
    """With a key that is published beside the usual one."""
    signer = load_signer(generate_signing_key("ES256"), "ES256")
    keys._signers.append(signer)
    return signer.sign(claims)


def _crit(keys: Keys, claims: Claims) -> str:
    return token(dict(claims), _own(keys), keys.algorithm, crit=["exp"], exp=claims["exp"])


def _embedded_key(keys: Keys, claims: Claims) -> str:
    """The token brings the key along that it was signed with (RFC 7515 section 4.1.3)."""
    stranger = rsa_key("stranger")
    return token(dict(claims), stranger, "RS256", kid=keys.signer.kid, jwk=stranger.jwk())


def _foreign_key_set(keys: Keys, claims: Claims) -> str:
    stranger = rsa_key("stranger")
    return token(dict(claims), stranger, "RS256", jku="http://localhost:9/elsewhere")


def _bad_es256(keys: Keys, claims: Claims) -> str:
    """By a stranger, under the name of an EC key that is published."""
    signer = load_signer(generate_signing_key("ES256"), "ES256")
    keys._signers.append(signer)
    return token(dict(claims), Key(signer.kid, ec_key().private), "ES256")


def _twice_the_claim(keys: Keys, claims: Claims) -> str:
    """JSON with a member twice: who reads the first and who reads the last differ."""
    body = json.dumps(dict(claims))
    return token(f'{{"sub": "mallory", {body[1:]}'.encode(), _own(keys), keys.algorithm)


SIGNATURES: Mapping[str, Callable[[Keys, Claims], str]] = {
    "id_token_ps256": _same_key_other_algorithm,
    "id_token_es256": _published_other_algorithm,
    "id_token_bad_es256": _bad_es256,
    "id_token_crit": _crit,
    "id_token_embedded_key": _embedded_key,
    "id_token_foreign_key_set": _foreign_key_set,
    "id_token_claim_twice": _twice_the_claim,
}
