"""Tickets: texts that prove to be ours, and hold the only key to what is kept behind them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import Signer

from proxy.crypto.jwk import decode_base64url, encode_base64url

_SECRET: Final = 32
_TEXT: Final = 86
"""Characters of a ticket: a secret and an HMAC-SHA256 of 32 bytes each, as base64url."""
_VERSION: Final = b"\x01"
_NONCE: Final = 12
_TAG: Final = 16


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ticket:
    """A ticket that is ours. Only ``Tickets`` makes one.

    ``text`` is for whoever holds it, signed with the newest key. ``handle`` names the place of
    what is kept; neither the text nor the key can be found from it.
    """

    text: str
    handle: str
    _box: AESGCM = field(repr=False)
    _random: Callable[[int], bytes] = field(repr=False)

    def seal(self, data: bytes) -> bytes:
        """``data`` in a box that only this ticket opens, and only under its handle."""
        nonce = self._random(_NONCE)
        return _VERSION + nonce + self._box.encrypt(nonce, data, self._bound())

    def open(self, box: bytes) -> bytes | None:
        """What was sealed, or None for anything else. Never raises."""
        if box[:1] != _VERSION or len(box) < 1 + _NONCE + _TAG:
            return None
        nonce, body = box[1 : 1 + _NONCE], box[1 + _NONCE :]
        try:
            return self._box.decrypt(nonce, body, self._bound())
        except InvalidTag:
            return None

    def _bound(self) -> bytes:
        return _VERSION + self.handle.encode()


class Tickets:
    """Issues tickets, and tells ours from forged ones.

    ``secrets`` are 32 random bytes each, newest first: the first signs, all verify. They sign
    only: what is kept behind a ticket opens with the ticket alone.
    """

    def __init__(
        self, secrets: Sequence[bytes], random: Callable[[int], bytes] = os.urandom
    ) -> None:
        if not secrets or any(len(secret) != 32 for secret in secrets):
            raise ValueError("tickets need secrets of 32 bytes each")
        self._random = random
        # itsdangerous wants the newest last, and would add nothing to keys that are derived
        keys = [_derive(secret, b"auth-proxy/ticket/1/sign") for secret in reversed(secrets)]
        self._signer = Signer(keys, key_derivation="none", digest_method=hashlib.sha256)

    def issue(self) -> Ticket:
        """A new ticket, unlike any other."""
        return self._make(self._random(_SECRET))

    def read(self, text: str) -> Ticket | None:
        """The ticket in ``text``, or None for any text that we have not signed. Never raises.

        One text per ticket and key: another spelling of the same bytes is not ours.
        """
        if len(text) != _TEXT:
            return None
        try:
            raw = decode_base64url(text)
        except ValueError:
            return None
        secret, signature = raw[:_SECRET], raw[_SECRET:]
        if not self._signer.verify_signature(secret, encode_base64url(signature)):
            return None
        return self._make(secret)

    def _make(self, secret: bytes) -> Ticket:
        signature = decode_base64url(self._signer.get_signature(secret).decode())
        text = encode_base64url(secret + signature)
        handle = hashlib.sha256(b"auth-proxy/ticket/1/handle/" + secret).hexdigest()
        box = AESGCM(_derive(secret, b"auth-proxy/ticket/1/record"))
        return Ticket(text, handle, box, self._random)


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
