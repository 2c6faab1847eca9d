"""One exchange, end to end: the request out, the response back as it arrives."""

from __future__ import annotations

from typing import cast

from proxy.errors import ProxyError
from proxy.wire.connection import Connection
from proxy.wire.http1 import LAST_CHUNK, chunk, request_bytes, response_bytes
from proxy.wire.message import (
    Body,
    Downstream,
    Exchanged,
    Headers,
    Render,
    RequestHead,
    ResponseHead,
)
from proxy.wire.pool import Pool
from proxy.wire.upload import Upload

_SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that may be sent twice (RFC 9110 section 9.2.1)."""

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


async def forward(
    pool: Pool, head: RequestHead, body: Body | None, client: Downstream, render: Render
) -> Exchanged:
    """Send a request and stream its response to ``client``, with back-pressure both ways.

    ``render`` gets the upstream's head once and returns the client's headers; framing among them
    is left out, and added here. Raises UpstreamError (or what ``render`` or the body raises)
    before anything is written, BrokenResponse afterwards. When the task is cancelled, the
    upstream's connection closes at once.
    """
    connection, upload = await ask(pool, head, body)
    try:
        return await relay(
            connection, upload, head.method, client, render, pool.limits.idle_timeout
        )
    finally:
        pool.release(connection)
        if upload is not None:
            await upload.stop()


async def ask(
    pool: Pool, head: RequestHead, body: Body | None, upgrade: Headers = ()
) -> tuple[Connection, Upload | None]:
    """Send a request and wait for the response's head; the caller releases and stops.

    A safe request without a body is sent once more, on a new connection, when an idle one turns
    out to have been closed before it answered anything.
    """
    request = request_bytes(head, body, upgrade)
    limits = pool.limits
    may_retry = body is None and head.method in _SAFE
    connection = pool.take_idle() or await pool.acquire()
    while True:
        upload = None
        try:
            connection.begin(request, no_body=head.method == b"HEAD", upgrade=bool(upgrade))
            if body is not None and not body.is_whole:
                upload = Upload(connection, body, limits.response_timeout, limits.idle_timeout)
            while connection.reader.head is None:
                await connection.more(limits.response_timeout)
            return connection, upload
        except BaseException:
            pool.release(connection)
            if upload is not None:
                await upload.stop()
            if not (may_retry and connection.is_stale):
                raise
        may_retry = False
        connection = await pool.acquire(fresh=True)


async def relay(
    connection: Connection,
    upload: Upload | None,
    method: bytes,
    client: Downstream,
    render: Render,
    idle_timeout: float,
) -> Exchanged:
    """Write the response that ``ask`` has waited for to ``client``; see ``forward``."""
    reader = connection.reader
    response = cast(ResponseHead, reader.head)
    if upload is not None and not upload.is_done and response.status >= 300:
        upload.cut()  # an early refusal; a 2xx may be a duplex stream, whose upload goes on
    keep = client.keep_alive and (upload is None or upload.is_done)
    framing, chunked, keep = _framing(
        connection.reader.length, method, response.status, client, keep
    )
    first = response_bytes(response, render(response), framing)
    data, complete = connection.take(), reader.complete
    client.write(first + _framed(data, chunked, complete))
    sent = len(data)
    try:
        while not complete:
            if client.is_paused:
                connection.pause()
                await client.drain()
            if not (reader.buffered or reader.complete):
                await connection.more(idle_timeout)
            data, complete = connection.take(), reader.complete
            sent += len(data)
            if framed := _framed(data, chunked, complete):
                client.write(framed)
    except ProxyError as error:
        raise BrokenResponse(error, response.status, sent) from error
    return Exchanged(response.status, sent, keep)


def _framing(
    length: int | None, method: bytes, status: int, client: Downstream, keep: bool
) -> tuple[list[tuple[bytes, bytes]], bool, bool]:
    """How the client finds the end (RFC 9112 section 6): headers, in chunks?, kept open?"""
    bodyless = method == b"HEAD" or status in (204, 304)
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
