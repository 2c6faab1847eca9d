"""Reading responses: bytes in, a head and body bytes out. Strict, bounded, without a socket.

llhttp refuses bare CR and LF, NUL, folding, names and lengths that are no such, and Content-Length
beside Transfer-Encoding. What it lets pass and we do not is checked here.
"""

from __future__ import annotations

from typing import cast

import httptools

from proxy.errors import Reason, UpstreamError
from proxy.wire.message import ResponseHead
from proxy.wire.recall import Known, Recall

HEAD_LIMIT = 64 * 1024
"""Bytes in a head, in a trailer section, or in chunk extensions without data between them."""
LINE_LIMIT = 200
INTERIM_LIMIT = 16

RECALLED_SIZE = 16 * 1024
"""Larger reads are not looked up: copying them would cost more than parsing their head."""

_REASON_OCTETS = bytes([9, *range(0x20, 0x7F), *range(0x80, 0x100)])
_BODYLESS = (204, 304)


class _Refused(Exception):
    """Raised in a callback of the parser, to stop it."""


class ResponseReader:
    """Reads the responses of one connection, one after another; ``begin`` comes before each.

    ``is_whole`` marks the usual case: all of it came at once, of a known length, and leaves no
    question.

    ``head`` is set when it is complete, then ``length`` (bytes) or ``chunked`` tell the framing;
    neither means that the end of the stream ends the body. ``excess`` marks bytes that came after
    the response: the connection cannot be trusted any more. After a 101, ``upgraded`` is true and
    all further bytes are raw.
    """

    __slots__ = (
        "_chunks", "_headers", "_interim", "_no_body", "_overhead", "_parser", "_reason",
        "_recall", "_stale", "_upgrade", "buffered", "chunked", "complete", "excess", "head",
        "is_whole", "keep_alive", "length", "received", "upgraded",
    )  # fmt: skip

    def __init__(self, recall: Recall | None = None) -> None:
        self._stale = True
        self._recall = recall or Recall()
        self.begin()

    def begin(self, no_body: bool = False, upgrade: bool = False) -> None:
        """Make ready for the next response: to a HEAD request (``no_body``), to an ``upgrade``."""
        if self._stale:
            self._parser = httptools.HttpResponseParser(self)
        # llhttp has no notion of HEAD, and waits for a body that never comes.
        self._stale = self._no_body = no_body
        self._upgrade = upgrade
        self._chunks: list[bytes] = []
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._interim = self._overhead = self.received = self.buffered = 0
        self.head: ResponseHead | None = None
        self.length: int | None = None
        self.chunked = self.complete = self.keep_alive = self.excess = self.upgraded = False
        self.is_whole = False

    def feed(self, data: bytes | memoryview) -> None:
        """Take what arrived, and keep no part of ``data`` itself.

        Raises UpstreamError (upstream_invalid) for what is not HTTP/1.
        """
        if self.upgraded:
            self._keep(bytes(data))
            return
        block = b""
        if not self.received:
            if data[0] != 0x48:  # "H": llhttp also knows RTSP and ICE
                raise UpstreamError(Reason.UPSTREAM_INVALID, "not an HTTP response")
            if len(data) < RECALLED_SIZE and not (self._no_body or self._upgrade):
                data = bytes(data)
                block = data[: data.find(b"\r\n\r\n") + 4]
                known = self._recall.heads.get(block)
                if known is not None and len(data) - len(block) == known.length:
                    self._take_whole(known, data, len(block))
                    return
        self.received += len(data)
        self._overhead += len(data)
        before = self.buffered
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            self._keep(bytes(data[stop.args[0] :]))
        except httptools.HttpParserError as error:
            if not self.complete:
                raise UpstreamError(Reason.UPSTREAM_INVALID, _words(error)) from None
            self.excess = True
        if self.complete:
            if self._no_body and not b"\r\n\r\n".endswith(bytes(data[-4:])):
                self.excess = True
        elif self.buffered != before:
            self._overhead = 0
        elif self._overhead > HEAD_LIMIT or len(self._headers) > LINE_LIMIT:
            raise UpstreamError(Reason.UPSTREAM_INVALID, "the response's head is too large")
        if block and self.complete and self._is_plain(len(data) - len(block)):
            self.is_whole = True
            self._recall.put(block, Known(cast(ResponseHead, self.head), len(data) - len(block)))

    def _take_whole(self, known: Known, data: bytes, start: int) -> None:
        """A response that is here as a whole, with a known head: the parser need not see it."""
        length = known.length
        self.received, self.head, self.length = len(data), known.head, length
        self.keep_alive = self.complete = self.is_whole = True
        if length:
            self._chunks, self.buffered = [data[start:]], length

    def _is_plain(self, came: int) -> bool:
        """Final, of the length that ``came``, on a connection that lasts."""
        head = self.head
        if head is None or self.length != came or self.excess or self._interim:
            return False
        return self.keep_alive and head.status not in _BODYLESS

    def end(self) -> bool:
        """The stream ended cleanly; return whether that completes the response."""
        if self.head is not None and self.length is None and not self.chunked:
            self.complete = True
        return self.complete

    def take(self) -> bytes:
        """What is buffered of the body; it is not buffered afterwards."""
        chunks = self._chunks
        if not chunks:
            return b""
        self._chunks = []
        self.buffered = 0
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _keep(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self.buffered += len(data)

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        if self.complete:
            self.excess = True

    def on_status(self, part: bytes) -> None:
        if self.head is None:
            self._reason += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:  # else a trailer: dropped (RFC 9110 section 6.5.1)
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.head is not None:
            return
        status = self._parser.get_status_code()
        version = self._parser.get_http_version()
        if not 100 <= status <= 599 or version not in ("1.1", "1.0"):
            raise _Refused(f"status {status} or version out of range")
        if status < 200:
            self._read_interim(status)
            if not self.upgraded:
                return
        else:
            self._read_framing(status, version)
        self._check_size()
        self.head = ResponseHead(status, self._reason, self._headers)
        self._headers = []

    def on_body(self, data: bytes) -> None:
        if self.complete:
            self.excess = True
            return
        self._chunks.append(data)
        self.buffered += len(data)

    def on_message_complete(self) -> None:
        if self.complete:
            self.excess = True
        elif self.head is not None and not self.upgraded:
            self.complete = True

    def _read_interim(self, status: int) -> None:
        """Swallow a 1xx; a 101 is final, and only when it was asked for (RFC 9110 section 15.2)."""
        if status == 101:
            if not self._upgrade:
                raise _Refused("switched protocols without being asked")
            self.upgraded = True
            return
        self._interim += 1
        if self._interim > INTERIM_LIMIT:
            raise _Refused("too many interim responses")
        self._headers = []
        self._reason = b""

    def _read_framing(self, status: int, version: str) -> None:
        """Find where the body ends (RFC 9112 section 6.3), from what llhttp has checked."""
        for name, value in self._headers:
            size = len(name)
            if size == 14 and name.lower() == b"content-length":
                self.length = int(value)
            elif size == 17 and name.lower() == b"transfer-encoding":
                # Only "chunked", once: llhttp also reads lists, and gives up on other codings.
                # In an HTTP/1.0 message it is faulty framing (section 6.1).
                if self.chunked or value.strip().lower() != b"chunked":
                    raise _Refused("a transfer coding other than chunked")
                self.chunked = True
        if self.chunked and version == "1.0":
            raise _Refused("chunks in HTTP/1.0")
        self.keep_alive = self._parser.should_keep_alive()
        if self._no_body and self.length != 0 and status not in _BODYLESS:
            self.complete = True
            # Some servers send the body all the same, a moment later: the next request, maybe
            # somebody else's, would get it for an answer. Such a connection is not used again.
            self.keep_alive = False

    def _check_size(self) -> None:
        headers = self._headers
        if len(headers) > LINE_LIMIT:
            raise _Refused("too many header lines")
        # The bytes so far may hold much of the body too: count the lines only when in doubt.
        if self._overhead > HEAD_LIMIT and _size(headers) > HEAD_LIMIT:
            raise _Refused("the header lines are too large")
        if self._reason.translate(None, _REASON_OCTETS):
            raise _Refused("a control character in the reason phrase")
        self._overhead = 0


def _words(error: httptools.HttpParserError) -> str:
    return str(error.__context__ if isinstance(error.__context__, _Refused) else error)


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
