"""The key with which we prove to a provider who we are, from a PEM file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

from proxy.crypto.jwk import (
    PrivateKey,
    any_private_key,
    encode_base64url,
    private_keys,
    public_jwk,
    thumbprint,
)
from proxy.crypto.jwt import Signer


def load_client_signers(pem: bytes, kid: str = "") -> tuple[Signer, ...]:
    """The one private key in ``pem``, once for each algorithm that it is good for, the usual
    one first.

    Without a ``kid`` it goes by its RFC 7638 thumbprint. Its certificate, if that is in ``pem``
    too, is named in each header (x5t and x5t#S256, RFC 7515 section 4.1.7), as Entra knows keys
    by nothing else. Raises ValueError, in words for the operator.
    """
    found = private_keys(pem)
    if len(found) != 1:
        raise ValueError(f"one private key is needed; the file holds {len(found)}")
    key, algorithms = any_private_key(found[0])
    jwk = public_jwk(key.public_key())
    name = kid or thumbprint(jwk)
    header = _certificate_names(pem, key)
    return tuple(
        Signer(algorithm, name, MappingProxyType({**jwk, "kid": name}), key, header)
        for algorithm in algorithms
    )


def _certificate_names(pem: bytes, key: PrivateKey) -> Mapping[str, str]:
    """How headers name the key's own certificate; nothing for a file without certificates."""
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return MappingProxyType({})
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificates  # late: large, and seldom needed

    try:
        certificates = load_pem_x509_certificates(pem)
    except ValueError:
        raise ValueError("a certificate in it cannot be read") from None
    public = key.public_key()
    for certificate in certificates:
        if certificate.public_key() == public:
            der = certificate.public_bytes(Encoding.DER)
            old = hashlib.sha1(der, usedforsecurity=False).digest()
            new = hashlib.sha256(der).digest()
            names = {"x5t": encode_base64url(old), "x5t#S256": encode_base64url(new)}
            return MappingProxyType(names)
    raise ValueError("none of the certificates is that of the key")
