"""Tokens are refreshed ahead of their end, once for all requests that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from proxy.errors import AccessDenied, LoginError, ProxyError, Reason, StoreError
from proxy.model import Identity, Session, Tokens
from proxy.rules.gate import refresh_due
from proxy.session.locks import Locks
from proxy.web.admission import Admissions, Judged
from proxy.web.log import Log
from proxy.web.providers import Providers, RefreshOver
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened, Sessions

_TRY_AGAIN = 30.0
"""Seconds until the next try after a fault of the provider's."""
_SAVE_WITHIN = 60.0
_SAVE_EVERY = 0.2


@dataclass(slots=True, eq=False, repr=False)
class _Flight:
    """One refresh; ``stuck`` when the provider has answered and the store does not."""

    task: asyncio.Task[Opened | None]
    stuck: asyncio.Event = field(default_factory=asyncio.Event)


class Refresher:
    """Keeps sessions fresh. A session is refreshed by one task of all processes and replicas;
    everybody else waits for it."""

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        admissions: Admissions,
        sessions: Sessions,
        locks: Locks,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._admissions = admissions
        self._sessions = sessions
        self._locks = locks
        self._log = log
        self._clock = clock
        self._flights: dict[str, _Flight] = {}

    async def refresh(self, opened: Opened) -> Opened | None:
        """The session as the provider sees it now; None when it has ended.

        A fault of the provider's ends nothing: the session goes on as it was, and is tried
        again a little later. Rules are the caller's to judge. Raises StoreError.
        """
        session_id = opened.session.id
        flight = self._flights.get(session_id)
        if flight is None:
            stuck = asyncio.Event()
            task = asyncio.get_running_loop().create_task(self._refresh(opened, stuck))
            flight = self._flights[session_id] = _Flight(task, stuck)
            task.add_done_callback(lambda _: self._flights.pop(session_id, None))
        # A client that leaves must not cancel what others wait for.
        stuck_too = asyncio.ensure_future(flight.stuck.wait())
        try:
            await asyncio.wait({flight.task, stuck_too}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stuck_too.cancel()
        if not flight.task.done():
            raise StoreError(Reason.STORE_UNAVAILABLE, "a refreshed session waits to be kept")
        return flight.task.result()

    async def _refresh(self, opened: Opened, stuck: asyncio.Event) -> Opened | None:
        async with self._locks.hold(f"refresh:{opened.session.id}"):
            current = await self._sessions.current(opened, self._clock())
            if current is None or not refresh_due(current.session, self._clock()):
                return current  # it has ended, or somebody else was quicker
            fresh = await self._asked(current)
            if fresh is None:
                return None
            return await self._keep(current, fresh, stuck)

    async def _asked(self, opened: Opened) -> Session | None:
        """What the provider makes of it; None when it has ended the session."""
        session, now = opened.session, self._clock()
        fields: dict[str, object] = {"sub": session.identity.subject, "sid": opened.sid}
        try:
            fresh = await self._renewed(session, now)
        except (RefreshOver, LoginError, AccessDenied) as exc:
            # Over, or an answer that cannot be believed (OpenID Connect Core section 12.2).
            self._log.event("info", f"session ended at refresh: {exc}", fields)
            await self._sessions.end(opened, now)
            if not isinstance(exc, RefreshOver):
                await self._admissions.forget(session.identity)
            return None
        except ProxyError as exc:  # a fault: of the provider's, or of a hook
            self._log.event("warning", f"refresh failed, session kept: {exc}", fields)
            fresh = replace(session, refresh_at=now + _TRY_AGAIN)
        if self._sessions.has_ended(session.id):
            return None  # signed out while the provider was asked
        return fresh

    async def _renewed(self, session: Session, now: float) -> Session:
        """The session with what the provider gives and says now. Raises RefreshOver, LoginError,
        AccessDenied; ProxyError for a fault."""
        idp, kept = self._providers.of(session.identity), session.tokens
        if idp is None:
            raise RefreshOver(Reason.UNKNOWN_PROVIDER, "its provider is not configured any more")
        tokens, told = await idp.refreshed(session)
        is_used = self._runtime.keeps_access_token
        fresh = replace(
            session,
            tokens=Tokens(
                id_token=tokens.id_token or kept.id_token,
                access_token=tokens.access_token if kept.access_token or is_used else "",
                refresh_token=tokens.refresh_token or kept.refresh_token,
                expires_at=tokens.expires_at,
            ),
            seen_at=now,
            refresh_at=now + _TRY_AGAIN,
        )
        if told is None:
            return fresh
        try:
            judged = await self._admissions.judge(idp, told, now, "refresh", session.identity)
        except (LoginError, AccessDenied):
            raise
        except ProxyError as exc:  # the hook failed: the tokens are new all the same
            self._log.event("warning", f"refresh, identity kept: {exc}")
            return fresh
        person = self._admissions.known_as(judged.identity, session.identity)
        await self._tell_tokens(person, judged, now)
        settings = self._runtime.settings.session
        end = judged.end(self._runtime, session.created_at)
        if settings.end_claim and settings.end_claim not in person.claims:
            end = min(end, session.expires_at)  # nor the end that it declared
        refresh_at = self._runtime.refresh_at(fresh.tokens, now)
        return replace(fresh, identity=person, expires_at=end, refresh_at=refresh_at)

    async def _tell_tokens(self, person: Identity, judged: Judged, now: float) -> None:
        """What the person's tokens are judged by. What the provider gave must not be lost over it:
        where it cannot be kept, they go on as they were until the next refresh."""
        try:
            if judged.denial is None:
                await self._admissions.remember(person, now)
            else:
                await self._admissions.forget(person)
        except ProxyError as exc:
            self._log.event("warning", f"a person's tokens are judged by older facts: {exc}")

    async def _keep(self, current: Opened, fresh: Session, stuck: asyncio.Event) -> Opened | None:
        """The provider may have rotated the refresh token: what it gave must not be lost."""
        give_up = self._clock() + _SAVE_WITHIN
        while True:
            try:
                return await self._sessions.succeed(current.kept, fresh, self._clock())
            except StoreError:
                if self._clock() > give_up:
                    raise
                stuck.set()
            await asyncio.sleep(_SAVE_EVERY)

    async def close(self) -> None:
        """Let no refresh be cut off: its rotated token would be lost."""
        tasks = [flight.task for flight in self._flights.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=5)
            for task in tasks:
                task.cancel()
