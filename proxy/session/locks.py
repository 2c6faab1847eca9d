"""Locks: one holder among all processes and replicas, followed soon if it dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from proxy.errors import StoreError
from proxy.session.shelf import Only, Shelf

_LIFE: Final = 4.0
"""Seconds that a lock outlives a holder that died."""
_RENEW: Final = 1.0
"""Seconds between two renewals: three may fail."""
_LOOK: Final = 0.05
"""Seconds between two looks of whoever waits."""


class Locks:
    """Locks on a shelf. ``token``: () → a random text of at least 128 bits."""

    def __init__(self, shelf: Shelf, clock: Callable[[], float], token: Callable[[], str]) -> None:
        self._shelf = shelf
        self._clock = clock
        self._token = token

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for the lock, and hold it. Raises StoreError while it waits, never afterwards.

        A holder that loses its lock (the shelf was away for too long) is not told: what it does
        must be right even so, if only less thrifty.
        """
        lock, mine = f"lock:{key}", self._token().encode()
        released = asyncio.Event()
        renewal: asyncio.Task[None] | None = None
        try:
            await self._wait(lock, mine)
            renewal = asyncio.create_task(self._renew(lock, mine, released), name=lock)
            yield
        finally:
            released.set()
            if renewal is not None:
                # Not cut off: what it has sent must not arrive after the release.
                await asyncio.wait([renewal])
            # Even where taking it failed: the shelf may have done it without telling us.
            with suppress(StoreError):
                await self._shelf.drop_if(lock, mine)

    async def _wait(self, lock: str, mine: bytes) -> None:
        """One look that fails is not the end of waiting: many wait, and long."""
        has_failed = False
        while True:
            try:
                if await self._take(lock, mine):
                    return
                # What failed may have been the answer only: then it is ours.
                if has_failed and await self._prolong(lock, mine):
                    return
                has_failed = False
            except StoreError:
                if has_failed:
                    raise
                has_failed = True
            await asyncio.sleep(_LOOK)

    async def _take(self, lock: str, mine: bytes) -> bool:
        return await self._shelf.put(lock, mine, self._clock() + _LIFE, Only.ABSENT)

    async def _prolong(self, lock: str, mine: bytes) -> bool:
        return await self._shelf.swap(lock, mine, mine, self._clock() + _LIFE)

    async def _renew(self, lock: str, mine: bytes, released: asyncio.Event) -> None:
        while not await _is_set(released, _RENEW):
            # A shelf that is away may be back in time.
            with suppress(StoreError):
                if await self._prolong(lock, mine):
                    continue
                if not await self._take(lock, mine):  # it is somebody else's by now
                    return


async def _is_set(event: asyncio.Event, within: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
    return event.is_set()
