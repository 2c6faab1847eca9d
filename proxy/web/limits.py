"""How much may be asked: requests in a window and at once; and a brake for those who guess."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import StoreError, TooMany
from proxy.rules.limits import Asker, Quota, network
from proxy.rules.routes import Route
from proxy.session.database import MEMORY
from proxy.session.shelf import Share, Shelf
from proxy.session.sqlite import SqliteShelf
from proxy.web.lru import Lru
from proxy.web.sessions import Opened
from proxy.web.visit import Visit

__all__ = ["Failures", "Limits", "Pass", "TooMany"]

LEASE: Final = 30.0
"""Seconds after which a place is free again when the process that held it has died."""
_RENEW: Final = 10.0
_BELIEVED: Final = 1.0
"""Seconds that a window is taken for full without asking again."""
_GLANCE: Final = 0.05
"""Seconds until a second look for a free place: who asked before may just be leaving."""
_REMEMBERED: Final = 4096
_PORTION: Final = 200


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Wish:
    """A share that a request needs, and why; ``opens_at`` is when others are there again."""

    share: Share
    quota: Quota
    opens_at: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Held:
    """Places of a request under way, and the shelf that they are on."""

    shelf: Shelf
    places: tuple[Share, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pass:
    """A request that was let in. To be left when its answer has ended, however that was."""

    leave: Callable[[], None]


def _nothing() -> None: ...


_FREE: Final = Pass(_nothing)


class Limits:
    """Counts what routes limit, on the shelf: exactly, among all who share it.

    A limit is no permission: while the shelf cannot be asked, nobody is refused for that, and
    this process counts on its own. ``pseudonyms`` name people, tokens and addresses there.
    ``tell`` gets a sentence for the log when that begins, and when it is over.
    """

    def __init__(
        self,
        shelf: Shelf,
        pseudonyms: Pseudonyms,
        clock: Callable[[], float],
        tell: Callable[[str], None] = lambda words: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._shelf = shelf
        self._pseudonyms = pseudonyms
        self._clock = clock
        self._tell = tell
        self._pause = pause
        self._spare: SqliteShelf | None = None
        self._is_alone = False
        self._full: Lru[str, float] = Lru(_REMEMBERED)
        self._held: dict[str, _Held] = {}
        self._places: Counter[str] = Counter()
        self._renewing: asyncio.Task[None] | None = None
        self._renewal = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    def limited(self, route: Route) -> bool:
        """Is anything counted there?"""
        return bool(route.quotas)

    async def enter(self, route: Route, visit: Visit, opened: Opened | None) -> Pass:
        """Count a request that is about to be forwarded. Raises TooMany; it is not counted then."""
        if not route.quotas:
            return _FREE
        # Not the request's id: gateways hand that on from clients, who would share one place.
        holder = secrets.token_hex(16)
        wishes = self._wishes(route.quotas, visit, asker(visit, opened), holder)
        for wish in wishes:
            if (self._full.get(wish.share.key) or 0.0) > visit.now:
                raise TooMany(wish.opens_at - visit.now)
        task = self._start(self._granted(visit, wishes, holder))
        try:
            refused = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(lambda _: self._leave(holder))  # the client has gone
            raise
        if refused is not None:
            raise TooMany(refused.opens_at - visit.now, f"limit: {refused.quota}")
        return Pass(lambda: self._leave(holder))

    def _wishes(
        self, quotas: Sequence[Quota], visit: Visit, who: Asker, holder: str
    ) -> list[_Wish]:
        wishes, now = [], visit.now
        for quota in quotas:
            key = f"limit:{self._pseudonyms.of(*quota.counted_for(who))[0][:32]}"
            if quota.requests:
                window = quota.window(now)
                name = f"{key}:{window.length:g}:{window.number}"
                share = Share(name, quota.requests, window.forgotten_at)
                wishes.append(_Wish(share, quota, window.end))
            if quota.concurrent:
                until = self._clock() + LEASE
                share = Share(f"{key}:at-once", quota.concurrent, until, holder)
                wishes.append(_Wish(share, quota, now))
        return wishes

    async def _granted(self, visit: Visit, wishes: list[_Wish], holder: str) -> _Wish | None:
        """The wish that was refused for longest, where one was."""
        refused = await self._try(visit, wishes, holder)
        if refused is not None and refused.share.holder:
            await self._pause(_GLANCE)
            refused = await self._try(visit, wishes, holder)
        return refused

    async def _try(self, visit: Visit, wishes: list[_Wish], holder: str) -> _Wish | None:
        for wish in wishes:
            if wish.share.holder and self._places[wish.share.key] >= wish.share.most:
                return wish  # all of them are ours: nobody needs to be asked
        shares = [wish.share for wish in wishes]
        shelf, taken = await self._take(shares)
        got = [share for share, is_ours in zip(shares, taken, strict=True) if is_ours]
        if len(got) == len(shares):
            self._hold(holder, _Held(shelf, tuple(share for share in got if share.holder)))
            return None
        await self._give_back(shelf, got)
        refused = [wish for wish, is_ours in zip(wishes, taken, strict=True) if not is_ours]
        for wish in refused:
            if not wish.share.holder:
                until = min(wish.opens_at, visit.now + _BELIEVED)
                self._full.put(wish.share.key, until)
        return max(refused, key=lambda wish: wish.opens_at)

    async def _take(self, shares: Sequence[Share]) -> tuple[Shelf, list[bool]]:
        """Which of the shares were left, and on which shelf."""
        try:
            taken = await self._shelf.take(*shares)
        except StoreError as exc:
            if not self._is_alone:
                self._tell(f"limits are counted by each process on its own: {exc.detail}")
            self._is_alone = True
            self._spare = self._spare or SqliteShelf(MEMORY, self._clock)
            return self._spare, await self._spare.take(*shares)
        if self._is_alone:
            self._tell("limits are counted together again")
        self._is_alone = False
        return self._shelf, taken

    async def _give_back(self, shelf: Shelf, shares: Sequence[Share]) -> None:
        with suppress(StoreError):  # it ends by itself
            for share in shares:
                if share.holder:
                    await shelf.remove(share.key, share.holder)
                else:
                    await shelf.count(share.key, -1, share.until)

    # Places of requests under way

    def _hold(self, holder: str, held: _Held) -> None:
        if not held.places:
            return
        self._held[holder] = held
        self._places.update(share.key for share in held.places)
        if self._renewing is None or self._renewing.done():
            self._renewing = self._start(self._renew_for_ever())

    def _leave(self, holder: str) -> None:
        held = self._held.pop(holder, None)
        if held is None:
            return
        for share in held.places:
            self._places[share.key] -= 1
            if not self._places[share.key]:
                del self._places[share.key]
        self._start(self._left(held))

    async def _left(self, held: _Held) -> None:
        async with self._renewal:  # or one under way could bring them back
            await self._give_back(held.shelf, held.places)

    async def _renew_for_ever(self) -> None:
        while self._held:
            await self._pause(_RENEW)
            await self.renew()

    async def renew(self) -> None:
        """Hold on to the places of all requests under way, for another while."""
        async with self._renewal:
            until, places = self._clock() + LEASE, list(self._held.values())
            for shelf in {id(held.shelf): held.shelf for held in places}.values():
                mine = [share for held in places if held.shelf is shelf for share in held.places]
                with suppress(StoreError):  # tried again soon
                    for begin in range(0, len(mine), _PORTION):
                        portion = mine[begin : begin + _PORTION]
                        await shelf.take(*(replace(share, until=until) for share in portion))

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Give back what is being left; nothing is held on to any more."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._spare is not None:
            await self._spare.close()


def asker(visit: Visit, opened: Opened | None) -> Asker:
    """Whom a request is counted for: a browser's session stands for its token."""
    address = visit.goal.client
    if opened is None:
        return Asker(address)
    identity, grant = opened.session.identity, opened.grant
    token = ("token", grant.id) if grant is not None else ("session", opened.session.id)
    return Asker(address, ("person", identity.issuer, identity.subject), token)


