"""Endings: which sessions are over, whatever their cookies say, told to everybody at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.strict_json import read_object
from proxy.model import Session
from proxy.session.shelf import Only, Shelf

_VERSION: Final = 1
_LARGEST: Final = 16 * 1024
_TRIES: Final = 8
_FAR: Final = 1e12
SKEW: Final = 120.0
"""Seconds by which the clocks of replicas may differ."""
_REMEMBERED: Final = 4096


class Scope(StrEnum):
    """Whose sessions an ending covers."""

    SESSION = "session"
    PERSON = "person"
    PROVIDER_SESSION = "provider"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Ending:
    """Sessions of ``scope`` and ``key`` that were created up to ``before`` are over.

    All but the one whose id is ``spared``. Nobody need remember it after ``until``, when the
    last of them could not live in any case. Times are Unix seconds.
    """

    scope: Scope
    key: str = field(repr=False)
    before: float
    until: float
    spared: str = field(default="", repr=False)

    @property
    def record(self) -> str:
        """Where it lies on the shelf; one of ``Endings.keys`` for each session that it covers."""
        return _record(self.scope, self.key)

    def message(self) -> bytes:
        """As it is told to others."""
        return _write([self])

    @classmethod
    def read(cls, message: bytes) -> Ending | None:
        """What ``message`` made, or None for anything else."""
        endings = _read(message)
        return endings[0] if len(endings) == 1 else None


class Endings:
    """Keeps endings on the shelf until nothing that they cover can live, and tells of them.

    ``lifetime``: seconds that a session can live at most. Everything that is async raises
    StoreError; an ending that was not told of is kept nevertheless.
    """

    def __init__(self, shelf: Shelf, pseudonyms: Pseudonyms, lifetime: float) -> None:
        self._shelf = shelf
        self._pseudonyms = pseudonyms
        self._lifetime = lifetime
        self._tasks: set[asyncio.Task[None]] = set()
        # Asked for each session at hand, each time that somebody ends something.
        self._names = lru_cache(_REMEMBERED)(self._make_names)

    async def session(self, session_id: str, created_at: float) -> Ending:
        """One session is over, however far its end had been moved in other hands."""
        until = self._until(created_at)
        return await self._end(Ending(Scope.SESSION, session_id, until, until))

    async def token(self, session_id: str, until: float) -> Ending:
        """The session that a token stands for is over; until then nobody may forget it."""
        return await self._end(Ending(Scope.SESSION, session_id, until, until))

    async def person(self, issuer: str, subject: str, now: float, spared: str = "") -> Ending:
        """All sessions of a person are over, but for the one with the id ``spared``."""
        key = self._pseudonyms.of("person", issuer, subject)[0]
        return await self._end(Ending(Scope.PERSON, key, now, self._until(now), spared))

    async def provider_session(
        self, issuer: str, provider_sid: str, now: float, subject: str = ""
    ) -> Ending:
        """All sessions of one session at the provider are over; with ``subject``, only those of
        that person."""
        key = self._provider(issuer, provider_sid, subject)[0]
        return await self._end(Ending(Scope.PROVIDER_SESSION, key, now, self._until(now)))

    async def everybody(self, now: float) -> Ending:
        """All sessions are over."""
        return await self._end(Ending(Scope.EVERYBODY, "", now, self._until(now)))

    def _until(self, begun: float) -> float:
        """When no session from then can live any more, by the slowest of the replicas' clocks."""
        return begun + self._lifetime + SKEW

    async def forget(self, ending: Ending, until: float) -> None:
        """``ending`` need be remembered no longer than until then: all that it covers is gone."""
        if until < ending.until:
            await self._shelf.put(ending.record, ending.message(), until, Only.PRESENT)

    async def is_over(self, session: Session, now: float) -> bool:
        """Does an ending that is kept cover it? Asks the shelf once."""
        for value in await self._shelf.get(*self.keys(session)):
            endings = _read(value) if value is not None else None
            if endings == []:
                return True  # something was ended, and nobody can read what: not permission
            if any(each.until > now and self.covers(each, session) for each in endings or ()):
                return True
        return False

    def covers(self, ending: Ending, session: Session) -> bool:
        """Is the session over by this ending?"""
        if ending.scope is Scope.SESSION:
            return ending.key == session.id
        if session.created_at > ending.before or session.id == ending.spared:
            return False
        return ending.record in self._of(session)

    def keys(self, session: Session) -> tuple[str, ...]:
        """The ``record`` of every ending that could cover it."""
        return (_record(Scope.SESSION, session.id), *self._of(session))

    def _of(self, session: Session) -> tuple[str, ...]:
        who = session.identity
        return self._names(who.issuer, who.subject, session.provider_sid)

    def _make_names(self, issuer: str, subject: str, provider_sid: str) -> tuple[str, ...]:
        people = self._pseudonyms.of("person", issuer, subject)
        names = [_record(Scope.EVERYBODY, ""), *(_record(Scope.PERSON, name) for name in people)]
        if provider_sid:
            for whose in ("", subject):
                found = self._provider(issuer, provider_sid, whose)
                names += (_record(Scope.PROVIDER_SESSION, name) for name in found)
        return tuple(names)

    def _provider(self, issuer: str, provider_sid: str, subject: str = "") -> tuple[str, ...]:
        parts = (issuer, provider_sid, subject) if subject else (issuer, provider_sid)
        return self._pseudonyms.of("provider", *parts)

    async def _end(self, ending: Ending) -> Ending:
        """Whoever asked for it may leave: what was kept is told all the same."""
        task = asyncio.get_running_loop().create_task(self._keep_and_tell(ending))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        await asyncio.shield(task)
        return ending

    async def _keep_and_tell(self, ending: Ending) -> None:
        await self._keep(ending)
        await self._shelf.publish(ending.message())

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even where nobody waits any more

    async def _keep(self, ending: Ending) -> None:
        """Beside what lies there: an ending never undoes another's."""
        key, until = ending.record, ending.until
        for _ in range(_TRIES):
            [old] = await self._shelf.get(key)
            endings = _fewest([*_read(old), ending]) if old is not None else [ending]
            new, until = _write(endings), max(each.until for each in endings)
            if old is None:
                kept = await self._shelf.put(key, new, until, Only.ABSENT)
            else:
                kept = await self._shelf.swap(key, old, new, until)
            if kept:
                return
        # What lies there is no value of ours, and cannot be.
        await self._shelf.put(key, _write([ending]), until)


