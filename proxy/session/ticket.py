"""The session on a shelf, sealed with a key that only the ticket in the browser's cookie holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from proxy.crypto.ticket import Ticket, Tickets
from proxy.errors import Reason, StoreError
from proxy.model import Session
from proxy.session import codec
from proxy.session.shelf import Shelf
from proxy.session.store import Kept

_HOPS: Final = 1000
"""More than a session's identity changes: whoever comes late must reach its end, to end it."""
_TRIES: Final = 64
"""Each time that one fails, somebody else's write has taken place."""
_SESSION: Final = b"s"
_POINTER: Final = b"p"
"""What a record holds, by its first byte: a session, or the ticket that followed on this one."""
_UNREADABLE: Final = "a session record cannot be read, and counts as no session"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Way:
    """To the ticket that followed; whoever takes it after ``until`` is late."""

    ticket: Ticket
    until: float


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Record:
    """Whose it is, as it lies on the shelf, and what it holds if it can be read."""

    ticket: Ticket
    raw: bytes
    held: Session | _Way | None
    is_late: bool = False


class TicketStore:
    """A Store where the value is a signed ticket, and the shelf holds the sealed record.

    A dump of the shelf opens nothing: the key is derived from the ticket, of which the shelf
    knows a hash. ``lifetime`` and ``idle`` are limits in seconds since the sign-in and the last
    use (``idle`` 0 sets none). A session whose identity changes gets a new ticket; the old one
    leads to it for ``grace`` seconds, and afterwards tells on whoever still has it
    (``Kept.is_late``). ``tell`` gets a warning for the log when a record cannot be read.
    """

    forgets = True

    def __init__(
        self,
        shelf: Shelf,
        tickets: Tickets,
        lifetime: float,
        idle: float,
        tell: Callable[[str], None],
        grace: float,
    ) -> None:
        self._shelf = shelf
        self._tickets = tickets
        self._lifetime = lifetime
        self._idle = idle
        self._tell = tell
        self._grace = grace

    async def load(self, value: str, now: float) -> Kept | None:
        """Late is who comes with a ticket whose time to lead to the next one is over."""
        ticket = self._tickets.read(value)
        record = await self._follow(ticket, now) if ticket is not None else None
        return self._kept(record, now) if record is not None else None

    async def save(self, session: Session, now: float) -> Kept:
        ticket = self._tickets.issue()
        await self._put(ticket, session, now)
        return Kept(session, ticket.text)

    async def renew(self, kept: Kept, session: Session, now: float) -> Kept | None:
        """Where another request has refreshed the session meanwhile, that one's facts stand,
        unless ``session`` was refreshed itself."""
        ticket = self._tickets.read(kept.value)
        if ticket is None or self._end(session) <= now:
            return None
        for _ in range(_TRIES):
            record = await self._get(ticket)
            if record is None or record.held is None:
                return None
            if isinstance(record.held, _Way):
                newest = await self._follow(record.held.ticket, now)
                return self._kept(newest, now) if newest is not None else None
            if _stands(record.held, kept.session, session):
                return self._kept(record, now)
            if session.identity != record.held.identity:
                # Whoever may do other things than before holds another secret (ASVS 7.2.4).
                renewed = await self._move(record, session, now)
            else:
                renewed = await self._swap(record, session)
            if renewed is not None:
                return renewed
        raise StoreError(Reason.STORE_UNAVAILABLE, "a session is renewed by too many at once")

    async def drop(self, value: str) -> None:
        ticket = self._tickets.read(value)
        for _ in range(_TRIES):
            record = await self._get(ticket) if ticket is not None else None
            if record is None:
                return
            # What replaces it meanwhile may be a pointer, to be followed: nothing escapes.
            if await self._shelf.drop_if(_key(record.ticket.handle), record.raw):
                ticket = record.held.ticket if isinstance(record.held, _Way) else None

    async def discard(self, handle: str) -> None:
        if handle:
            await self._shelf.drop(_key(handle))

    def handle(self, value: str) -> str:
        ticket = self._tickets.read(value)
        return ticket.handle if ticket is not None else ""

    async def ready(self) -> None:
        await self._shelf.ready()

    async def _swap(self, record: _Record, session: Session) -> Kept | None:
        """Keep ``session`` in its place; None if the record is another by now."""
        ticket = record.ticket
        box, end = _seal(ticket, session), self._end(session)
        done = await self._shelf.swap(_key(ticket.handle), record.raw, box, end)
        return Kept(session, ticket.text) if done else None

    async def _move(self, record: _Record, session: Session, now: float) -> Kept | None:
        """The same behind a new ticket, to which the old one leads for a while."""
        old, new = record.ticket, self._tickets.issue()
        await self._put(new, session, now)
        pointer = old.seal(_POINTER + f"{int(now + self._grace)} {new.text}".encode())
        if await self._shelf.swap(_key(old.handle), record.raw, pointer, self._last(session)):
            return Kept(session, new.text)
        await self.discard(new.handle)
        return None

    async def _put(self, ticket: Ticket, session: Session, now: float) -> None:
        box, end = _seal(ticket, session), self._end(session)
        if end > now:
            await self._shelf.put(_key(ticket.handle), box, end)

    async def _follow(self, ticket: Ticket, now: float) -> _Record | None:
        """The record that the pointers lead to."""
        is_late = False
        for _ in range(_HOPS + 1):
            record = await self._get(ticket)
            if record is None or not isinstance(record.held, _Way):
                return replace(record, is_late=is_late) if record is not None else None
            ticket, is_late = record.held.ticket, is_late or record.held.until < now
        return None

    async def _get(self, ticket: Ticket) -> _Record | None:
        [raw] = await self._shelf.get(_key(ticket.handle))
        return _Record(ticket, raw, self._read(ticket, raw)) if raw is not None else None

    def _read(self, ticket: Ticket, raw: bytes) -> Session | _Way | None:
        data = ticket.open(raw) or b""
        kind, content = data[:1], data[1:]
        held: Session | _Way | None = None
        if kind == _SESSION:
            held = codec.load(content)
        elif kind == _POINTER:
            until, _, text = content.decode("ascii", "replace").partition(" ")
            following = self._tickets.read(text)
            held = _Way(following, float(until)) if following and until.isdecimal() else None
        if held is None:
            self._tell(_UNREADABLE)
        return held

    def _kept(self, record: _Record, now: float) -> Kept | None:
        session = record.held
        if not isinstance(session, Session) or self._end(session) <= now:
            return None
        return Kept(session, record.ticket.text, record.is_late)

    def _end(self, session: Session) -> float:
        end = self._last(session)
        return min(end, session.seen_at + self._idle) if self._idle else end

    def _last(self, session: Session) -> float:
        """However it is used, it does not live longer."""
        return min(session.expires_at, session.created_at + self._lifetime)


def _key(handle: str) -> str:
    return f"session:{handle}"


def _seal(ticket: Ticket, session: Session) -> bytes:
    return ticket.seal(_SESSION + codec.dump(session))


def _stands(found: Session, known: Session, wanted: Session) -> bool:
    """Is what was ``found`` newer than what ``wanted`` makes of the session as it was ``known``?"""
    if wanted.refresh_at != known.refresh_at:
        return False
    # Else somebody's refreshed tokens would be lost for another's minute of use.
    return found.refresh_at != known.refresh_at or (
        found != known and found.seen_at >= wanted.seen_at
    )
