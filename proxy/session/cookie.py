"""The session itself, sealed, in the browser's cookie. Needs no server."""

from __future__ import annotations

from proxy.crypto.seal import Sealer
from proxy.model import Session
from proxy.session import codec


class CookieStore:
    """A Store without storage: the value is the sealed session.

    ``lifetime``: seconds after which no box opens, whatever it says inside. A copied value
    stays good until the session's end, since nothing here remembers that it was dropped.
    """

    def __init__(self, sealer: Sealer, lifetime: float) -> None:
        self._sealer = sealer
        self._lifetime = lifetime

    async def load(self, value: str, now: float) -> Session | None:
        data = self._sealer.open(value, now, self._lifetime)
        session = codec.load(data) if data is not None else None
        return session if session is not None and session.expires_at > now else None

    async def save(self, session: Session, now: float) -> str:
        return self._sealer.seal(codec.dump(session), now)

    async def drop(self, value: str) -> None:
        """Nothing to do: the cookie is cleared by whoever asked."""

    async def ready(self) -> None:
        """Always."""
