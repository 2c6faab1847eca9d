"""A session store in memory, as honest as a server's: a random ticket is all that a holder has."""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import Reason, StoreError
from proxy.model import Session
from proxy.session import codec


class MemoryStore:
    """Keeps sessions in a dict; ``down`` makes every call fail as a lost server would.

    ``token``: () → a random text of at least 128 bits.
    """

    def __init__(self, token: Callable[[], str]) -> None:
        self.down = False
        self._token = token
        self._kept: dict[str, bytes] = {}

    async def load(self, value: str, now: float) -> Session | None:
        self._reach()
        data = self._kept.get(value)
        session = codec.load(data) if data is not None else None
        return session if session is not None and session.expires_at > now else None

    async def save(self, session: Session, now: float) -> str:
        self._reach()
        value = self._token()
        self._kept[value] = codec.dump(session)
        return value

    async def drop(self, value: str) -> None:
        self._reach()
        self._kept.pop(value, None)

    async def ready(self) -> None:
        self._reach()

    def _reach(self) -> None:
        if self.down:
            raise StoreError(Reason.STORE_UNAVAILABLE, "switched off by the test")
