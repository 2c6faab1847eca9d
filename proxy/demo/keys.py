"""The keys that the demo's provider signs with, and their rotation."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.crypto import jwt
from proxy.model import Json


class Keys:
    """Signs as the newest key; publishes ``published`` keys, the newest first.

    ``algorithm`` is ES256 or RS256. A PEM private key may be given; else one is made.
    """

    def __init__(self, algorithm: str, pem: bytes = b"") -> None:
        self.algorithm = algorithm
        self._signers: list[jwt.Signer] = []
        self.add(pem or jwt.generate_signing_key(algorithm))

    @property
    def signer(self) -> jwt.Signer:
        return self._signers[0]

    def add(self, pem: bytes) -> None:
        """Sign with this key from now on; earlier ones stay published."""
        self._signers.insert(0, jwt.load_signer(pem, self.algorithm))

    def rotate(self) -> None:
        """Sign with a fresh key and stop publishing all earlier ones."""
        self._signers.clear()
        self.add(jwt.generate_signing_key(self.algorithm))

    def sign(self, claims: Mapping[str, Json], typ: str = "JWT") -> str:
        """A JWT in compact form."""
        return self.signer.sign(claims, typ)

    def document(self) -> dict[str, Json]:
        """The JWK Set (RFC 7517 section 5)."""
        return {**jwt.public_jwks(self._signers)}

    def verified(self, token: str) -> Mapping[str, Json] | None:
        """The claims of a token that one of these keys signed, else None; no claim is judged."""
        try:
            keys = jwt.parse_jwks(self.document())
            return jwt.verify(token, keys, [self.algorithm]).claims
        except jwt.JwtInvalid:
            return None
