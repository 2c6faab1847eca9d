"""A request's body on its way to the upstream, beside the response."""

from __future__ import annotations

import asyncio

from proxy.errors import BadRequest, ProxyError, Reason
from proxy.wire.connection import Connection
from proxy.wire.http1 import LAST_CHUNK, chunk
from proxy.wire.message import Body


class Upload:
    """Sends what follows ``body.ready``; begins at once.

    The client is not read while the upstream does not read (for at most ``idle_timeout``). When
    the body is through, the upstream has ``response_timeout`` to begin its answer. A body that
    fails breaks the exchange with its error.
    """

    def __init__(
        self, connection: Connection, body: Body, response_timeout: float, idle_timeout: float
    ) -> None:
        self._connection = connection
        self._body = body
        self._response_timeout = response_timeout
        self._idle_timeout = idle_timeout
        connection.uploads()
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_done(self) -> bool:
        """Whether the whole body has been taken from the client."""
        return self._connection.whole

    def cancel(self) -> None:
        """Take no more of the client's body."""
        self._task.cancel()

    async def stop(self) -> None:
        """Let go of the client's body; the connection was released before."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))

    def cut(self) -> None:
        """Send no more, but leave the connection open for the response."""
        self.cancel()
        self._connection.uploading = False

    async def _run(self) -> None:
        connection = self._connection
        try:
            await self._send()
        except ProxyError as error:
            connection.fail(error)
        except Exception as error:
            words = f"the request's body broke: {error.__class__.__name__}"
            broken = BadRequest(Reason.BAD_BODY, words)
            broken.__cause__ = error
            connection.fail(broken)

    async def _send(self) -> None:
        """Send until the body ends, or the upstream closes."""
        connection, length = self._connection, self._body.length
        sent = len(self._body.ready)
        async for data in self._body.chunks:
            if not data:
                continue
            sent += len(data)
            if length is not None and sent > length:
                raise BadRequest(Reason.BAD_BODY, "a body longer than its Content-Length")
            if not connection.send(chunk(data) if length is None else data):
                return
            if sent == length:
                break
            await connection.drained(self._idle_timeout)
        else:
            if length is not None:
                raise BadRequest(Reason.BAD_BODY, "a body shorter than its Content-Length")
            if not connection.send(LAST_CHUNK):
                return
        answered = connection.reader.head is not None
        connection.uploaded(self._idle_timeout if answered else self._response_timeout)
