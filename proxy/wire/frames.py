"""WebSocket frames, as little of them as a tunnel needs (RFC 6455 section 5.2)."""

from __future__ import annotations

import base64
import hashlib

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CLOSE = 0x8


class FrameScanner:
    """Follows the frames of one direction, keeping nothing of them.

    ``at_boundary`` says whether a frame may be put in here; ``closing`` whether a Close frame has
    passed, after which none may follow.
    """

    __slots__ = ("_head", "_left", "closing")

    def __init__(self) -> None:
        self._head = b""
        self._left = 0
        self.closing = False

    @property
    def at_boundary(self) -> bool:
        return not self._left and not self._head

    def feed(self, data: bytes) -> None:
        """Pass over ``data``, which may hold many frames or a part of one."""
        position, size = 0, len(data)
        while position < size:
            if self._left:
                step = min(self._left, size - position)
                self._left -= step
                position += step
                continue
            step = min(_head_size(self._head) - len(self._head), size - position)
            self._head += data[position : position + step]
            position += step
            if len(self._head) == _head_size(self._head):
                self.closing = self.closing or self._head[0] & 0xF == _CLOSE
                self._left = _payload_size(self._head)
                self._head = b""


def close_frame(code: int, reason: str, mask: bytes = b"") -> bytes:
    """A Close frame; ``mask`` (4 random bytes) is needed towards a server, forbidden otherwise."""
    payload = code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode()
    if not mask:
        return bytes((0x80 | _CLOSE, len(payload))) + payload
    masked = bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
    return bytes((0x80 | _CLOSE, 0x80 | len(payload))) + mask + masked


def accept_key(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def _head_size(head: bytes) -> int:
    """How long the frame's head is, as far as its first two bytes tell."""
    if len(head) < 2:
        return 2
    size = head[1] & 0x7F
    return 2 + (8 if size == 127 else 2 if size == 126 else 0) + (4 if head[1] & 0x80 else 0)


def _payload_size(head: bytes) -> int:
    size = head[1] & 0x7F
    if size < 126:
        return size
    return int.from_bytes(head[2:4] if size == 126 else head[2:10], "big")
