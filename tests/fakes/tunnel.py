"""A small honest forward proxy: CONNECT to a host and a port, then bytes both ways."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Tunnel:
    """``asked`` are the request heads so far, in order; ``carried`` all that clients sent after
    them. ``credentials`` (user:password) are wanted where they are given; ``says`` is answered
    instead of connecting.
    """

    def __init__(self, credentials: str = "", says: bytes = b"") -> None:
        self._wanted = b""
        if credentials:
            encoded = base64.b64encode(credentials.encode())
            self._wanted = b"\r\nProxy-Authorization: Basic " + encoded + b"\r\n"
        self._says = says
        self._tasks: set[asyncio.Task[None]] = set()
        self.asked: list[bytes] = []
        self.carried = bytearray()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(head)
            if self._says:
                writer.write(self._says)
                await reader.read()
            elif self._wanted not in head:
                writer.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
                await reader.read()
            else:
                await self._connect(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _connect(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        method, target, _ = head.split(b" ", 2)
        assert method == b"CONNECT", head
        host, _, port = target.decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        try:
            await asyncio.gather(self._pump(reader, back, self.carried), self._pump(there, writer))
        finally:
            back.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        record: bytearray | None = None,
    ) -> None:
        while data := await source.read(65536):
            if record is not None:
                record += data
            sink.write(data)
            await sink.drain()
        sink.transport.abort()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def tunnel(credentials: str = "", says: bytes = b"") -> AsyncIterator[Tunnel]:
    """A proxy on a port of its own; ``credentials`` as user:password."""
    made = Tunnel(credentials, says)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.stop()
