"""An upstream that says exactly the bytes it is told to, and records what it hears.

Each connection plays its own script, in the order of arrival; the last script serves all further
connections. A step is bytes to send, or one of the functions below. When its script is over, a
connection stays open and listens until the other side closes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias


class Peer:
    """One accepted connection; ``gone`` is set when the other side has closed or reset it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.received = bytearray()
        self.sent = 0
        self.gone = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def listen(self) -> None:
        while data := await self.reader.read(65536):
            self.received += data


Step: TypeAlias = bytes | Callable[[Peer], Awaitable[None]]
Script: TypeAlias = Sequence[Step]


async def request(peer: Peer) -> None:
    """Read a request's head."""
    peer.received += await peer.reader.readuntil(b"\r\n\r\n")


def body(size: int) -> Step:
    """Read ``size`` further bytes."""

    async def step(peer: Peer) -> None:
        peer.received += await peer.reader.readexactly(size)

    return step


def through(mark: bytes) -> Step:
    """Read up to and with ``mark``."""

    async def step(peer: Peer) -> None:
        peer.received += await peer.reader.readuntil(mark)

    return step


def setting(event: asyncio.Event) -> Step:
    """Tell the test that the script has come this far."""

    async def step(peer: Peer) -> None:
        event.set()

    return step


def until(event: asyncio.Event) -> Step:
    """Wait for the test."""

    async def step(peer: Peer) -> None:
        await event.wait()

    return step


def endless(data: bytes) -> Step:
    """Send ``data`` again and again until nobody takes it."""

    async def step(peer: Peer) -> None:
        while True:
            await peer.send(data)

    return step


async def close(peer: Peer) -> None:
    """Close; with unread bytes of the other side, the kernel makes that a reset."""
    peer.writer.close()


async def finish(peer: Peer) -> None:
    """Close our direction only."""
    peer.writer.write_eof()


async def reset(peer: Peer) -> None:
    """Close with a TCP reset, after what was sent has left."""
    await peer.writer.drain()
    linger = struct.pack("ii", 1, 0)
    peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    peer.writer.transport.abort()


class ScriptedUpstream:
    """A listening upstream; ``peers`` are its connections so far, ``refuse`` ends the listening."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self._scripts = scripts
        self.peers: list[Peer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.refuse: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._play(peer, script))
        self._tasks.add(task)

    async def _play(self, peer: Peer, script: Script) -> None:
        try:
            for step in script:
                if isinstance(step, bytes):
                    await peer.send(step)
                else:
                    await step(peer)
            await peer.listen()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            peer.gone.set()
            peer.writer.transport.abort()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def upstream(
    *scripts: Script,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    path: Path | None = None,
) -> AsyncIterator[ScriptedUpstream]:
    """A scripted upstream on a port of its own, unless one is named, or on a unix socket."""
    scripted = ScriptedUpstream(scripts)
    accept, limit = scripted._accept, 2**20
    if path is not None:
        server = await asyncio.start_unix_server(accept, path, limit=limit)
    else:
        server = await asyncio.start_server(accept, host, port, limit=limit, ssl=tls)
        scripted.port = server.sockets[0].getsockname()[1]
    scripted.refuse = server.close
    try:
        yield scripted
    finally:
        server.close()
        await scripted.stop()
