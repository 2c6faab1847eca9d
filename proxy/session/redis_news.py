"""Hearing what other processes publish: a subscription that is mended for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from proxy.session.redis_client import Broken, Line, Refused
from proxy.session.shelf import Heard

_BEAT: Final = 0.25
"""Seconds from one PING to the next."""
_MISSED: Final = 4
"""Beats in a row without a word after which nobody is there. Counted, not timed: where we
ourselves were held up, the words that wait are read before the next beat."""
_SHORTEST, _LONGEST = 0.02, 0.5
"""Seconds before the next attempt: at first, and at most."""


@dataclass(slots=True, eq=False)
class _Pulse:
    missed: int = 0


class News:
    """Messages on ``channel``. ``changed`` is called whenever ``is_heard`` may have changed."""

    def __init__(
        self,
        dial: Callable[[], Awaitable[Line]],
        channel: str,
        patience: float,
        tell: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._dial = dial
        self._channel = channel
        self._patience = patience
        self._tell = tell
        self._changed = changed
        self._listeners = 0
        self._lines: set[Line] = set()
        self._told = ""
        self._closed = False

    @property
    def is_heard(self) -> bool:
        """Whether everybody who listens is subscribed, and somebody does."""
        return 0 < self._listeners == len(self._lines)

    async def listen(self, heard: Heard) -> None:
        """Until cancelled, or closed. ``heard(None)`` as each subscription begins."""
        wait = _SHORTEST
        self._listeners += 1
        self._changed()
        try:
            while not self._closed:
                if await self._heard_one(heard):
                    wait = _SHORTEST
                await asyncio.sleep(wait)
                wait = min(2 * wait, _LONGEST)
        finally:
            self._listeners -= 1
            self._changed()

    async def _heard_one(self, heard: Heard) -> bool:
        """One subscription, as long as it lasts; returns whether there was one."""
        lines: list[Line] = []
        try:
            async with asyncio.timeout(self._patience):
                lines.append(await self._dial())
                await self._subscribe(lines[0])
        except (Broken, TimeoutError):
            for line in lines:
                line.abort()
            return False
        except BaseException:
            for line in lines:
                line.abort()
            raise
        await self._until_lost(lines[0], heard)
        return True

    async def _subscribe(self, line: Line) -> None:
        await line.tell(("SUBSCRIBE", self._channel))
        match await line.hear():
            case [b"subscribe", *_]:
                self._told = ""
            case Refused(code):
                words = f"Redis refused SUBSCRIBE to {self._channel}: {code}"
                if words != self._told:
                    self._told = words
                    self._tell(words)
                raise Broken(words)
            case _:
                raise Broken("an answer that is none to SUBSCRIBE")

    async def _until_lost(self, line: Line, heard: Heard) -> None:
        pulse = _Pulse()
        beat = asyncio.create_task(_beat(line, pulse))
        self._lines.add(line)
        self._changed()
        try:
            heard(None)
            while not self._closed:
                word = await line.hear()
                pulse.missed = 0
                if isinstance(word, list) and word[:1] == [b"message"]:
                    heard(word[2])
        except Broken:
            pass
        finally:
            self._lines.discard(line)
            self._changed()
            line.abort()
            beat.cancel()
            await asyncio.wait([beat])

    def renew(self) -> None:
        """Subscribe anew: messages come from elsewhere now."""
        for line in self._lines:
            line.abort()

    def close(self) -> None:
        """End every subscription, and who listens with it."""
        self._closed = True
        self.renew()


async def _beat(line: Line, pulse: _Pulse) -> None:
    while pulse.missed < _MISSED:
        await asyncio.sleep(_BEAT)
        pulse.missed += 1
        try:
            await line.tell(("PING",))
        except Broken:
            return
    line.abort()
