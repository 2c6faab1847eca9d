"""Two small stores: one that forgets what was dropped, and one that cannot."""

from __future__ import annotations

import base64
import hashlib

from proxy.model import Session
from proxy.session import codec
from proxy.session.shelf import Only, Shelf
from proxy.session.store import Kept


class ForgettingStore:
    """Keeps sessions on a shelf; the value is any text that the handle is the hash of."""

    forgets = True

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self, value: str, now: float) -> Kept | None:
        [data] = await self._shelf.get(self._key(self.handle(value)))
        session = codec.load(data) if data is not None else None
        return Kept(session, value) if session is not None else None

    async def save(self, session: Session, now: float) -> Kept:
        value = "value of " + session.id
        await self._shelf.put(
            self._key(self.handle(value)), codec.dump(session), session.expires_at
        )
        return Kept(session, value)

    async def renew(self, kept: Kept, session: Session, now: float) -> Kept | None:
        key, data = self._key(self.handle(kept.value)), codec.dump(session)
        done = await self._shelf.put(key, data, session.expires_at, Only.PRESENT)
        return Kept(session, kept.value) if done else None

    async def drop(self, value: str) -> None:
        await self.discard(self.handle(value))

    async def discard(self, handle: str) -> None:
        await self._shelf.drop(self._key(handle))

    def handle(self, value: str) -> str:
        return hashlib.sha256(value.encode()).hexdigest()

    async def ready(self) -> None:
        await self._shelf.ready()

    @staticmethod
    def _key(handle: str) -> str:
        return f"session:{handle}"


class CarryingStore:
    """The value is the session."""

    forgets = False

    async def load(self, value: str, now: float) -> Kept | None:
        session = codec.load(base64.urlsafe_b64decode(value))
        alive = session is not None and session.expires_at > now
        return Kept(session, value) if session is not None and alive else None

    async def save(self, session: Session, now: float) -> Kept:
        return Kept(session, base64.urlsafe_b64encode(codec.dump(session)).decode())

    async def renew(self, kept: Kept, session: Session, now: float) -> Kept | None:
        return await self.save(session, now)

    async def drop(self, value: str) -> None:
        """Nothing to do."""

    async def discard(self, handle: str) -> None:
        """Nothing to do."""

    def handle(self, value: str) -> str:
        return ""

    async def ready(self) -> None:
        """Always."""
