"""Cookies → the session they hold, opened once and re-checked on every use."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from weakref import WeakValueDictionary

from proxy.errors import LoginError, Reason, StoreError
from proxy.model import Grant, Session, SetCookie
from proxy.rules.gate import alive, refresh_due
from proxy.session.cards import session_tag
from proxy.session.cookies import join
from proxy.session.endings import Ending, Scope
from proxy.session.keeping import Keeping
from proxy.session.store import Kept
from proxy.web.lru import Lru
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit
from proxy.wire.http1 import header_block

_CACHED = 4096
_ENDED = 8192
_ASK_AGAIN = 0.5
_TICKET_STEP = 60.0
"""Seconds after which use is written down, where that needs no new cookie."""


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

    def with_authorization(self, value: bytes, until: float) -> Minted:
        """The same with another Authorization, good until then."""
        block = self.block + header_block([(b"Authorization", value)])
        return replace(self, with_bearer=block, renew_at=min(self.renew_at, until))


class Life:
    """Whether a session that is in hand, by whatever values, has been ended."""

    __slots__ = ("__weakref__", "over")

    def __init__(self, over: bool) -> None:
        self.over = over


@dataclass(slots=True, eq=False, repr=False)
class Opened:
    """A session in hand, and what was made from it; ``key`` is that of the newest value.

    Until ``asked_again`` the store need not be asked whether it still lives, and until
    ``good_until`` nobody at all.
    """

    kept: Kept
    sid: str
    key: bytes
    life: Life
    asked_again: float
    told: str = ""
    good_until: float = 0.0
    grant: Grant | None = None
    """What the bearer token is that stands for a session; None for a browser's."""
    minted: dict[tuple[str, ...], Minted] = field(default_factory=dict)

    @property
    def session(self) -> Session:
        return self.kept.session

    @property
    def value(self) -> str:
        return self.kept.value