def _record(scope: Scope, key: str) -> str:
    return f"ended:{scope}:{key}"


def _fewest(endings: Sequence[Ending]) -> list[Ending]:
    """As few as cover the same: the latest one, and the latest that covers what it spares."""
    until = max(ending.until for ending in endings)
    latest, *others = sorted(endings, key=lambda ending: ending.before, reverse=True)
    more = [ending for ending in others if latest.spared and ending.spared != latest.spared]
    return [replace(ending, until=until) for ending in (latest, *more[:1])]


def _write(endings: Sequence[Ending]) -> bytes:
    rows = [[e.scope, e.key, e.before, e.until, e.spared] for e in endings]
    return json.dumps({"v": _VERSION, "ended": rows}, separators=(",", ":")).encode()


def _read(data: bytes) -> list[Ending]:
    """What ``_write`` wrote, or nothing for anything else."""
    try:
        document = read_object(data, _LARGEST)
    except ValueError:
        return []
    rows = document.get("ended") if document.get("v") == _VERSION else None
    if not isinstance(rows, list):
        return []
    return [ending for row in rows if (ending := _read_row(row)) is not None]


def _read_row(row: Any) -> Ending | None:
    if not isinstance(row, list) or len(row) != 5:
        return None
    scope, key, before, until, spared = row
    texts = all(isinstance(text, str) for text in (scope, key, spared))
    times = all(type(time) in (int, float) and 0 <= time < _FAR for time in (before, until))
    if not texts or not times or scope not in tuple(Scope):
        return None
    return Ending(Scope(scope), key, before, until, spared)
