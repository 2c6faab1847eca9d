"""A host's IP addresses, asked for again and again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from proxy.wire.origin import Origin

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port → IP addresses. Raises OSError or ValueError."""

RETRY = 1.0
"""Seconds until a question that failed is asked again, if ``ttl`` is not shorter."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system, without blocking the loop. Raises OSError or ValueError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [_shown(family, address) for family, _, _, _, address in found]


def _shown(family: int, address: tuple[object, ...]) -> str:
    host = str(address[0])
    scope = address[3] if family == socket.AF_INET6 and len(address) > 3 else 0
    return f"{host}%{scope}" if scope and "%" not in host else host


class Lookup:
    """Where an origin is: ``found``, once ``first`` is done; then asked again every ``ttl`` s.

    While asking fails, the last good answer stands and ``error`` says why. A literal address and
    a unix socket are never asked for. ``on_change`` is called after ``found`` has changed.
    """

    def __init__(
        self, origin: Origin, resolve: Resolve, ttl: float, on_change: Callable[[], None]
    ) -> None:
        self.origin = origin
        self.found: tuple[str, ...] = _fixed(origin)
        self.error = ""
        self._resolve = resolve
        self._ttl = ttl
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def first(self) -> asyncio.Task[None] | None:
        """The question that everybody waits for who has no answer yet, else None."""
        if self.found:
            return None
        if self._task is None:
            self._ask()
        return self._task

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._timer = self._task = None

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self) -> None:
        pause = self._ttl
        try:
            found = tuple(dict.fromkeys(await self._resolve(self.origin.host, self.origin.port)))
            self.error = "" if found else "the name has no address"
        except (OSError, ValueError) as error:
            found = ()
            self.error = (error.strerror if isinstance(error, OSError) else "") or str(error)
        if not found:
            found, pause = self.found, min(self._ttl, RETRY)
        self._task = None
        if found:  # nothing is asked in the background before anything was ever found
            self._timer = asyncio.get_running_loop().call_later(pause, self._ask)
        if found != self.found:
            self.found = found
            self._on_change()


def _fixed(origin: Origin) -> tuple[str, ...]:
    """What needs no question."""
    if origin.socket:
        return (origin.socket,)
    try:
        ipaddress.ip_address(origin.host.partition("%")[0])
    except ValueError:
        return ()
    return (origin.host,)
