"""The client's side of an answer in the slow lane: what has gone out, what comes of a body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from proxy.errors import BadRequest, Reason
from proxy.web.connection import ClientConnection
from proxy.web.server import SlowLane
from proxy.web.visit import Visit
from proxy.wire.message import Body, whole_body


class Sent(web.StreamResponse):
    """Tells aiohttp that the answer has gone out already, byte by byte."""

    def __init__(self, status: int, *, reusable: bool) -> None:
        super().__init__(status=status)
        self._reusable = reusable

    @property
    def keep_alive(self) -> bool:
        return self._reusable

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


def stream_of(visit: Visit) -> web.BaseRequest:
    """aiohttp's view of the request: the slow lane always has one."""
    return cast(web.BaseRequest, visit.stream)


def connection_of(visit: Visit) -> ClientConnection:
    """The client's connection."""
    return cast(SlowLane, stream_of(visit).protocol).connection


def read_body(visit: Visit, limit: int, patience: float) -> Body | None:
    """The request's body as it arrives; None when there is none. ``limit`` in bytes, 0: none.

    Raises BadRequest(TOO_LARGE, 413), at once or in the middle, BadRequest(EXPECTATION_FAILED,
    417), and BadRequest(BAD_BODY, 408) after ``patience`` seconds of silence. A client that expects
    100-continue gets it when the body is first wanted, which is after it was let in (RFC 9110
    section 10.1.1).
    """
    request, content = visit.request, stream_of(visit).content
    expect = visit.header("Expect").strip().lower()
    if expect not in ("", "100-continue"):
        raise BadRequest(Reason.EXPECTATION_FAILED, status=417)
    length = request.length
    if length == 0:
        return whole_body(request.method.encode(), b"")
    if limit and length is not None and length > limit:
        raise BadRequest(Reason.TOO_LARGE, f"body of {length} bytes", status=413)
    # What has arrived with the head leaves with the head.
    ready = b"" if expect else content.read_nowait()
    if limit and len(ready) > limit:
        raise BadRequest(Reason.TOO_LARGE, "body beyond the limit", status=413)
    chunks = _chunks(visit, limit, len(ready), bool(expect), patience)
    return Body(length, chunks, ready)


async def _chunks(
    visit: Visit, limit: int, seen: int, expects: bool, patience: float
) -> AsyncIterator[bytes]:
    """What follows ``seen`` bytes of a body."""
    content, connection = stream_of(visit).content, connection_of(visit)
    if expects and connection.http11 and not content.at_eof():
        connection.ask_for_body()
    while True:
        if connection.broken is not None:
            raise connection.broken
        try:
            async with asyncio.timeout(patience):
                chunk = await content.readany()
        except TimeoutError as exc:
            raise BadRequest(Reason.BAD_BODY, "the client stopped sending", status=408) from exc
        except web.RequestPayloadError as exc:
            raise BadRequest(Reason.BAD_BODY, "broken request body") from exc
        if not chunk:
            return
        seen += len(chunk)
        if limit and seen > limit:
            raise BadRequest(Reason.TOO_LARGE, "body beyond the limit", status=413)
        yield chunk
