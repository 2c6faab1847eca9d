"""The promise of whatever keeps small facts for every process and replica: Redis, or SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Only(Enum):
    """When a ``put`` takes place."""

    ALWAYS = "always"
    ABSENT = "only where nothing lives under the key"
    PRESENT = "only where something still does"


@dataclass(frozen=True, slots=True)
class Share:
    """One of ``most`` shares that there are under ``key``.

    Without a ``holder`` it is counted, and nobody's again when the counter ends. With one it is
    the holder's until then, or until it is removed from the set under the key.
    """

    key: str
    most: int
    until: float
    holder: str = ""


Heard = Callable[[bytes | None], None]
"""Told of each message; of None when some may have been missed."""


class Shelf(Protocol):
    """Small values under keys, each until its time, shared by all who open the same shelf.

    Keys are ASCII text, values bytes, times Unix seconds by our own clock. A key belongs to one
    value, one counter or one set, never to two of them. Everything raises StoreError when it
    cannot be done, which is not the same as "nothing there"; what lies under a key but is no value
    of ours (another type) is nothing.
    """

    trust: float
    """Seconds that an answer may be relied on without asking again, for all who ``listen``."""

    async def get(self, *keys: str) -> list[bytes | None]:
        """The values, in the keys' order; None for each that is absent or past its time."""

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        """Keep ``value`` until then; returns whether it was done. Atomic."""

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        """``put`` where ``old`` lies there still; returns whether it did. Atomic."""

    async def drop(self, *keys: str) -> None:
        """Remove values or whole sets, if there."""

    async def drop_if(self, key: str, value: bytes) -> bool:
        """``drop`` where ``value`` lies there still; returns whether it did. Atomic."""

    async def count(self, key: str, by: int, until: float) -> int:
        """Add to a counter, which lives until the first ``until``; returns the sum. Atomic."""

    async def take(self, *shares: Share) -> list[bool]:
        """Take each share that is left, in one go; returns which were. Each is atomic, not all
        of them together. A holder's own share is always left, and is prolonged."""

    async def add(self, key: str, member: str, score: float, until: float) -> None:
        """Put ``member`` into the set, or give it a new score. The set lives until its last
        ``until``."""

    async def remove(self, key: str, *members: str) -> None:
        """Take members out of a set; the last one takes the set with it."""

    async def members(self, key: str) -> list[str]:
        """A set's members by score, lowest first."""

    def keys(self, prefix: str) -> AsyncIterator[str]:
        """Keys that begin so, in no order, each at least once if it was there all the while."""

    async def publish(self, message: bytes) -> None:
        """Tell everybody who listens, ourselves too."""

    async def listen(self, heard: Heard) -> None:
        """Tell ``heard`` of every message, until cancelled. Faults are mended inside: ``heard``
        gets None each time that messages may have been missed."""

    async def ready(self) -> None:
        """Return if it can answer."""

    async def close(self) -> None:
        """Let go of connections and files."""
