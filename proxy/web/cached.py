"""A value from the provider: fetched when needed, shared by all who wait, kept while it is down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.errors import ProviderError, Reason

T = TypeVar("T")


@dataclass(slots=True, eq=False, repr=False)
class _Flight:
    """A fetch under way; ``complete`` unless whoever made it was cancelled."""

    landed: asyncio.Event
    complete: bool = False


class Cached(Generic[T]):
    """A value that is fetched when needed, at most once at a time, and kept if that fails.

    ``ttl`` in seconds; ``version`` counts the fetches that succeeded.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[T]], ttl: float, clock: Callable[[], float]
    ) -> None:
        self._fetch = fetch
        self._ttl = ttl
        self._clock = clock
        self._value: T | None = None
        self._fetched_at = float("-inf")
        self._flight: _Flight | None = None
        self.version = 0
        self.failure: ProviderError | None = None

    async def get(self) -> T:
        """The value; the last good one while the provider cannot be asked, or is being asked.

        Nobody waits who can go on with an older value: while fetching fails, it is for
        ``renew`` to try again.
        """
        if self._value is not None:
            fresh = self._clock() < self._fetched_at + self._ttl
            if fresh or self.failure is not None or self._flight is not None:
                return self._value
        return await self.refresh(self.version)

    async def renew(self, age: float) -> None:
        """Fetch again what is ``age`` seconds old, or could not be fetched last time.

        Raises ProviderError when that fails and there is no older value.
        """
        old = self._clock() >= self._fetched_at + age
        if self._value is None or self.failure is not None or old:
            await self.refresh(self.version)

    async def refresh(self, seen: int) -> T:
        """Fetch again, unless somebody did since ``version`` was ``seen``.

        Whoever comes while a fetch is under way shares its outcome. Raises ProviderError
        when it fails and there is no older value.
        """
        while self._value is None or self.version == seen:
            flight = self._flight
            if flight is None:
                await self._fly()
                return self._outcome()
            await flight.landed.wait()
            if flight.complete:
                return self._outcome()
        return self._value

    async def _fly(self) -> None:
        flight = self._flight = _Flight(asyncio.Event())
        try:
            self._value = await self._fetch()
            self.failure, self._fetched_at = None, self._clock()
            self.version += 1
            flight.complete = True
        except ProviderError as exc:
            self.failure = exc
            flight.complete = True
        finally:
            self._flight = None
            flight.landed.set()

    def _outcome(self) -> T:
        if self._value is not None:
            return self._value
        raise again(self.failure or ProviderError(Reason.PROVIDER_UNREACHABLE))

    @property
    def value(self) -> T | None:
        """The newest good one, however old."""
        return self._value

    @property
    def known(self) -> bool:
        return self._value is not None

    @property
    def flying(self) -> bool:
        """Is a fetch under way?"""
        return self._flight is not None


def again(failure: ProviderError) -> ProviderError:
    """The same failure for somebody else: an exception that is shared collects tracebacks."""
    return ProviderError(failure.reason, failure.detail, status=failure.status)
