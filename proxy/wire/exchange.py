"""One exchange, driven by events: the request out, the response back as it arrives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from proxy.errors import ProxyError
from proxy.wire.connection import Connection
from proxy.wire.http1 import LAST_CHUNK, chunk, response_bytes
from proxy.wire.message import Body, Downstream, Exchanged, Headers, ResponseHead
from proxy.wire.pool import Pool
from proxy.wire.upload import Upload

BODYLESS = frozenset((204, 304))
_CLOSE = (b"Connection", b"close")
_KEEP = (b"Connection", b"keep-alive")
_CHUNKED = (b"Transfer-Encoding", b"chunked")


class BrokenResponse(Exception):
    """The exchange broke after the head had gone to the client: abort the client's connection.

    Nothing was written that would end the response; ``status`` and ``sent`` are what the client
    got, ``error`` is why no more came.
    """

    def __init__(self, error: ProxyError, status: int, sent: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.status = status
        self.sent = sent


class Stage(Enum):
    """How far an exchange has come."""

    WAITING = "waiting for the response's head"
    BODY = "the body is under way"
    STALLED = "the client does not read"
    UPGRADED = "the upstream has switched protocols"
    DONE = "over"


class Exchange(ABC):
    """Sends a request on ``connection`` and writes its response to ``client``.

    Whoever wants one says in a subclass what the client gets (``render``) and what follows
    (``over``); no callback is kept, so that each is freed when it ends.
    """

    # What most exchanges leave as it is.
    outcome: Exchanged | None = None
    failure: BaseException | None = None
    stage = Stage.WAITING
    _upload: Upload | None = None
    _chunked = _keep = False
    _sent = _status = 0

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        method: bytes,
        client: Downstream,
    ) -> None:
        self.connection = connection
        self._pool = pool
        self._method = method
        self._client = client

    @abstractmethod
    def render(self, head: ResponseHead) -> list[tuple[bytes, bytes]]:
        """The upstream's head → the headers that the client gets; framing is added."""

    @abstractmethod
    def over(self) -> None:
        """Called once, when the connection has been given back.

        Then ``outcome`` is set, or ``failure``: an UpstreamError or what ``render``, the body or
        the client's write raised, before anything was written; BrokenResponse after that. After a
        101 neither is, and the connection is not given back.
        """

    def begin(self, request: bytes, body: Body | None, *, upgrade: bool = False) -> None:
        """Send ``request``, which holds what is ready of ``body``; the rest follows."""
        connection = self.connection
        connection.on_progress = self._progress
        connection.begin(request, self._method == b"HEAD", upgrade)
        if connection.error is not None:
            self._fail(connection.error)
            return
        if body is not None and not body.is_whole:
            limits = self._pool.limits
            self._upload = Upload(connection, body, limits.response_timeout, limits.idle_timeout)
        connection.await_more(self._pool.limits.response_timeout)

    def cancel(self) -> None:
        """Nobody wants the response any more: the upstream's connection closes at once."""
        if self.stage is not Stage.DONE:
            self.stage = Stage.DONE
            self._client.resumed = None
            self.connection.on_progress = None
            self.connection.abort()
            self._release()

    async def uploaded(self) -> None:
        """Wait until the client's body has been let go of."""
        if self._upload is not None:
            await self._upload.stop()

    def _progress(self) -> None:
        """Something has come, or the connection has ended."""
        try:
            if self.stage is Stage.WAITING:
                self._await_head()
            elif self.stage is Stage.BODY or (self.stage is Stage.STALLED and self._is_over):
                self._relay()
        except BaseException as error:
            self._fail(error)

    @property
    def _is_over(self) -> bool:
        return self.connection.reader.complete or self.connection.error is not None

    def _await_head(self) -> None:
        connection = self.connection
        response = connection.reader.head
        if response is None:
            if connection.error is not None:
                self._fail(connection.error)
            else:
                connection.await_more(self._pool.limits.response_timeout)
        elif connection.reader.upgraded:
            self.stage = Stage.UPGRADED
            self.over()
        else:
            self._start(response)

    def _start(self, response: ResponseHead) -> None:
        """Write the head, with what has come of the body."""
        upload, client, reader = self._upload, self._client, self.connection.reader
        if upload is not None and not upload.is_done and response.status >= 300:
            upload.cut()  # an early refusal; a 2xx may be a duplex stream, whose upload goes on
        keep = client.keep_alive and (upload is None or upload.is_done)
        framing, self._chunked, self._keep = _framing(
            reader.length, self._method, response.status, client, keep
        )
        first = response_bytes(response, self.render(response), framing)
        data, complete = self.connection.take(), reader.complete
        client.write(first + _framed(data, self._chunked, complete))
        self._sent = len(data)
        self.stage, self._status = Stage.BODY, response.status
        self._go_on(complete)

    def _relay(self) -> None:
        data, complete = self.connection.take(), self.connection.reader.complete
        if framed := _framed(data, self._chunked, complete):
            self._client.write(framed)
            self._sent += len(data)
        self._go_on(complete)

    def _go_on(self, complete: bool) -> None:
        connection = self.connection
        if complete:
            self.outcome = Exchanged(self._status, self._sent, self._keep)
            self._finish()
        elif connection.error is not None:
            self._fail(connection.error)
        elif self._client.is_paused:
            self.stage = Stage.STALLED
            self._client.resumed = self._resumed
            connection.stall(self._pool.limits.idle_timeout)
        else:
            connection.await_more(self._pool.limits.idle_timeout)

    def _resumed(self) -> None:
        self._client.resumed = None
        if self.stage is Stage.STALLED:
            self.stage = Stage.BODY
            self._progress()

    def _fail(self, error: BaseException) -> None:
        if self.stage is Stage.DONE:
            raise error  # a fault of whoever was told that it is over: for the log
        if self.stage is Stage.STALLED and self.connection.expired:
            error = ConnectionResetError("the client stopped reading")
        if self.stage is not Stage.WAITING and isinstance(error, ProxyError):
            broken = BrokenResponse(error, self._status, self._sent)
            broken.__cause__ = error
            error = broken
        self.failure = error
        self._finish()

    def _finish(self) -> None:
        self.stage = Stage.DONE
        self._client.resumed = None
        self.connection.on_progress = None
        self._release()
        self.over()

    def _release(self) -> None:
        self._pool.release(self.connection)
        if self._upload is not None:
            self._upload.cancel()


def connection_line(keep: bool, http11: bool) -> bytes:
    """What is said about the client's connection: nothing where its version says it."""
    if not keep:
        return b"Connection: close\r\n"
    return b"" if http11 else b"Connection: keep-alive\r\n"


def _framing(
    length: int | None, method: bytes, status: int, client: Downstream, keep: bool
) -> tuple[Headers, bool, bool]:
    """How the client finds the end (RFC 9112 section 6): headers, in chunks?, kept open?"""
    bodyless = method == b"HEAD" or status in BODYLESS
    headers: list[tuple[bytes, bytes]] = []
    chunked = False
    if length is not None:
        if status != 204:
            headers.append((b"Content-Length", b"%d" % length))
    elif not bodyless:
        chunked = client.http11
        if chunked:
            headers.append(_CHUNKED)
        else:
            keep = False
    if not keep:
        headers.append(_CLOSE)
    elif not client.http11:
        headers.append(_KEEP)
    return headers, chunked, keep


def _framed(data: bytes, chunked: bool, complete: bool) -> bytes:
    if not chunked:
        return data
    if not data:
        return LAST_CHUNK if complete else b""
    return chunk(data) + LAST_CHUNK if complete else chunk(data)
