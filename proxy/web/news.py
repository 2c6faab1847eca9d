"""What one worker learns and all must know at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_KEPT: Final = 131_072


class Topic(StrEnum):
    """What happened to ``News.key``."""

    ENDED = "ended"  # a session, by its id
    USED = "used"  # a sign-in attempt, by its tag


@dataclass(frozen=True, slots=True)
class News:
    """Of no interest after ``until`` (Unix seconds): then nobody accepts the thing anyhow."""

    topic: Topic
    key: str
    until: float

    def message(self) -> dict[str, object]:
        return {"news": str(self.topic), "key": self.key, "until": self.until}

    @classmethod
    def read(cls, message: Mapping[str, object]) -> News:
        """The news in a message of a channel. Raises ValueError."""
        key, until = message.get("key"), message.get("until")
        if not isinstance(key, str) or not isinstance(until, int | float):
            raise ValueError("news without key or time")
        return cls(Topic(str(message.get("news"))), key, float(until))


class Archive:
    """The news that still matter, for workers that come later; the oldest make room."""

    def __init__(self, size: int = _KEPT) -> None:
        self._size = size
        self._news: OrderedDict[tuple[Topic, str], News] = OrderedDict()

    def keep(self, news: News, now: float) -> None:
        """Remember ``news``; forget what is old enough (about: in the order of arrival)."""
        self._news[news.topic, news.key] = news
        while self._news:
            oldest = next(iter(self._news.values()))
            if oldest.until >= now and len(self._news) <= self._size:
                return
            self._news.popitem(last=False)

    def live(self, now: float) -> tuple[News, ...]:
        """What is to be known now, oldest first."""
        return tuple(news for news in self._news.values() if news.until >= now)
