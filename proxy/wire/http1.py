"""Writing HTTP/1.1: heads and chunks as bytes, with the framing that this room owns."""

from __future__ import annotations

from proxy.errors import ProxyError, Reason
from proxy.wire.message import Body, Headers, RequestHead, ResponseHead

LAST_CHUNK = b"0\r\n\r\n"
FRAMING = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding content-length"
    b" te trailer upgrade expect".split()
)
"""Names that belong to one hop (RFC 9110 section 7.6.1): written here, by nobody else."""


def header_block(headers: Headers, extra: Headers = ()) -> bytes:
    """Header lines, each with its end; framing is left out of ``headers``, not of ``extra``.

    Raises ProxyError (internal_error) when they would not be read as they are meant.
    """
    lines = [b"%b: %b\r\n" % field for field in headers if field[0].lower() not in FRAMING]
    if extra:
        lines += [b"%b: %b\r\n" % field for field in extra]
    block = b"".join(lines)
    # The last line of defence against a split head: every CR and LF in it must be ours.
    if len(block.translate(None, b"\r\n\0")) != len(block) - 2 * len(lines):
        raise ProxyError(Reason.INTERNAL, "a control character in a header")
    return block


def read_block(block: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a block that ``header_block`` made."""
    fields = (line.partition(b": ") for line in block.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in fields]


def request_line(method: bytes, target: bytes) -> bytes:
    """The first line with its end. Raises ProxyError (internal_error) if it would be misread."""
    line = b"%b %b HTTP/1.1" % (method, target)
    if line.count(b" ") != 2 or line.translate(None, b"\r\n\0") != line:
        raise ProxyError(Reason.INTERNAL, "a space or a control character in the request line")
    return line + b"\r\n"


def status_line(response: ResponseHead) -> bytes:
    """The first line with its end. Raises ProxyError (internal_error) if it would be misread."""
    if response.reason.translate(None, b"\r\n\0") != response.reason:
        raise ProxyError(Reason.INTERNAL, "a control character in the reason phrase")
    return b"HTTP/1.1 %d %b\r\n" % (response.status, response.reason)


def request_bytes(head: RequestHead, body: Body | None, extra: Headers = ()) -> bytes:
    """The request up to and with what is ``ready`` of its body; ``extra`` headers come last.

    Raises ProxyError (internal_error) when the head would not be read as it is meant.
    """
    start = request_line(head.method, head.target)
    block, ready = head.block + header_block(head.headers), b""
    if body is not None:
        ready = body.ready
        if body.length is not None:
            block += b"Content-Length: %d\r\n" % body.length
        else:
            block += b"Transfer-Encoding: chunked\r\n"
            ready = chunk(ready) if ready else b""
    if extra:
        block += header_block((), extra)
    return b"%b%b\r\n%b" % (start, block, ready)


def response_bytes(response: ResponseHead, headers: Headers, extra: Headers) -> bytes:
    """The head of a response for the client: status and reason as they came, then ``headers``.

    Raises ProxyError (internal_error) when the head would not be read as it is meant.
    """
    return b"%b%b\r\n" % (status_line(response), header_block(headers, extra))


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 section 7.1); ``data`` is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)