_TRIES: Final = 10
_SPAN: Final = 60.0
"""So many failures in so many seconds are nothing."""
_LONGEST: Final = 60.0
_CALM: Final = 600.0
"""Seconds without a failure after which all is forgotten."""
_WATCHED: Final = 8192


@dataclass(slots=True)
class _Record:
    since: float
    last: float
    count: int = 0
    wait: float = 0.0
    until: float = 0.0


class Failures:
    """A brake for whoever tries tokens or codes: after ten failures in a minute an address waits,
    for 1 s and twice as long after each further one, 60 s at most.

    Whoever asks beside them waits as long at worst, and so ask only about what is not known to
    be right. An IPv6 network of 64 bits is one address.
    """

    def __init__(self) -> None:
        self._records: Lru[str, _Record] = Lru(_WATCHED)

    def allow(self, address: str, now: float) -> float:
        """Seconds to wait; 0 for none."""
        record = self._records.get(network(address))
        return min(max(0.0, record.until - now), _LONGEST) if record is not None else 0.0

    def failed(self, address: str, now: float) -> None:
        """Something was wrong that came from there."""
        name = network(address)
        record = self._records.get(name)
        if record is None or now - record.last > _CALM:
            record = _Record(now, now)
            self._records.put(name, record)
        record.last = now
        if not record.wait and now - record.since > _SPAN:
            record.since, record.count = now, 0
        record.count += 1
        if record.count >= _TRIES:
            record.wait = min(2 * record.wait, _LONGEST) or 1.0
            record.until = now + record.wait
