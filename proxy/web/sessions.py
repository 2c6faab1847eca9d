"""Cookies → the session they hold, opened once and re-checked on every use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from proxy.model import Session, SetCookie
from proxy.rules.gate import alive
from proxy.rules.headers import Header
from proxy.session.cookies import join
from proxy.web.lru import Lru
from proxy.web.runtime import Runtime

_CACHED = 4096
_ENDED = 65536


@dataclass(slots=True)
class Minted:
    """Identity headers for one audience, good until ``renew_at`` (Unix seconds)."""

    headers: list[Header]
    jwt: str
    expires_at: int
    renew_at: float


@dataclass(slots=True)
class Opened:
    """A session in hand, and what was made from it."""

    session: Session
    value: str
    sid: str
    minted: dict[tuple[str, ...], Minted] = field(default_factory=dict)


class Sessions:
    """Finds, renews and ends sessions; remembers which ended in this process.

    ``token``: () → a random text of at least 128 bits.
    """

    def __init__(self, runtime: Runtime, token: Callable[[], str]) -> None:
        self._runtime = runtime
        self._token = token
        self._opened: Lru[bytes, Opened] = Lru(_CACHED)
        self._ended: Lru[str, float] = Lru(_ENDED)
        self._refreshed: Lru[str, Opened] = Lru(_CACHED)

    async def find(self, pairs: Sequence[tuple[bytes, bytes]], now: float) -> Opened | None:
        """The live session that the cookies hold. Raises StoreError.

        Of several candidates exactly one must open: a cookie planted beside ours changes
        nothing, and two good ones are refused rather than guessed between.
        """
        found = await self.all(pairs, now)
        return found[0] if len({opened.session.id for opened in found}) == 1 else None

    async def all(self, pairs: Sequence[tuple[bytes, bytes]], now: float) -> list[Opened]:
        """Every live session among the cookies: what a sign-out ends. Raises StoreError."""
        values = join(pairs, self._runtime.names)
        return [o for value in values if (o := await self._open(value, now)) is not None]

    def has_ended(self, session_id: str) -> bool:
        """Was it ended in this process? To be asked again after every wait."""
        return session_id in self._ended

    async def _open(self, value: str, now: float) -> Opened | None:
        key = _digest(value)
        opened = self._opened.get(key)
        if opened is None or opened.value != value:
            session = await self._runtime.store.load(value, now)
            if session is None:
                return None
            opened = Opened(session, value, session_tag(session.id))
            self._opened.put(key, opened)
        opened = self._newest(opened)
        session = opened.session
        idle = self._runtime.settings.session.idle_timeout
        if session.id in self._ended or not alive(session, now, idle):
            return None
        return opened

    def _newest(self, opened: Opened) -> Opened:
        """What a refresh made of the session: an older cookie stands for the same thing.

        Its refresh token is used up, so nobody may ask the provider with it again.
        """
        if opened.session.refresh_at is None:
            return opened
        newer = self._refreshed.get(opened.session.id)
        if newer is None or (newer.session.refresh_at or 0) <= opened.session.refresh_at:
            return opened
        return newer

    async def succeed(self, session: Session, now: float) -> Opened:
        """Keep what a refresh made of a session, for every cookie of it. Raises StoreError."""
        value = await self._runtime.store.save(session, now)
        opened = Opened(session, value, session_tag(session.id))
        self._opened.put(_digest(value), opened)
        self._refreshed.put(session.id, opened)
        return opened

    async def keep(
        self, session: Session, pairs: Sequence[tuple[bytes, bytes]], now: float
    ) -> list[SetCookie]:
        """Store ``session``; returns the cookies that carry it. Raises StoreError, ProxyError."""
        return self._cookies(session, await self._runtime.store.save(session, now), pairs, now)

    def _cookies(
        self, session: Session, value: str, pairs: Sequence[tuple[bytes, bytes]], now: float
    ) -> list[SetCookie]:
        max_age = max(1, int(session.expires_at - now))
        return self._runtime.jar.session(value, max_age, pairs)

    def new_id(self) -> str:
        return self._token()

    async def renewed(
        self, opened: Opened, pairs: Sequence[tuple[bytes, bytes]], now: float
    ) -> list[SetCookie]:
        """Cookies that the browser needs now; usually none.

        The idle limit moves once a tenth of it has passed. A browser that came with an older
        cookie of a refreshed session gets the new one.
        """
        session = opened.session
        idle = self._runtime.settings.session.idle_timeout
        if idle and now - session.seen_at >= idle / 10:
            return await self.keep(replace(session, seen_at=now), pairs, now)
        if session.id in self._refreshed and opened.value not in join(pairs, self._runtime.names):
            return self._cookies(session, opened.value, pairs, now)
        return []

    async def end(self, opened: Opened) -> None:
        """End a session here. Raises StoreError."""
        self._ended.put(opened.session.id, opened.session.expires_at)
        await self._runtime.store.drop(opened.value)


def _digest(value: str) -> bytes:
    return hashlib.blake2b(value.encode(), digest_size=16).digest()


def session_tag(session_id: str) -> str:
    """The session's public name (``sid``): tells nothing about the cookie."""
    return hashlib.sha256(b"auth-proxy/sid/" + session_id.encode()).hexdigest()[:32]
