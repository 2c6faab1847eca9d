"""A shelf in memory: the whole promise of proxy/session/shelf.py, and a switch to fail."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from proxy.errors import Reason, StoreError
from proxy.session.shelf import Heard, Only, Share


@dataclass
class _Thing:
    """A value, or a set (members and their scores), until its time."""

    until: float
    value: bytes | None = None
    members: dict[str, float] = field(default_factory=dict)


class MemoryShelf:
    """Shared by all who are handed it, as a server is; whoever waits for it lets others go first.

    ``down`` makes every call fail as a lost server would; once it is up again, all who listen
    are told that they may have missed something.
    """

    def __init__(self, clock: Callable[[], float], trust: float = 1.0) -> None:
        self.trust = trust
        self.asked = 0
        """Calls so far."""
        self.calls_left = math.inf
        """After so many more it goes down by itself."""
        self._clock = clock
        self._down = False
        self._things: dict[str, _Thing] = {}
        self._listeners: list[Heard] = []

    @property
    def down(self) -> bool:
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        was, self._down = self._down, down
        self.calls_left = math.inf
        if was and not down:
            self._tell(None)

    def left(self) -> list[str]:
        """The keys of everything that lives now, in order."""
        return sorted(key for key in list(self._things) if self._living(key))

    def dump(self) -> bytes:
        """Everything that lies here, keys, values and members, as a thief would have it."""
        words = [
            key.encode() + b"\n" + (thing.value or b"") + "\n".join(thing.members).encode()
            for key, thing in self._things.items()
        ]
        return b"\n".join(words)

    async def get(self, *keys: str) -> list[bytes | None]:
        await self._reach()
        return [self._value(key) for key in keys]

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        await self._reach()
        lives = self._living(key) is not None
        if (only is Only.ABSENT and lives) or (only is Only.PRESENT and not lives):
            return False
        self._things[key] = _Thing(until, value)
        return True

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        await self._reach()
        if self._value(key) != old:
            return False
        self._things[key] = _Thing(until, new)
        return True

    async def drop(self, *keys: str) -> None:
        await self._reach()
        for key in keys:
            self._things.pop(key, None)

    async def drop_if(self, key: str, value: bytes) -> bool:
        await self._reach()
        if self._value(key) != value:
            return False
        del self._things[key]
        return True

    async def count(self, key: str, by: int, until: float) -> int:
        await self._reach()
        return self._count(key, by, until)

    async def take(self, *shares: Share) -> list[bool]:
        await self._reach()
        return [self._take(share) for share in shares]

    def _count(self, key: str, by: int, until: float, most: float = math.inf) -> int:
        thing = self._living(key)
        had = thing.value if thing is not None else None
        if thing is None or had is None or not re.fullmatch(rb"-?[0-9]{1,18}", had):
            thing, had = _Thing(until), b"0"
        total = int(had) + by
        if total <= most:
            thing.value = b"%d" % total
            self._things[key] = thing
        return total

    def _take(self, share: Share) -> bool:
        if not share.holder:
            return self._count(share.key, 1, share.until, share.most) <= share.most
        thing = self._living(share.key)
        if thing is None or thing.value is not None:
            thing = _Thing(share.until)
        now = self._clock()
        thing.members = {name: end for name, end in thing.members.items() if end > now}
        if share.holder not in thing.members and len(thing.members) >= share.most:
            return False
        thing.members[share.holder] = share.until
        thing.until = max(thing.until, share.until)
        self._things[share.key] = thing
        return True

    async def add(self, key: str, member: str, score: float, until: float) -> None:
        await self._reach()
        thing = self._living(key)
        if thing is None or thing.value is not None:
            thing = self._things[key] = _Thing(until)
        thing.until = max(thing.until, until)
        thing.members[member] = score

    async def remove(self, key: str, *members: str) -> None:
        await self._reach()
        thing = self._living(key)
        if thing is None or thing.value is not None:
            return
        for member in members:
            thing.members.pop(member, None)
        if not thing.members:
            del self._things[key]

    async def members(self, key: str) -> list[str]:
        await self._reach()
        thing = self._living(key)
        found = thing.members if thing is not None else {}
        return sorted(found, key=lambda member: (found[member], member))

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        await self._reach()
        for key in [key for key in self._things if key.startswith(prefix)]:
            await self._reach()
            if self._living(key) is not None:
                yield key

    async def publish(self, message: bytes) -> None:
        await self._reach()
        self._tell(message)

    async def listen(self, heard: Heard) -> None:
        self._listeners.append(heard)
        heard(None)  # whatever came before
        try:
            await asyncio.Event().wait()
        finally:
            self._listeners.remove(heard)

    async def ready(self) -> None:
        await self._reach()

    async def close(self) -> None:
        """Nothing to let go of."""

    def _tell(self, message: bytes | None) -> None:
        for heard in list(self._listeners):
            heard(message)

    def _value(self, key: str) -> bytes | None:
        thing = self._living(key)
        return thing.value if thing is not None else None

    def _living(self, key: str) -> _Thing | None:
        thing = self._things.get(key)
        if thing is not None and thing.until <= self._clock():
            del self._things[key]
            return None
        return thing

    async def _reach(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        self.calls_left -= 1
        if self.calls_left < 0:
            self._down = True
        if self._down:
            raise StoreError(Reason.STORE_UNAVAILABLE, "switched off by the test")
