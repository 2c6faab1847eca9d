"""Questions about opaque tokens: one call for all who wait, and a short memory of every no."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from proxy.errors import BearerRefused, ProviderError, Reason
from proxy.oidc.bearer import Believed
from proxy.web.lru import Lru

_NO_FOR: Final = 10.0
"""Seconds for which a no is believed at most."""
_MOST_NOES: Final = 4096
_MOST_AT_ONCE: Final = 100
"""Calls under way, and waiting for their turn."""

Key: TypeAlias = tuple[str, bytes]
"""Whose word it is, and the whole digest of the token: two issuers may differ about one token
(security.md 4, no. 64 and 67)."""


@dataclass(slots=True, eq=False, repr=False)
class _Call:
    """One under way; ``complete`` unless whoever made it was cancelled."""

    landed: asyncio.Event
    complete: bool = False
    answer: Believed | None = None
    refused: BearerRefused | ProviderError | None = None


class Questions:
    """``cache``: seconds for which an answer is believed at most."""

    def __init__(self, cache: float, clock: Callable[[], float]) -> None:
        self._no_for = min(cache, _NO_FOR)
        self._clock = clock
        self._noes: Lru[Key, float] = Lru(_MOST_NOES)
        self._calls: dict[Key, _Call] = {}

    async def ask(
        self, key: Key, call: Callable[[], Awaitable[Believed | None]]
    ) -> Believed | None:
        """The answer of ``call``, or of one about ``key`` that is under way. None is a no.

        Raises what ``call`` does: BearerRefused, ProviderError; the latter (503) also where too
        many wait.
        """
        while True:
            if self._clock() < (self._noes.get(key) or 0.0):
                return None
            under_way = self._calls.get(key)
            if under_way is None:
                return await self._make(key, call)
            await under_way.landed.wait()
            if under_way.complete:
                if under_way.refused is not None:
                    raise _again(under_way.refused)
                return under_way.answer

    async def _make(
        self, key: Key, call: Callable[[], Awaitable[Believed | None]]
    ) -> Believed | None:
        if len(self._calls) >= _MOST_AT_ONCE:
            detail = "introspect: too many questions at once"
            raise ProviderError(Reason.PROVIDER_UNREACHABLE, detail, status=503)
        made = self._calls[key] = _Call(asyncio.Event())
        try:
            made.answer = await call()
            if made.answer is None:
                self._noes.put(key, self._clock() + self._no_for)
            made.complete = True
        except (BearerRefused, ProviderError) as exc:
            made.refused, made.complete = exc, True
            raise
        finally:
            del self._calls[key]
            made.landed.set()
        return made.answer


def _again(exc: BearerRefused | ProviderError) -> BearerRefused | ProviderError:
    """For somebody else: an exception that is shared collects tracebacks."""
    if isinstance(exc, ProviderError):
        return ProviderError(exc.reason, exc.detail, status=exc.status)
    return BearerRefused(exc.detail, exc.error, exc.reason, status=exc.status, scope=exc.scope)
