"""Cards: what is known of each session that lives, to see it and to end it from afar."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.model import Session
from proxy.session.shelf import Shelf

_VERSION: Final = 1
_SID: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_BROWSER: Final = 200
_AT_ONCE: Final = 100
_FAR: Final = 1e12


def session_tag(session_id: str) -> str:
    """The session's public name (``sid``): tells nothing about the cookie."""
    return hashlib.sha256(b"auth-proxy/sid/" + session_id.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Card:
    """One session. ``sid`` is its public name; ``handle`` is what its store discards it by.

    Times are Unix seconds. ``browser`` is the User-Agent of the sign-in, ``address`` that of the
    client.
    """

    sid: str
    session_id: str = field(repr=False)
    handle: str = field(repr=False)
    issuer: str
    subject: str
    user: str
    email: str
    provider_sid: str
    created_at: float
    expires_at: float
    seen_at: float
    browser: str = ""
    address: str = ""

    @classmethod
    def of(cls, session: Session, handle: str, browser: str = "", address: str = "") -> Card:
        """The card of ``session``; ``browser`` is cut, and loses what cannot be shown."""
        who = session.identity
        return cls(
            sid=session_tag(session.id),
            session_id=session.id,
            handle=handle,
            issuer=who.issuer,
            subject=who.subject,
            user=who.user,
            email=who.email,
            provider_sid=session.provider_sid,
            created_at=session.created_at,
            expires_at=session.expires_at,
            seen_at=session.seen_at,
            browser="".join(filter(str.isprintable, browser))[:_LONGEST_BROWSER],
            address=address,
        )

    def shown(self) -> dict[str, object]:
        """For administrators: all but what would open or discard the session."""
        return {
            "sid": self.sid,
            "iss": self.issuer,
            "sub": self.subject,
            "user": self.user,
            "email": self.email,
            "provider_sid": self.provider_sid,
            "browser": self.browser,
            "address": self.address,
            "started_at": int(self.created_at),
            "last_used_at": int(self.seen_at),
            "expires_at": int(self.expires_at),
        }


_TIMES: Final = frozenset({"created_at", "expires_at", "seen_at"})
_NAMES: Final = tuple(each.name for each in fields(Card))


class Cards:
    """Keeps cards on the shelf, sealed, and finds those of a person or of a provider's session.

    ``idle``: seconds after which a session that nobody uses has ended; 0 for never. A card goes
    with its session. Everything raises StoreError.
    """

    def __init__(
        self, shelf: Shelf, sealer: Sealer, pseudonyms: Pseudonyms, idle: float = 0.0
    ) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._pseudonyms = pseudonyms
        self._idle = idle

    async def put(self, card: Card, now: float) -> None:
        """Keep the card, or newer facts on it, until the session's end."""
        # The card comes first: whoever meets a name in a set without a card takes the name out.
        box = self._sealer.seal(_dump(card), now).encode()
        await self._shelf.put(_key(card.sid), box, self._end(card))
        for names in self._sets(card):
            await self._shelf.add(names[0], card.sid, card.created_at, card.expires_at)

    async def drop(self, card: Card) -> None:
        """Leave nothing of it."""
        await self._shelf.drop(_key(card.sid))
        for names in self._sets(card):
            for name in names:
                await self._shelf.remove(name, card.sid)

    async def get(self, sid: str, now: float) -> Card | None:
        """The card of one session, whatever text ``sid`` is."""
        if not _SID.fullmatch(sid):
            return None
        [(_, card, _)] = await self._read([sid], now)
        return card

    async def of_person(self, issuer: str, subject: str, now: float) -> list[Card]:
        """All sessions of a person, the oldest first."""
        found = await self._of(self._person(issuer, subject), now)
        return [card for card in found if (card.issuer, card.subject) == (issuer, subject)]

    async def of_provider_session(self, issuer: str, provider_sid: str, now: float) -> list[Card]:
        """All sessions that were begun within one session at the provider, the oldest first."""
        found = await self._of(self._provider(issuer, provider_sid), now)
        whose = (issuer, provider_sid)
        return [card for card in found if (card.issuer, card.provider_sid) == whose]

    async def all(self, now: float) -> AsyncIterator[Card]:
        """Every session, in no order; one that begins or ends meanwhile may be missing."""
        seen: set[str] = set()
        batch: list[str] = []
        async for key in self._shelf.keys(_key("")):
            sid = key.removeprefix(_key(""))
            if sid in seen or not _SID.fullmatch(sid):
                continue
            seen.add(sid)
            batch.append(sid)
            if len(batch) == _AT_ONCE:
                for card in await self._living(batch, now):
                    yield card
                batch = []
        for card in await self._living(batch, now):
            yield card

    async def _living(self, sids: list[str], now: float) -> list[Card]:
        return [card for _, card, _ in await self._read(sids, now) if card is not None]

    async def _of(self, names: Iterable[str], now: float) -> list[Card]:
        """The cards that the sets name; names without a card are taken out."""
        found: dict[str, Card] = {}
        for name in names:
            sids = [sid for sid in await self._shelf.members(name) if sid not in found]
            gone = []
            for sid, card, is_there in await self._read(sids, now):
                if card is not None:
                    found[sid] = card
                elif not is_there:  # one that is sealed with a key we lack is somebody's still
                    gone.append(sid)
            if gone:
                await self._shelf.remove(name, *gone)
        return sorted(found.values(), key=lambda card: (card.created_at, card.sid))

    async def _read(self, sids: list[str], now: float) -> list[tuple[str, Card | None, bool]]:
        """For each: the card, if it can be read; and whether anything is there."""
        boxes = await self._shelf.get(*map(_key, sids)) if sids else []
        return [
            (sid, self._open(sid, box, now) if box is not None else None, box is not None)
            for sid, box in zip(sids, boxes, strict=True)
        ]

    def _open(self, sid: str, box: bytes, now: float) -> Card | None:
        # How long a card is good for, the shelf knows.
        data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf)
        card = _load(data) if data is not None else None
        # Boxes that somebody moved under another key are nothing.
        return card if card is not None and card.sid == sid and self._end(card) > now else None

    def _end(self, card: Card) -> float:
        if not self._idle:
            return card.expires_at
        return min(card.expires_at, card.seen_at + self._idle)

    def _sets(self, card: Card) -> list[tuple[str, ...]]:
        """The keys of the sets that name this card, each under all pseudonyms."""
        sets = [self._person(card.issuer, card.subject)]
        if card.provider_sid:
            sets.append(self._provider(card.issuer, card.provider_sid))
        return sets

    def _person(self, issuer: str, subject: str) -> tuple[str, ...]:
        names = self._pseudonyms.of("person", issuer, subject)
        return tuple(f"person:{name}" for name in names)

    def _provider(self, issuer: str, provider_sid: str) -> tuple[str, ...]:
        names = self._pseudonyms.of("provider", issuer, provider_sid)
        return tuple(f"provider:{name}" for name in names)


def _key(sid: str) -> str:
    return f"card:{sid}"


def _dump(card: Card) -> bytes:
    values = [getattr(card, name) for name in _NAMES]
    return json.dumps([_VERSION, *values], separators=(",", ":")).encode()


def _load(data: bytes) -> Card | None:
    """The card that ``_dump`` wrote, or None for anything else."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, list) or len(document) != len(_NAMES) + 1:
        return None
    version, *values = document
    facts = dict(zip(_NAMES, values, strict=True))
    good = version == _VERSION and all(_fits(name, value) for name, value in facts.items())
    return Card(**facts) if good else None


def _fits(name: str, value: Any) -> bool:
    if name in _TIMES:
        return type(value) in (int, float) and 0 <= value < _FAR
    return isinstance(value, str)
