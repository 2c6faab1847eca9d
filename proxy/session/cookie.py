"""The session itself, sealed, in the browser's cookie. Needs no server."""

from __future__ import annotations

import hashlib
from typing import Final

from proxy.crypto.seal import Sealer
from proxy.model import Session
from proxy.session import codec
from proxy.session.shelf import Shelf
from proxy.session.store import Kept

_HOPS: Final = 8
_POINTER: Final = b"next:"
"""Begins what a pointer seals; no session begins so, hence no pointer passes as a cookie."""


class CookieStore:
    """A Store where the value is the sealed session.

    ``lifetime``: seconds after which no box opens, whatever it says inside. A copied value
    stays good until the session's end, since nothing here remembers that it was dropped.
    Only a refresh leaves something on ``shelf``: for ``grace`` seconds, a pointer from the old
    session to the new value, for requests that were on their way. It is sealed, and of no use to
    whoever reads the shelf.
    """

    forgets = False

    def __init__(self, sealer: Sealer, lifetime: float, shelf: Shelf, grace: float) -> None:
        self._sealer = sealer
        self._lifetime = lifetime
        self._shelf = shelf
        self._grace = grace

    async def load(self, value: str, now: float) -> Kept | None:
        session = self._open(value, now)
        return await self._newest(Kept(session, value), now) if session is not None else None

    async def save(self, session: Session, now: float) -> Kept:
        return Kept(session, self._sealer.seal(codec.dump(session), now))

    async def renew(self, kept: Kept, session: Session, now: float) -> Kept | None:
        """Never None: here nobody knows that the session has ended.

        Where another request has refreshed the session meanwhile, that one's facts stand.
        """
        old = kept.session
        renewed = await self.save(session, now)
        if (session.id, session.refresh_at) == (old.id, old.refresh_at):
            newest = await self._newest(kept, now)
            return renewed if newest.value == kept.value else newest
        if old.refresh_at is not None:
            key = _key(old, old.refresh_at)
            pointer = _POINTER + f"{key} {renewed.value}".encode()
            box = self._sealer.seal(pointer, now).encode()
            await self._shelf.put(key, box, now + self._grace)
        return renewed

    async def drop(self, value: str) -> None:
        """Nothing to do: the cookie is cleared by whoever asked."""

    async def discard(self, handle: str) -> None:
        """Nothing to do."""

    def handle(self, value: str) -> str:
        return ""

    async def ready(self) -> None:
        await self._shelf.ready()

    def _open(self, value: str, now: float) -> Session | None:
        data = self._sealer.open(value, now, self._lifetime)
        session = codec.load(data) if data is not None else None
        return session if session is not None and session.expires_at > now else None

    async def _newest(self, kept: Kept, now: float) -> Kept:
        """The session that followed on this one, or itself; asks only where one is due."""
        for _ in range(_HOPS):
            due = kept.session.refresh_at
            if due is None or due > now:
                break
            key = _key(kept.session, due)
            [box] = await self._shelf.get(key)
            value = self._read(key, box, now) if box is not None else ""
            session = self._open(value, now)
            if session is None:
                break
            kept = Kept(session, value)
        return kept

    def _read(self, key: str, box: bytes, now: float) -> str:
        """The value that a pointer leads to; empty if it was not made for this key."""
        data = self._sealer.open(box.decode("ascii", "replace"), now, self._lifetime) or b""
        begin = _POINTER + f"{key} ".encode()
        return data.removeprefix(begin).decode() if data.startswith(begin) else ""


def _key(session: Session, refresh_at: float) -> str:
    """The same for all values of a session between two refreshes; reveals no id."""
    facts = f"{int(refresh_at * 1000)}:{session.id}"
    return "next:" + hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()
