"""The client's connection: response bytes out as they are, request body in as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from proxy.errors import BadRequest, Reason
from proxy.wire.message import Body

_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


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


class Client:
    """Where a response goes (``wire``'s Downstream), over aiohttp's transport.

    Bytes are written straight to the transport: aiohttp would pass header values through
    text and lose what is not UTF-8.
    """

    def __init__(
        self, request: web.BaseRequest, draining: Callable[[], bool], patience: float
    ) -> None:
        self._request = request
        self.patience = patience
        self._draining = draining
        self.http11 = request.version >= aiohttp.HttpVersion11
        self.started = False

    @property
    def keep_alive(self) -> bool:
        """Asked when the response's head is written: by then the process may be stopping."""
        return self._request.keep_alive and not self._draining()

    def write(self, data: bytes) -> None:
        """Queue bytes for the client. Raises ConnectionResetError when it has gone."""
        transport = self._request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self.started = True
        transport.write(data)

    @property
    def is_paused(self) -> bool:
        return self._request.protocol.writing_paused

    async def drain(self) -> None:
        """Wait while the client reads more slowly than we write.

        Raises ConnectionResetError for one that reads nothing for ``patience`` seconds: it
        holds a connection to the upstream that others wait for.
        """
        if self.is_paused:
            try:
                async with asyncio.timeout(self.patience):
                    await self._request.writer.drain()
            except TimeoutError as exc:
                raise ConnectionResetError("the client stopped reading") from exc

    def abort(self) -> None:
        """End the connection so that nobody takes what was sent for the whole."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()


def read_body(request: web.BaseRequest, client: Client, limit: int) -> Body | None:
    """The request's body as it arrives; None when there is none. ``limit`` in bytes, 0: none.

    Raises BadRequest(TOO_LARGE, 413), at once or in the middle, and BadRequest(EXPECTATION_FAILED,
    417). A client that expects 100-continue gets it when the body is first wanted, which is
    after it was let in (RFC 9110 section 10.1.1).
    """
    expect = request.headers.get("Expect", "").strip().lower()
    if expect not in ("", "100-continue"):
        raise BadRequest(Reason.EXPECTATION_FAILED, status=417)
    if not request.body_exists:
        # RFC 9110 section 8.6: these say so when their body is empty.
        return Body(0, _nothing()) if request.method in _WITH_BODY else None
    length = request.content_length
    if limit and length is not None and length > limit:
        raise BadRequest(Reason.TOO_LARGE, f"body of {length} bytes", status=413)
    # What has arrived with the head leaves with the head.
    ready = b"" if expect else request.content.read_nowait()
    if limit and len(ready) > limit:
        raise BadRequest(Reason.TOO_LARGE, "body beyond the limit", status=413)
    return Body(length, _chunks(request, client, limit, len(ready), bool(expect)), ready)


async def _nothing(chunks: tuple[bytes, ...] = ()) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _chunks(
    request: web.BaseRequest, client: Client, limit: int, seen: int, expects: bool
) -> AsyncIterator[bytes]:
    """What follows ``seen`` bytes of a body."""
    if expects and client.http11 and not request.content.at_eof():
        client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        client.started = False
    while True:
        try:
            async with asyncio.timeout(client.patience):
                chunk = await request.content.readany()
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
