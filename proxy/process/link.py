"""A worker's end of its channel: what it tells the supervisor, and its orders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.process.channel import Channel, Message, Order


class Link:
    """``channel`` on ``loop``; messages are written as soon as the socket takes them."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        self._channel = channel
        self._loop = loop
        self._writing = False

    def ready(self) -> None:
        """This worker serves."""
        self._send({"ready": True})

    def failed(self, problems: Sequence[str]) -> None:
        """It cannot: its configuration is wrong in these points."""
        self._send({"failed": list(problems)})

    def leaving(self) -> None:
        """It takes no more connections."""
        self._send({"leaving": True})

    def listen(self, obey: Callable[[Order], None]) -> None:
        """``obey`` the supervisor. That it is gone means DRAIN."""

        def readable() -> None:
            try:
                for message in self._channel.receive():
                    obey(Order(str(message["order"])))
            except EOFError:
                self._loop.remove_reader(self._channel)
                obey(Order.DRAIN)

        self._loop.add_reader(self._channel, readable)

    def _send(self, message: Message) -> None:
        self._channel.send(message)
        if self._channel.waiting and not self._writing:
            self._writing = True
            self._loop.add_writer(self._channel, self._write)

    def _write(self) -> None:
        self._channel.flush()
        if not self._channel.waiting:
            self._writing = False
            self._loop.remove_writer(self._channel)

    def close(self) -> None:
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
