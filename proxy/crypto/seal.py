"""Sealed boxes: AES-256-GCM, one purpose each, keys that rotate, an age that is checked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import struct
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = 1
_HEAD = struct.Struct(">B4sQ12s")  # version, key id, sealed at (ms), nonce
_TAG = 16
_FUTURE_MS = 120_000


class Sealer:
    """Seals and opens boxes of one purpose.

    ``secrets`` are 32 random bytes each, newest first: the first seals, all open. A key is
    derived from each by HKDF (RFC 5869) with the purpose, so a box of one purpose never opens
    as another, and the secret itself encrypts nothing.
    """

    def __init__(
        self, secrets: Sequence[bytes], purpose: str, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        if not secrets or any(len(secret) != 32 for secret in secrets):
            raise ValueError("a sealer needs secrets of 32 bytes each")
        self._purpose = purpose.encode()
        self._random = random
        self._keys = {_key_id(key): AESGCM(key) for key in map(self._derive, secrets)}
        self._newest = next(iter(self._keys))

    def _derive(self, secret: bytes) -> bytes:
        info = b"auth-proxy/seal/1/" + self._purpose
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)

    def seal(self, data: bytes, now: float) -> str:
        """``data`` → URL-safe text that only this purpose's keys open. ``now``: Unix seconds."""
        nonce = self._random(12)
        head = _HEAD.pack(_VERSION, self._newest, int(now * 1000), nonce)
        body = self._keys[self._newest].encrypt(nonce, data, head + self._purpose)
        return base64.urlsafe_b64encode(head + body).rstrip(b"=").decode()

    def open(self, box: str, now: float, max_age: float) -> bytes | None:
        """What was sealed, or None: broken, forged, truncated, foreign, too old, from the future.

        ``max_age`` in seconds. Never raises for any text.
        """
        raw = _decode(box)
        if raw is None or len(raw) < _HEAD.size + _TAG:
            return None
        version, key_id, sealed_ms, nonce = _HEAD.unpack_from(raw)
        key = self._keys.get(key_id)
        if version != _VERSION or key is None:
            return None
        age_ms = int(now * 1000) - sealed_ms
        if not -_FUTURE_MS <= age_ms <= max_age * 1000:
            return None
        try:
            return key.decrypt(nonce, raw[_HEAD.size :], raw[: _HEAD.size] + self._purpose)
        except InvalidTag:
            return None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"auth-proxy/key-id/" + key).digest()[:4]


def _decode(box: str) -> bytes | None:
    try:
        raw = box.encode("ascii")
        decoded = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
    # One text per box: a spelling that only decodes to the same bytes is not accepted.
    canonical = base64.urlsafe_b64encode(decoded).rstrip(b"=")
    return decoded if canonical == raw else None
