"""The promise that every session store keeps."""

from __future__ import annotations

from typing import Protocol

from proxy.model import Session


class Store(Protocol):
    """Keeps sessions behind a value that travels in the browser's cookie.

    A value is all that a holder has: it is unguessable and unforgeable, and whoever cannot
    present it cannot read the session. Times are Unix seconds.
    """

    async def load(self, value: str, now: float) -> Session | None:
        """The session of ``value``; None when there is none (forged, ended, expired, garbled).

        Raises StoreError when the store cannot answer, which is not the same as None.
        """

    async def save(self, session: Session, now: float) -> str:
        """Keep ``session`` until its end; returns the value for the cookie.

        Raises StoreError when it could not be kept.
        """

    async def drop(self, value: str) -> None:
        """End the session of ``value``, if there is one. Raises StoreError."""

    async def ready(self) -> None:
        """Return if the store can answer; raise StoreError if not."""