class Sessions:
    """Finds, begins, renews and ends sessions; remembers which have ended.

    ``token``: () → a random text of at least 128 bits. ``on_end`` is called with the id of each
    session that has ended, wherever that was; ``running`` gives those that something runs for.
    """

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        token: Callable[[], str],
        on_end: Callable[[str], None] = lambda session_id: None,
        running: Callable[[], Iterable[Session]] = tuple,
    ) -> None:
        self._runtime = runtime
        self._keeping = keeping
        self._token = token
        self._on_end = on_end
        self._running = running
        self._opened: Lru[bytes, Opened] = Lru(_CACHED)
        self._ended: Lru[str, bool] = Lru(_ENDED)
        self._lives: WeakValueDictionary[str, Life] = WeakValueDictionary()
        self._is_listening = False
        self._ending: set[asyncio.Task[None]] = set()
        self._missed = asyncio.Event()
        self.endings = 0
        """Changes whenever somebody must be asked about again."""
        idle = runtime.settings.session.idle_timeout
        self._idle = idle
        self._step = idle / 10
        if keeping.store.forgets:
            self._step = min(idle / 10, _TICKET_STEP) or _TICKET_STEP

    # Finding

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
        if opened is None or opened.key != key or opened.life.over:
            return None
        if now < opened.good_until:
            return opened
        session = opened.session
        if now >= opened.asked_again or not alive(session, now, self._idle):
            return None
        if self._is_due(session, now) or refresh_due(session, now):
            return None
        # Until then only its end can change what has been found here.
        due = session.seen_at + self._step if self._step else inf
        refresh = inf if session.refresh_at is None else session.refresh_at
        opened.good_until = min(session.expires_at, due, refresh, opened.asked_again)
        return opened

    def lend(self, key: bytes, session: Session, grant: Grant, until: float) -> Opened:
        """A session that no cookie holds, in hand under ``key`` until it must be found anew.

        Who was the same a moment ago stays the same: what was minted is used again.
        """
        opened = self._opened.get(key)
        if opened is None or opened.session != session or opened.grant != grant:
            life = self._lives.get(session.id)
            if life is None:
                life = self._lives[session.id] = Life(session.id in self._ended)
            opened = Opened(Kept(session, ""), session_tag(session.id), key, life, 0.0, grant=grant)
            self._opened.put(key, opened)
        opened.asked_again = until
        return opened

    @property
    def trust(self) -> float:
        """Seconds for which what was found on the shelf may be relied on."""
        return self._trust

    async def _open(self, value: str, now: float) -> Opened | None:
        key = _digest(value)
        opened = self._opened.get(key)
        if opened is None or now >= opened.asked_again or self._may_be_newer(opened.session, now):
            opened = await self._asked(value, now)
            if opened is None:
                self._opened.pop(key)
                return None
            self._opened.put(key, opened)
        return opened if not opened.life.over and alive(opened.session, now, self._idle) else None

    def _may_be_newer(self, session: Session, now: float) -> bool:
        """Would another process that has used or refreshed the session matter?"""
        return refresh_due(session, now) or not alive(session, now, self._idle)

    async def _asked(self, value: str, now: float) -> Opened | None:
        """What the store has behind ``value``, unless it has been ended."""
        trust, endings = self._trust, self.endings
        kept = await self._keeping.store.load(value, now)
        if kept is None or not self._runtime.vouched_for(kept.session.identity):
            return None
        if await self._keeping.endings.is_over(kept.session, now):
            if not self.has_ended(kept.session.id):  # nobody told us
                self.mark_ended(kept.session.id)
            return None
        if kept.is_late:
            # Nobody should have the old value any more: either of two holders is a thief.
            await self._keeping.register.end_session(kept.session, kept.value, now)
            return None
        opened = self._adopt(kept)
        if endings == self.endings:  # else an end may have been missed meanwhile
            opened.asked_again = now + trust
        return opened

    @property
    def _trust(self) -> float:
        """Seconds for which nobody need be asked: few while we would not be told."""
        trust = self._keeping.shelf.trust
        return trust if self._is_listening else min(trust, _ASK_AGAIN)

    def _adopt(self, kept: Kept) -> Opened:
        """What was made from the same facts stays."""
        key = _digest(kept.value)
        known = self._opened.get(key)
        if known is not None and known.session.id == kept.session.id:
            if known.session == kept.session:
                return known
            if replace(known.session, seen_at=kept.session.seen_at) == kept.session:
                known.kept, known.good_until = kept, 0.0
                return known
        session_id = kept.session.id
        life = self._lives.get(session_id)
        if life is None:
            life = self._lives[session_id] = Life(session_id in self._ended)
        opened = Opened(kept, session_tag(session_id), key, life, 0.0)
        self._opened.put(key, opened)
        return opened

    # Beginning and going on

    def new_id(self) -> str:
        return self._token()

    async def begin(self, session: Session, visit: Visit) -> list[SetCookie]:
        """Keep a new sign-in; returns the cookies that carry it. Raises StoreError, ProxyError."""
        kept = await self._keeping.store.save(session, visit.now)
        cookies = self._cookies(kept, visit.pairs, visit.now)
        browser, address = visit.header("User-Agent"), visit.goal.client
        begun = await self._keeping.register.begin(session, kept.value, browser, address, visit.now)
        if not begun:
            raise LoginError(Reason.NO_SESSION, "all sessions of this person have just been ended")
        return cookies

    def _cookies(
        self, kept: Kept, pairs: Sequence[tuple[bytes, bytes]], now: float
    ) -> list[SetCookie]:
        max_age = max(1, int(kept.session.expires_at - now))
        return self._runtime.jar.session(kept.value, max_age, pairs)

    async def renewed(
        self, opened: Opened, pairs: Sequence[tuple[bytes, bytes]], now: float
    ) -> list[SetCookie] | None:
        """Cookies that the browser needs now, usually none; None when it has ended meanwhile.

        Raises StoreError. The idle limit moves once a tenth of it has passed. A browser that came
        with an older cookie of a refreshed session gets the new one.
        """
        kept = opened.kept
        if self._is_due(kept.session, now):
            renewed = await self.succeed(kept, replace(kept.session, seen_at=now), now)
            if renewed is None:
                return None
            kept = renewed.kept
            renewed.minted = renewed.minted or opened.minted
        if kept.value not in join(pairs, self._runtime.names):
            return self._cookies(kept, pairs, now)
        return []

    def _is_due(self, session: Session, now: float) -> bool:
        """Is it time to write down that it is used?"""
        return bool(self._step) and now - session.seen_at >= self._step

    async def succeed(self, kept: Kept, session: Session, now: float) -> Opened | None:
        """Keep newer facts of a session; None when it has ended meanwhile. Raises StoreError."""
        renewed = await self._keeping.store.renew(kept, session, now)
        if renewed is None or not await self._keeping.register.seen(session, renewed.value, now):
            self.mark_ended(session.id)
        if renewed is None or self.has_ended(session.id):
            return None
        opened = self._adopt(renewed)
        opened.asked_again = max(opened.asked_again, now + self._trust)
        return opened

    async def current(self, opened: Opened, now: float) -> Opened | None:
        """The session as the store has it by now: others may have refreshed it."""
        opened.asked_again = 0.0
        return await self._open(opened.value, now)

    # Ending

    async def listen(self, clock: Callable[[], float]) -> None:
        """Follow what others end, until cancelled; to be called again should it fail."""
        try:
            async with asyncio.TaskGroup() as group:
                self._is_listening = True
                group.create_task(self._keeping.shelf.listen(self.hear))
                group.create_task(self._catch_up(clock))
        finally:
            self._is_listening = False
            self.hear(None)

    async def _catch_up(self, clock: Callable[[], float]) -> None:
        """Ask for all that something runs for, each time that news may have been missed."""
        while True:
            await self._missed.wait()
            self._missed.clear()
            try:
                for session in tuple(self._running()):
                    if await self._keeping.endings.is_over(session, clock()):
                        self.mark_ended(session.id)
            except StoreError:
                self._missed.set()
                await asyncio.sleep(_ASK_AGAIN)

    def has_ended(self, session_id: str) -> bool:
        """Was it ended? To be asked again after every wait."""
        life = self._lives.get(session_id)
        return session_id in self._ended or (life is not None and life.over)

    async def end(self, opened: Opened, now: float) -> None:
        """End a session, for every process and replica. Raises StoreError: then it goes on, and
        ending it can be tried again."""
        self.mark_ended(opened.session.id)
        task = asyncio.get_running_loop().create_task(self._end(opened, now))
        self._ending.add(task)
        task.add_done_callback(self._has_ended_one)
        # A client that leaves must not cut it off: over for us, and going on elsewhere.
        await asyncio.shield(task)

    async def _end(self, opened: Opened, now: float) -> None:
        try:
            await self._keeping.register.end_session(opened.session, opened.value, now)
        except BaseException:
            # Over for us alone, nobody could end it for the others any more.
            self._ended.pop(opened.session.id)
            opened.life.over = False
            self._ask_about_all()
            raise

    def _has_ended_one(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if its client has gone

    def mark_ended(self, session_id: str) -> None:
        """It has been ended, here or elsewhere."""
        self._ended.put(session_id, True)
        life = self._lives.get(session_id)
        if life is not None:
            life.over = True
        self.endings += 1
        self._on_end(session_id)

    def hear(self, message: bytes | None) -> None:
        """Somebody has ended sessions; None: somebody may have, and we were not told."""
        self.endings += 1
        ending = Ending.read(message) if message is not None else None
        if ending is None:
            self._missed.set()
            self._ask_about_all()
        elif ending.scope is Scope.SESSION:
            self.mark_ended(ending.key)
        else:
            known = [opened.session for opened in self._opened.values()]
            for session in (*known, *self._running()):
                if self._keeping.endings.covers(ending, session):
                    self.mark_ended(session.id)

    def _ask_about_all(self) -> None:
        self.endings += 1
        for opened in self._opened.values():
            opened.asked_again = opened.good_until = 0.0


def _digest(value: str) -> bytes:
    return hashlib.blake2b(value.encode(), digest_size=16).digest()
