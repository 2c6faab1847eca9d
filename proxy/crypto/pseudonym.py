"""Names that stand for people in a shared place: whoever reads them there learns nothing."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Pseudonyms:
    """The same name for the same texts, which only holders of a secret can make.

    ``secrets`` are 32 random bytes each, newest first. A key is derived from each by HKDF
    (RFC 5869) with the purpose; the name is HMAC-SHA256 under it (RFC 2104).
    """

    def __init__(self, secrets: Sequence[bytes], purpose: str = "index") -> None:
        if not secrets or any(len(secret) != 32 for secret in secrets):
            raise ValueError("pseudonyms need secrets of 32 bytes each")
        info = b"auth-proxy/pseudonym/1/" + purpose.encode()
        self._keys = tuple(
            HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
            for secret in secrets
        )

    def of(self, *parts: str) -> tuple[str, ...]:
        """A name of 64 hexadecimal digits under each secret, the newest one's first.

        Each part counts with its length: no two lists of parts make the same text.
        """
        text = "".join([f"{len(part)}:{part}" for part in parts]).encode("utf-8", "surrogatepass")
        return tuple([hmac.digest(key, text, "sha256").hex() for key in self._keys])
