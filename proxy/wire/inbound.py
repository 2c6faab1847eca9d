"""Reading requests: a complete head in, one ``Request`` out. Strict, bounded, without a socket.

llhttp refuses bare CR and LF, NUL, folding, names and lengths that are no such, doubled lengths,
and Content-Length beside Transfer-Encoding. What it lets pass and we do not is checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

import httptools

from proxy.errors import BadRequest, Reason

V = TypeVar("V")

HEAD_END = b"\r\n\r\n"
OVERHEAD_LIMIT = 16 * 1024
"""Bytes of chunk extensions and trailers, beyond ``_PER_CHUNK`` for each chunk."""
_PER_CHUNK = 256
_CHUNKS_FOLLOW = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"

_START = re.compile(rb"[A-Z][A-Z-]{0,31} [^ \x00-\x1f\x7f]+ HTTP/1\.[01]")
_VERSION = re.compile(rb".* HTTP/\d+(\.\d+)?")


@dataclass(slots=True, eq=False, repr=False)
class Block:
    """Header lines that have been read; ``memo`` as in ``Request``."""

    headers: list[tuple[bytes, bytes]]
    length: int
    expects: bool
    memo: object = None


@dataclass(slots=True, eq=False, repr=False)
class Request:
    """A request's head, byte-exact; ``target`` is the raw request target.

    ``length`` is the body's in bytes, 0 when there is none, ``None`` when it comes in chunks.
    The same bytes may give the same value again: nothing of it is changed but ``memo``, which
    belongs to whoever wants to know it again. ``block`` is there when its header lines, of whatever
    request line, may come again.
    """

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    http11: bool
    keep_alive: bool
    length: int | None
    upgrade: bool
    expects: bool = False
    memo: object = None
    block: Block | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeadLimits:
    """In bytes, and a number of lines. ``remembered`` heads are known again without a parser."""

    target: int
    headers: int
    lines: int
    remembered: int = 512


_KNOWN_SIZE = 4096
"""Bytes of a head that may be remembered: anybody's heads are, so they must cost little."""


class HeadReader:
    """Reads heads, whole ones, of any number of connections."""

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._length = 0
        self._chunked = self._whole = self._expects = self._keep_alive = self._upgrade = False
        self._complete = False
        self._known: dict[bytes, Block] = {}
        self._requests: dict[bytes, Request] = {}
        self._parser = httptools.HttpRequestParser(self)

    def read(self, head: bytes) -> Request:
        """Read a head, its empty line included. Raises BadRequest (400, 414, 431, 505).

        Clients repeat their header lines; a block of them that was read before is not parsed
        again, only the request line before it.
        """
        request = self._requests.get(head)
        if request is None:
            line_end = head.find(b"\r\n")
            block = head[line_end:]
            known = self._known.get(block)
            if known is not None:
                request = self._read_line(head[:line_end], known)
            request = request or self._read(head, block)
            if known is not None and len(head) < _KNOWN_SIZE:
                _put(self._requests, head, request, self._limits.remembered)
        return request

    def _read_line(self, line: bytes, known: Block) -> Request | None:
        """A request with the header lines of ``known``; None if these might mean another thing."""
        if not line.endswith(b" HTTP/1.1"):
            return None
        head = line + HEAD_END
        self._parse(head)
        method, target = self._parser.get_method(), self._target
        if self._upgrade or not (self._whole and self._keep_alive):
            self._renew()
            return None
        self._check(head, b"%b %b HTTP/1.1\r\n" % (method, target), "1.1")
        return Request(
            method.decode("latin-1"), target.decode("latin-1"), known.headers, True, True,
            known.length, False, known.expects, None, known,
        )  # fmt: skip

    def _read(self, head: bytes, block: bytes) -> Request:
        headers = self._parse(head)
        method = self._parser.get_method()
        version = self._parser.get_http_version()
        target, keep_alive = self._target, self._keep_alive
        if self._upgrade or not (self._whole and keep_alive):
            self._renew()
        self._check(head, b"%b %b HTTP/%b\r\n" % (method, target, version.encode()), version)
        length = None if self._chunked else self._length
        request = Request(
            method.decode("latin-1"), target.decode("latin-1"), headers, version == "1.1",
            keep_alive, length, self._upgrade, self._expects,
        )  # fmt: skip
        is_plain = request.http11 and keep_alive and not self._upgrade
        if is_plain and length is not None and len(block) < _KNOWN_SIZE:
            known = Block(headers, length, self._expects)
            request.block = known
            _put(self._known, block, known, self._limits.remembered)
        return request

    def _parse(self, head: bytes) -> list[tuple[bytes, bytes]]:
        self._headers = headers = _no_headers()
        self._target, self._length = b"", 0
        self._chunked = self._whole = self._expects = self._upgrade = self._complete = False
        try:
            self._parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            self._upgrade = True
        except httptools.HttpParserError as error:
            self._renew()
            check_start(head[: head.find(b"\r\n")])
            raise BadRequest(Reason.BAD_HEADER, _words(error)) from None
        if not self._complete:  # an empty line, or PRI: llhttp waits for the rest of its preface
            self._renew()
            check_start(head[: head.find(b"\r\n")])
            raise BadRequest(Reason.BAD_HEADER, "a head without its end")
        return headers

    def _check(self, head: bytes, line: bytes, version: str) -> None:
        limits = self._limits
        if not head.startswith(line):
            raise BadRequest(Reason.BAD_TARGET, "the request line is not in its plain form")
        if version not in ("1.1", "1.0"):
            raise BadRequest(Reason.BAD_TARGET, "neither HTTP/1.1 nor HTTP/1.0", status=505)
        if len(self._target) > limits.target:
            raise BadRequest(Reason.TOO_LARGE, "request target", status=414)
        if len(head) - len(line) - 2 > limits.headers or len(self._headers) > limits.lines:
            words = f"{len(self._headers)} header lines, {len(head)} bytes of head"
            raise BadRequest(Reason.TOO_LARGE, words, status=431)
        if self._chunked and version == "1.0":
            raise BadRequest(Reason.BAD_HEADER, "chunks in HTTP/1.0")

    def check_partial(self, data: bytes) -> None:
        """The beginning of a head: raises BadRequest as soon as it cannot become a good one."""
        line, end, _ = data.partition(b"\r\n")
        if end:
            check_start(line)
        elif not line[:1].isupper():
            raise BadRequest(Reason.BAD_TARGET, "not HTTP")
        if len(line) > self._limits.target + 64:
            raise BadRequest(Reason.TOO_LARGE, "request target", status=414)
        if len(data) - len(line) > self._limits.headers + 4:
            raise BadRequest(Reason.TOO_LARGE, f"{len(data)} bytes of head", status=431)
        if data.count(b"\n") != data.count(b"\r\n"):
            raise BadRequest(Reason.BAD_HEADER, "a line that ends without CR")

    def _renew(self) -> None:
        self._parser = httptools.HttpRequestParser(self)

    # Callbacks of the parser

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        # llhttp leaves blanks at the end, which are none of the value (RFC 9110 section 5.5)
        self._headers.append((name, value.rstrip(b" \t")))
        size = len(name)
        if size == 14 and name.lower() == b"content-length":
            self._length = int(value)
        elif size == 17 and name.lower() == b"transfer-encoding":
            # llhttp also reads lists that end in "chunked"; nobody sends them.
            if self._chunked or value.strip(b" \t").lower() != b"chunked":
                raise ValueError("a transfer coding other than chunked")
            self._chunked = True
        elif size == 6 and name.lower() == b"expect":
            self._expects = True

    def on_headers_complete(self) -> None:
        self._complete = True
        self._keep_alive = self._parser.should_keep_alive()

    def on_message_complete(self) -> None:
        self._whole = True


