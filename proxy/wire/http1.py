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


def request_bytes(head: RequestHead, body: Body | None, extra: Headers = ()) -> bytes:
    """The request up to and with what is ``ready`` of its body; ``extra`` headers come last.

    Raises ProxyError (internal_error) when the head would not be read as it is meant.
    """
    start = b"%b %b HTTP/1.1" % (head.method, head.target)
    if start.count(b" ") != 2:
        raise ProxyError(Reason.INTERNAL, "a space in the request line")
    if body is None:
        return _head(start, head.headers, extra)
    if body.length is None:
        framing = (b"Transfer-Encoding", b"chunked")
        ready = chunk(body.ready) if body.ready else b""
    else:
        framing = (b"Content-Length", b"%d" % body.length)
        ready = body.ready
    return _head(start, head.headers, (framing, *extra)) + ready


def response_bytes(response: ResponseHead, headers: Headers, extra: Headers) -> bytes:
    """The head of a response for the client: status and reason as they came, then ``headers``.

    Raises ProxyError (internal_error) when the head would not be read as it is meant.
    """
    return _head(b"HTTP/1.1 %d %b" % (response.status, response.reason), headers, extra)


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 section 7.1); ``data`` is not empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(start: bytes, headers: Headers, extra: Headers) -> bytes:
    lines = [start]
    lines += [b": ".join(field) for field in headers if field[0].lower() not in FRAMING]
    lines += [b": ".join(field) for field in extra]
    block = b"\r\n".join(lines) + b"\r\n\r\n"
    # The last line of defence against a split head: every CR and LF in it must be ours.
    if len(block.translate(None, b"\r\n\0")) != len(block) - 2 * (len(lines) + 1):
        raise ProxyError(Reason.INTERNAL, "a control character in a header")
    return block
