"""Cookies → the session they hold, opened once and re-checked on every use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from proxy.model import Session, SetCookie
from proxy.rules.gate import alive, refresh_due
from proxy.session.cookies import join
from proxy.web.lru import Lru
from proxy.web.news import News, Topic
from proxy.web.runtime import Runtime

_CACHED = 4096
_ENDED = 65536


@dataclass(slots=True, eq=False, repr=False)
class Minted:
    """Identity headers for one audience, good until ``renew_at`` (Unix seconds).

    ``block`` are their lines, ``with_bearer`` the same with the JWT as Authorization too;
    ``forward_auth`` is what the forward-auth endpoint answers, once it was asked.
    """

    block: bytes
    with_bearer: bytes
    jwt: str
    expires_at: int
    renew_at: float
    forward_auth: bytes = b""


@dataclass(slots=True, eq=False, repr=False)
class Opened:
    """A session in hand, and what was made from it."""

    session: Session
    value: str
    sid: str
    told: str = ""
    good_until: float = 0.0
    minted: dict[tuple[str, ...], Minted] = field(default_factory=dict)


class Sessions:
    """Finds, renews and ends sessions; remembers which have ended.

    ``token``: () → a random text of at least 128 bits. ``tell`` is told what other processes
    must know.
    """

    def __init__(
        self,
        runtime: Runtime,
        token: Callable[[], str],
        tell: Callable[[News], None] = lambda _: None,
    ) -> None:
        self._runtime = runtime
        self._token = token
        self._tell = tell
        self._opened: Lru[bytes, Opened] = Lru(_CACHED)
        self._ended: Lru[str, float] = Lru(_ENDED)
        self.endings = 0
        """How many were marked as ended: while it stays, nobody need be asked about again."""
        self._refreshed: Lru[str, Opened] = Lru(_CACHED)

    async def find(self, pairs: Sequence[tuple[bytes, bytes]], now: float) -> Opened | None:
        """The live session that the cookies hold. Raises StoreError.

        Of several candidates exactly one must open: a cookie planted beside ours changes
        nothing, and two good ones are refused rather than guessed between.
        """
        found = await self.all(pairs, now)
        return found[0] if len({opened.session.id for opened in found}) == 1 else None

    def key(self, pairs: Sequence[tuple[bytes, bytes]]) -> bytes | None:
        """By what ``at_hand`` knows the session of these cookies; None where it never could."""
        values = join(pairs, self._runtime.names)
        return _digest(values[0]) if len(values) == 1 else None

    def at_hand(self, key: bytes | None, now: float) -> Opened | None:
        """What ``find`` would return, where that is known already, ``renewed`` has no cookie and
        no refresh is due.

        None says nothing: ask ``find``.
        """
        opened = self._opened.get(key) if key is not None else None
        if opened is None:
            return None
        if now < opened.good_until and opened.session.id not in self._ended:
            return opened
        newest = self._newest(opened)
        session = newest.session
        idle = self._runtime.settings.session.idle_timeout
        if newest.value != opened.value or session.id in self._ended:
            return None
        if not alive(session, now, idle) or self._is_due(session, now, idle):
            return None
        if refresh_due(session, now):  # verdicts are remembered for as long as it is at hand
            return None
        if newest is opened:
            # Until then only its end can change what has been found here.
            due = session.seen_at + idle / 10 if idle else session.expires_at
            refresh = session.expires_at if session.refresh_at is None else session.refresh_at
            opened.good_until = min(session.expires_at, due, refresh)
        return newest

    async def all(self, pairs: Sequence[tuple[bytes, bytes]], now: float) -> list[Opened]:
        """Every live session among the cookies: what a sign-out ends. Raises StoreError."""
        values = join(pairs, self._runtime.names)
        return [o for value in values if (o := await self._open(value, now)) is not None]

    def has_ended(self, session_id: str) -> bool:
        """Was it ended? To be asked again after every wait."""
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
        if self._is_due(session, now, idle):
            return await self.keep(replace(session, seen_at=now), pairs, now)
        if session.id in self._refreshed and opened.value not in join(pairs, self._runtime.names):
            return self._cookies(session, opened.value, pairs, now)
        return []

    @staticmethod
    def _is_due(session: Session, now: float, idle: float) -> bool:
        """Is it time to move the idle limit?"""
        return bool(idle) and now - session.seen_at >= idle / 10

    async def end(self, opened: Opened) -> None:
        """End a session, in every process of this proxy. Raises StoreError."""
        session = opened.session
        self.mark_ended(session.id, session.expires_at)
        self._tell(News(Topic.ENDED, session.id, session.expires_at))
        await self._runtime.store.drop(opened.value)

    def mark_ended(self, session_id: str, expires_at: float) -> None:
        """It has been ended, here or by another process."""
        self._ended.put(session_id, expires_at)
        self.endings += 1


def _digest(value: str) -> bytes:
    return hashlib.blake2b(value.encode(), digest_size=16).digest()


def session_tag(session_id: str) -> str:
    """The session's public name (``sid``): tells nothing about the cookie."""
    return hashlib.sha256(b"auth-proxy/sid/" + session_id.encode()).hexdigest()[:32]
