"""A TCP proxy in the way, which fails as networks do; how it fails changes while it runs."""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum
from types import TracebackType
from typing import Self


class Fault(Enum):
    PASS = "everything goes through"
    BLACK_HOLE = "nothing goes through any more, and nobody is told"
    REFUSE = "what is open is reset, and so is what comes"
    TRUNCATE = "of each answer only the first bytes come through, and then the end"


class FaultyTcp:
    """``async with FaultyTcp(port) as network``: 127.0.0.1:``network.port`` leads to ``port``.

    ``fault`` may be set at any time; ``delay`` are seconds that each piece of an answer waits,
    a number or what gives one. What comes while ``BLACK_HOLE`` is never delivered.
    """

    TRUNCATED = 7

    def __init__(self, target: int) -> None:
        self.port = 0
        self.accepted = 0
        self.delay = 0.0
        self._target = target
        self._fault = Fault.PASS
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def fault(self) -> Fault:
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.REFUSE:
            for writer in self._writers:
                _reset(writer)

    @property
    def open(self) -> int:
        """Connections that are open through it."""
        return len(self._writers) // 2

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._fault is Fault.REFUSE:
            _reset(writer)
            return
        task = asyncio.ensure_future(self._joined(reader, writer))
        self._writers.add(writer)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            _reset(writer)
            self._writers.discard(writer)
            return
        pair = {writer, onward}
        self._writers |= pair
        ways = [
            asyncio.ensure_future(self._carry(reader, onward, answers=False)),
            asyncio.ensure_future(self._carry(there, writer, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= pair
            for end in pair:
                end.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while True:
            data = await reader.read(65536)
            if self._fault is Fault.BLACK_HOLE:
                if not data and answers:  # even the end is not told
                    await asyncio.Event().wait()
                if not data:
                    return
                continue
            if answers and data:
                await asyncio.sleep(self.delay)
            if answers and self._fault is Fault.TRUNCATE:
                writer.write(data[: self.TRUNCATED])
                await writer.drain()
                return
            if not data:
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST instead of FIN."""
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
