"""Tokens are refreshed ahead of their end, once for all requests that wait for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from proxy.errors import LoginError, ProviderError
from proxy.model import Session, Tokens
from proxy.web.log import Log
from proxy.web.provider import Provider, RefreshOver
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened, Sessions
from proxy.web.streams import Streams

_TRY_AGAIN = 30.0
"""Seconds until the next try after a fault of the provider's."""


class Refresher:
    """Keeps sessions fresh. A session is refreshed by one task; everybody else waits for it."""

    def __init__(
        self,
        runtime: Runtime,
        provider: Provider,
        sessions: Sessions,
        streams: Streams,
        log: Log,
    ) -> None:
        self._runtime = runtime
        self._provider = provider
        self._sessions = sessions
        self._streams = streams
        self._log = log
        self._flights: dict[str, asyncio.Task[Opened | None]] = {}

    async def refresh(self, opened: Opened, now: float) -> Opened | None:
        """The session as the provider sees it now; None when the provider has ended it.

        A fault of the provider's ends nothing: the session goes on as it was, and is tried
        again a little later. Rules are the caller's to judge. Raises StoreError.
        """
        session_id = opened.session.id
        flight = self._flights.get(session_id)
        if flight is None:
            loop = asyncio.get_running_loop()
            flight = self._flights[session_id] = loop.create_task(self._refresh(opened, now))
            flight.add_done_callback(lambda _: self._flights.pop(session_id, None))
        # A client that leaves must not cancel what others wait for.
        return await asyncio.shield(flight)

    async def _refresh(self, opened: Opened, now: float) -> Opened | None:
        session = opened.session
        fields: dict[str, object] = {"sub": session.identity.subject, "sid": opened.sid}
        try:
            fresh = await self._asked(session, now)
        except (RefreshOver, LoginError) as exc:
            # Over, or an answer that cannot be believed (OpenID Connect Core section 12.2).
            self._log.event("info", f"session ended at refresh: {exc}", fields)
            await self._sessions.end(opened)
            self._streams.end_session(session.id)
            return None
        except ProviderError as exc:
            self._log.event("warning", f"refresh failed, session kept: {exc}", fields)
            fresh = replace(session, refresh_at=now + _TRY_AGAIN)
        if self._sessions.has_ended(session.id):
            return None  # signed out while the provider was asked
        return await self._sessions.succeed(fresh, now)

    async def _asked(self, session: Session, now: float) -> Session:
        tokens, person = await self._provider.refreshed(
            session, self._runtime.settings.claims, self._runtime.kept_claims
        )
        kept = Tokens(
            id_token=tokens.id_token or session.tokens.id_token,
            access_token=tokens.access_token if session.tokens.access_token else "",
            refresh_token=tokens.refresh_token or session.tokens.refresh_token,
            expires_at=tokens.expires_at,
        )
        every = self._runtime.settings.session.refresh_every if person else _TRY_AGAIN
        return replace(
            session,
            identity=person or session.identity,
            tokens=kept,
            seen_at=now,
            refresh_at=now + every,
        )

    async def close(self) -> None:
        """Let no refresh be cut off: its rotated token would be lost."""
        if self._flights:
            await asyncio.wait(self._flights.values(), timeout=5)
