"""Who people were when they last signed in: what their tokens are judged by meanwhile."""

from __future__ import annotations

import math
from typing import Any, Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.model import Identity
from proxy.session.codec import UNREADABLE, describe, pack, read_identity, unpack
from proxy.session.shelf import Shelf

_VERSION: Final = 1
_FAR: Final = 1e12


class People:
    """Identities on the shelf: keys are pseudonyms, values sealed. Everything raises StoreError."""

    def __init__(self, shelf: Shelf, sealer: Sealer, pseudonyms: Pseudonyms) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._pseudonyms = pseudonyms

    async def remember(self, identity: Identity, now: float, until: float) -> None:
        """The rules let this person in, as they were told by now; known until then.

        Raises ProxyError(SESSION_TOO_LARGE) for somebody of whom no session could be kept.
        """
        data = pack({"v": _VERSION, "at": now, "who": describe(identity)})
        newest = self._keys(identity.issuer, identity.subject)[0]
        await self._shelf.put(newest, self._sealer.seal(data, now).encode(), until)

    async def known(self, issuer: str, subject: str, now: float) -> tuple[Identity, float] | None:
        """Who that is, and since when that was known; None for who has not come for long."""
        found = [
            known
            for box in await self._shelf.get(*self._keys(issuer, subject))
            if box is not None and (known := self._open(box, now)) is not None
        ]
        # Boxes that somebody moved under another key are nothing.
        mine = [(who, at) for who, at in found if (who.issuer, who.subject) == (issuer, subject)]
        return max(mine, key=lambda known: known[1], default=None)

    async def forget(self, issuer: str, subject: str) -> None:
        """Nobody knows this person any more: their tokens wait for their next sign-in."""
        await self._shelf.drop(*self._keys(issuer, subject))

    def _open(self, box: bytes, now: float) -> tuple[Identity, float] | None:
        # How long it is good for, the shelf knows.
        data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf)
        document = unpack(data) if data is not None else None
        try:
            return _read(document) if document is not None else None
        except UNREADABLE:
            return None

    def _keys(self, issuer: str, subject: str) -> tuple[str, ...]:
        names = self._pseudonyms.of("known", issuer, subject)
        return tuple(f"known:{name}" for name in names)


def _read(document: dict[str, Any]) -> tuple[Identity, float] | None:
    identity, at = read_identity(document["who"]), document["at"]
    is_good = document["v"] == _VERSION and type(at) in (int, float) and 0 <= at < _FAR
    return (identity, at) if is_good and identity is not None else None
