"""The connections to one Redis server: as many as allowed, each with one asker at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.session.circuit import Circuit
from proxy.session.redis_client import Broken, Command, Line, Reply

IDLE: Final = 30.0
"""Seconds after which an unused connection is not used again: some network may have forgotten it
silently, and to find out would take the whole time limit."""
_DIALS: Final = 4
"""Connections that are begun at once: handshakes of TLS would hold up everybody else."""


@dataclass(frozen=True, slots=True)
class _Resting:
    line: Line
    since: float


class Pool:
    """``exchange`` with whom ``dial`` reaches; ``name`` is for people.

    There is no time limit in here: whoever calls sets one, over everything. To be cancelled by
    it counts as an answer that did not come, so nobody else may cancel.
    """

    def __init__(
        self,
        name: str,
        dial: Callable[[], Awaitable[Line]],
        limit: int,
        tell: Callable[[str], None],
    ) -> None:
        self.generation = 0
        """How often ``give_up`` was called: another server may have answered since."""
        self._name = name
        self._dial = dial
        self._tell = tell
        self._limit = limit
        self._dialing = 0
        self._lines: dict[Line, int] = {}
        self._resting: deque[_Resting] = deque()
        self._waiting: deque[asyncio.Future[Line | None]] = deque()
        self._circuit = Circuit()
        self._closed = self._retired = False

    async def exchange(self, commands: Sequence[Command], *, again: bool) -> list[Reply]:
        """Answers in the commands' order; ``again`` where they may be sent twice.

        Raises Broken: at once while nobody answers there.
        """
        now = asyncio.get_running_loop().time
        if self._closed:
            raise Broken("closed")
        if not self._circuit.admits(now()):
            raise Broken(f"{self._name} did not answer lately, and is not asked for a second")
        try:
            replies = await self._asked(commands, again=again)
        except BaseException as error:
            if self._circuit.failed(now()) and not self._closed:
                words = error.detail if isinstance(error, Broken) else "no answer in time"
                self._tell(f"Redis cannot be asked: {words}; tried again once a second")
            raise
        if self._circuit.answered():
            self._tell(f"Redis answers again: {self._name}")
        return replies

    async def _asked(self, commands: Sequence[Command], *, again: bool) -> list[Reply]:
        line, is_new = await self._taken()
        try:
            return await self._used(line, commands)
        except Broken:
            # One that was used before was closed meanwhile, as its neighbours probably were: a
            # server that was restarted should not cost an error for each.
            self.give_up()
            if is_new or not again:
                raise
        line, _ = await self._taken()
        return await self._used(line, commands)

    async def _taken(self) -> tuple[Line, bool]:
        """A connection that is nobody's, and whether it is new."""
        line = await self._rested()
        if line is None and not self._may_dial():
            waiter: asyncio.Future[Line | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                line = await waiter
            except asyncio.CancelledError:
                if not waiter.cancelled():
                    self._hand_on(waiter.result())
                raise
        elif line is None:
            self._dialing += 1
        if line is not None:
            return line, False
        generation = self.generation
        try:
            line = await self._dial()
            self._lines[line] = generation
        finally:
            self._hand_on(None)
        return line, True

    def _may_dial(self) -> bool:
        return self._dialing < _DIALS and len(self._lines) + self._dialing < self._limit

    def _hand_on(self, line: Line | None) -> None:
        """Give a connection, or the right to dial that was ours, to who waits longest."""
        if line is None:
            self._dialing -= 1
        else:
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_result(line)
                    return
            self._resting.append(_Resting(line, asyncio.get_running_loop().time()))
        self._let_dial()

    def _let_dial(self) -> None:
        while self._waiting and self._may_dial():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._dialing += 1
                waiter.set_result(None)

    async def _rested(self) -> Line | None:
        """The connection used last that is fit for use."""
        loop = asyncio.get_running_loop()
        while self._resting and self._resting[0].since < loop.time() - IDLE:
            self._end(self._resting.popleft().line)
        while self._resting:
            line = self._resting.pop().line
            if not await line.stale():
                return line
            self._end(line)
        return None

    async def _used(self, line: Line, commands: Sequence[Command]) -> list[Reply]:
        try:
            replies = await line.exchange(commands)
        except BaseException:
            self._end(line)
            raise
        if self._retired or self._lines.get(line) != self.generation:
            self._end(line)
        else:
            self._hand_on(line)
        return replies

    def _end(self, line: Line) -> None:
        line.abort()
        if self._lines.pop(line, None) is not None:
            self._let_dial()

    def give_up(self) -> None:
        """Use no connection again that there is now; those in use end with their answer."""
        self.generation += 1
        while self._resting:
            self._end(self._resting.pop().line)

    def retire(self) -> None:
        """Keep no connection open that nobody uses."""
        self._retired = True
        self.give_up()

    def close(self) -> None:
        """End all at once."""
        self._closed = True
        self.retire()
        for line in list(self._lines):
            self._end(line)
