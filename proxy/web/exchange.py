"""What a route puts in place of Authorization: a template filled, or a token got in exchange."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from proxy.config.programs import Exchange
from proxy.errors import ProviderError, ProxyError, Reason
from proxy.model import Identity, Session
from proxy.oidc.exchange import Exchanged
from proxy.rules.routes import Route
from proxy.rules.template import Template
from proxy.web.lru import Lru
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.sessions import Opened

_CACHED: Final = 4096
_UNTOLD_LIFE: Final = 60.0
"""Seconds for which a token is used whose life nobody told."""
_MARGIN: Final = 30.0
_ASK_AGAIN: Final = 5.0
"""Seconds for which a failure is the answer: a provider is not asked for each request."""
_PASSING: Final = frozenset({Reason.PROVIDER_UNREACHABLE, Reason.PROVIDER_TIMEOUT})

_Key = tuple[str, bytes, str, str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """The header's value, good until then (Unix seconds)."""

    value: bytes = field(repr=False)
    until: float


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why there is none; asked about again after ``until``."""

    status: int
    detail: str
    until: float

    def error(self) -> ProxyError:
        return ProxyError(Reason.EXCHANGE_FAILED, self.detail, status=self.status)


class Authorizations:
    """Authorization for upstreams, each person's own.

    A token that was exchanged is kept for its life, for one session and one access token of it;
    whoever comes meanwhile waits for the one exchange. Both are part of its key, so that nobody
    else ever gets it (Traefik CVE-2026-71326).
    """

    def __init__(self, providers: Providers | None, clock: Callable[[], float]) -> None:
        self._providers = providers
        self._clock = clock
        self._known: Lru[_Key, Held | _Failed] = Lru(_CACHED)
        self._flights: dict[_Key, asyncio.Task[Held | _Failed]] = {}

    async def authorization(self, route: Route, opened: Opened, now: float) -> bytes | None:
        """The value for this route's upstream; None where the route has none of its own.

        Raises ProxyError: CREDENTIAL_MISSING (403) where the person has nothing to make it of,
        EXCHANGE_FAILED (502, or 503 when trying again may help).
        """
        held = await self.held(route, opened, now)
        return held.value if held else None

    async def held(self, route: Route, opened: Opened, now: float) -> Held | None:
        """The same, and until when it is good."""
        known = self.at_hand(route, opened, now)
        if known is not None or route.exchange is None:
            return known
        idp, token = self._source(opened.session, now)
        key = _key(opened.session, token, route.exchange)
        task = self._flights.get(key)
        if task is None:
            asking = self._exchanged(key, idp, token, route.exchange)
            task = self._flights[key] = asyncio.get_running_loop().create_task(asking)
            task.add_done_callback(lambda _: self._flights.pop(key, None))
        # A client that leaves must not cancel what others wait for.
        return _good(await asyncio.shield(task))

    def at_hand(self, route: Route, opened: Opened, now: float) -> Held | None:
        """What ``held`` would return, where that is known without waiting; else None.

        Raises as it does.
        """
        if route.template is not None:
            return Held(_filled(route.template, opened.session.identity), inf)
        if route.exchange is None:
            return None
        _, token = self._source(opened.session, now)
        known = self._known.get(_key(opened.session, token, route.exchange))
        return _good(known) if known is not None and now < known.until else None

    def _source(self, session: Session, now: float) -> tuple[IdentityProvider, str]:
        """Whom to ask, and the access token to show there."""
        tokens = session.tokens
        idp = self._providers.of(session.identity) if self._providers else None
        if idp is None or not tokens.access_token:
            raise _missing("exchange: there is no access token of the person's")
        if tokens.expires_at is not None and tokens.expires_at <= now:
            if session.refresh_at is None:
                raise _missing("exchange: the access token is over, and there is no other")
            detail = "exchange: the access token is over, and was not refreshed"
            raise ProxyError(Reason.EXCHANGE_FAILED, detail, status=503)
        return idp, tokens.access_token

    async def _exchanged(
        self, key: _Key, idp: IdentityProvider, token: str, wanted: Exchange
    ) -> Held | _Failed:
        try:
            found: Held | _Failed = self._kept(await idp.exchanged(token, wanted))
        except ProviderError as exc:
            status = 503 if exc.reason in _PASSING else 502
            found = _Failed(status, exc.detail, self._clock() + _ASK_AGAIN)
        self._known.put(key, found)
        return found

    def _kept(self, got: Exchanged) -> Held:
        now = self._clock()
        life = _UNTOLD_LIFE if got.expires_at is None else got.expires_at - now
        return Held(b"Bearer " + got.token.encode("ascii"), now + life - min(_MARGIN, life / 10))

    async def close(self) -> None:
        """Leave what is under way."""
        tasks = list(self._flights.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _key(session: Session, token: str, wanted: Exchange) -> _Key:
    shown = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return session.id, shown, wanted.audience, wanted.resource, wanted.scope


def _good(found: Held | _Failed) -> Held:
    if isinstance(found, _Failed):
        raise found.error()
    return found


def _filled(template: Template, person: Identity) -> bytes:
    value = template.value(person)
    if value is None:
        lacking = ", ".join(template.lacking(person))
        raise _missing(f"authorization_template: missing, or not fit for a header: {lacking}")
    return value


def _missing(detail: str) -> ProxyError:
    return ProxyError(Reason.CREDENTIAL_MISSING, detail, status=403)
