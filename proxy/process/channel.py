"""Messages between the supervisor and a worker: lines of JSON over a socket that never blocks."""

from __future__ import annotations

import json
import socket
from enum import StrEnum
from typing import Final

LARGEST_BACKLOG: Final = 16 * 1024 * 1024
_READ: Final = 65536

Message = dict[str, object]


class Order(StrEnum):
    """From the supervisor to a worker. No signals, because these may come from anybody."""

    DRAIN = "drain"  # serve what runs, and end: all of us stop
    RETIRE = "retire"  # the same, but others serve on
    HURRY = "hurry"  # end now


class Channel:
    """One end. Both trust each other: they are processes of one program."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._out = bytearray()
        self._in = bytearray()

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two connected ends. Raises OSError."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def fileno(self) -> int:
        return self._sock.fileno()

    @property
    def waiting(self) -> int:
        """Bytes that the other end has not taken yet: ``flush`` when the socket is writable."""
        return len(self._out)

    def send(self, message: Message) -> None:
        """Queue a message and send what can be sent; to an end that has gone it is lost."""
        self._out += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        while self._out:
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:  # nobody is there any more, as reading will tell
                self._out.clear()
                return
            del self._out[:sent]

    def receive(self) -> list[Message]:
        """The messages that have come. Raises EOFError when the other end has gone."""
        try:
            data = self._sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as exc:
            raise EOFError from exc
        if not data:
            raise EOFError
        self._in += data
        *lines, rest = self._in.split(b"\n")
        self._in = rest
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        self._sock.close()
