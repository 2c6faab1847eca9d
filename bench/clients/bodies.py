"""Long bodies through one connection, as fast as they go."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.model import ScenarioFailed

_BLOCK = 2**20
_TIMEOUT = 60.0


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def head(method: str, port: int, path: str, headers: Mapping[str, str]) -> bytes:
    """A request's head for a port of this machine."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(port: int, path: str, headers: Mapping[str, str]) -> int:
    """The status of one GET on a connection of its own. Raises OSError."""
    with connection(port) as sock:
        sock.sendall(head("GET", port, path, {**headers, "Connection": "close"}))
        status, _, _ = _answer(sock)
        return status


def repeat(exchange: Callable[[], int], seconds: float) -> tuple[int, float]:
    """Bytes moved and the time it took; whole exchanges, at least one."""
    begun, moved = time.perf_counter(), 0
    while True:
        moved += exchange()
        if (elapsed := time.perf_counter() - begun) >= seconds:
            return moved, elapsed


def download(sock: socket.socket, request: bytes) -> int:
    """The size of the answer's body, which is read and thrown away."""
    sock.sendall(request)
    status, size, begun = _answer(sock)
    if status != 200:
        raise ScenarioFailed(f"the download was answered with {status}")
    left, block = size - len(begun), memoryview(bytearray(_BLOCK))
    while left > 0:
        read = sock.recv_into(block[: min(left, _BLOCK)])
        if not read:
            raise ScenarioFailed(f"the download ended {left} bytes early")
        left -= read
    return size


def upload(sock: socket.socket, request: bytes, size: int) -> int:
    """Send the head and ``size`` bytes; the sink must have counted as many."""
    sock.sendall(request)
    block = memoryview(bytes(_BLOCK))
    for _ in range(size // _BLOCK):
        sock.sendall(block)
    status, length, begun = _answer(sock)
    while len(begun) < length:
        begun += sock.recv(length - len(begun))
    if (status, begun) != (200, b"%d" % size):
        raise ScenarioFailed(f"the upload was answered with {status} {begun[:100]!r}")
    return size


def _answer(sock: socket.socket) -> tuple[int, int, bytes]:
    """Status, Content-Length, and what has come of the body."""
    held = b""
    while b"\r\n\r\n" not in held:
        more = sock.recv(4096)
        if not more:
            raise ScenarioFailed(f"no answer, but {held!r}")
        held += more
    text, _, begun = held.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", text, re.I)
    return int(text.split(b" ", 2)[1]), int(length[1]) if length else 0, begun