def check_start(line: bytes) -> None:
    """Raises BadRequest for a request line that is none of HTTP/1's, 505 for another version."""
    if _START.fullmatch(line):
        return
    if _VERSION.fullmatch(line) and not line.endswith((b" HTTP/1.1", b" HTTP/1.0")):
        raise BadRequest(Reason.BAD_TARGET, "neither HTTP/1.1 nor HTTP/1.0", status=505)
    raise BadRequest(Reason.BAD_TARGET, "not a request line of HTTP/1.1")


class ChunkScanner:
    """Follows a chunked body to its end, beside whoever reads it.

    ``complete`` marks the end, ``excess`` bytes after it.
    """

    __slots__ = ("_overhead", "_parser", "complete", "excess")

    def __init__(self) -> None:
        self.complete = self.excess = False
        self._overhead = 0
        self._parser = httptools.HttpRequestParser(self)
        # Not the request's own head: after one with Upgrade llhttp reads no body.
        self._parser.feed_data(_CHUNKS_FOLLOW)

    def feed(self, data: bytes) -> None:
        """Raises BadRequest(BAD_BODY) for what are no chunks, or hardly anything but frills."""
        for start in range(0, len(data), OVERHEAD_LIMIT):  # however much comes at once
            if self.complete:
                self.excess = True
                return
            self._feed(data[start : start + OVERHEAD_LIMIT])

    def _feed(self, data: bytes) -> None:
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.excess = True
        except httptools.HttpParserError as error:
            if not self.complete:
                raise BadRequest(Reason.BAD_BODY, _words(error)) from None
            self.excess = True
        if self._overhead > OVERHEAD_LIMIT and not self.complete:
            raise BadRequest(Reason.BAD_BODY, "chunk extensions or trailers without end")
        self._overhead = max(0, self._overhead)

    def on_message_begin(self) -> None:
        self.excess = self.complete

    def on_chunk_header(self) -> None:
        self._overhead -= _PER_CHUNK

    def on_body(self, part: bytes) -> None:
        self._overhead -= len(part)

    def on_message_complete(self) -> None:
        self.complete = True


def _put(entries: dict[bytes, V], key: bytes, value: V, most: int) -> None:
    """Remember; the oldest entry is forgotten for it."""
    if len(entries) >= most:
        del entries[next(iter(entries))]
    entries[key] = value


def _no_headers() -> list[tuple[bytes, bytes]]:
    return []


def _words(error: httptools.HttpParserError) -> str:
    return str(error.__context__ if isinstance(error.__context__, ValueError) else error)
