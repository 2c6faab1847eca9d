"""Refresh tokens that were used up: remembered, since whoever brings one again has stolen it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from proxy.crypto.seal import Sealer
from proxy.crypto.token import digest
from proxy.session.shelf import Only, Shelf
from proxy.session.tokens import Token


@dataclass(frozen=True, slots=True)
class Family:
    """The tokens of one sign-in of a terminal, and whose they are."""

    issuer: str
    subject: str
    name: str


class Spent:
    """Keys are digests, values sealed. Everything raises StoreError."""

    def __init__(self, shelf: Shelf, sealer: Sealer) -> None:
        self._shelf = shelf
        self._sealer = sealer

    async def spend(self, text: str, token: Token, now: float) -> bool:
        """``text`` of ``token`` is used up. False if it was already: two have it, and one of
        them is a thief (RFC 9700 section 4.14.2). Atomic."""
        data = json.dumps([token.issuer, token.subject, token.family]).encode()
        box = self._sealer.seal(data, now).encode()
        return await self._shelf.put(_key(text), box, token.expires_at, Only.ABSENT)

    async def family(self, text: str, now: float) -> Family | None:
        """Whose ``text`` was, if it was used up."""
        [box] = await self._shelf.get(_key(text))
        # How long it is good for, the shelf knows.
        data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf) if box else None
        return Family(*json.loads(data)) if data is not None else None


def _key(text: str) -> str:
    return f"terminal-spent:{digest(text)}"
