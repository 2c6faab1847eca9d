"""The promise that every session store keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from proxy.model import Session


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as the store has it; ``value`` is what the browser's cookie should hold.

    That is another value than the one that was asked about once the session has moved on to it.
    """

    session: Session
    value: str = field(repr=False)
    is_late: bool = False
    """It was asked about by an old value, long after that one was replaced."""


class Store(Protocol):
    """Keeps sessions behind a value that travels in the browser's cookie.

    A value is all that a holder has: it is unguessable and unforgeable, and whoever cannot
    present it cannot read the session. Times are Unix seconds. Everything raises StoreError when
    the store cannot answer, which is not the same as None.
    """

    @property
    def forgets(self) -> bool:
        """Is a session over for good once it was dropped? Else its value opens until its end."""

    async def load(self, value: str, now: float) -> Kept | None:
        """The session of ``value``; None when there is none (forged, ended, expired, garbled)."""

    async def save(self, session: Session, now: float) -> Kept:
        """Keep a new session until its end."""

    async def renew(self, kept: Kept, session: Session, now: float) -> Kept | None:
        """Keep newer facts of the session behind ``kept``; None when it has ended meanwhile.

        Where ``session`` has been refreshed (another ``refresh_at``), whoever still comes with the
        old value gets the new session for a while. Its id never changes.
        """

    async def drop(self, value: str) -> None:
        """End the session of ``value``, if there is one."""

    async def discard(self, handle: str) -> None:
        """The same by what ``handle`` said; for whoever holds no value."""

    def handle(self, value: str) -> str:
        """What ends the session of ``value``, and reads nothing of it; empty where nothing does."""

    async def ready(self) -> None:
        """Return if the store can answer."""
