"""What goes on for long: it ends soon after the session that it belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Final

from proxy.model import Session
from proxy.web.connection import ClientConnection
from proxy.wire.tunnel import Tunnel

POLICY: Final = 1008
"""RFC 6455 section 7.4.1: the connection ends because of our policy."""
GOING_AWAY: Final = 1001
_LOOK_EVERY: Final = 0.25
"""Seconds. An answer that is nearly through may end by itself."""


class Streams:
    """Every tunnel of this process, and every answer under way (``running``)."""

    def __init__(self, running: Callable[[], Collection[ClientConnection]]) -> None:
        self._running = running
        self._tunnels: dict[Tunnel, Session | None] = {}

    def add(self, session: Session | None, tunnel: Tunnel) -> None:
        """``session`` is None for a public one."""
        self._tunnels[tunnel] = session

    def remove(self, tunnel: Tunnel) -> None:
        self._tunnels.pop(tunnel, None)

    def sessions(self) -> Iterator[Session]:
        """Those that something runs for."""
        served = [connection.serving for connection in self._running()]
        yield from {opened.session.id: opened.session for opened in served if opened}.values()
        yield from [session for session in self._tunnels.values() if session is not None]

    def end_session(self, session_id: str) -> None:
        """Close the tunnels of a session at once; its answers follow, see ``watch``."""
        for tunnel, session in tuple(self._tunnels.items()):
            if session is not None and session.id == session_id:
                tunnel.end(POLICY, "session ended")

    async def watch(self, has_ended: Callable[[str], bool], clock: Callable[[], float]) -> None:
        """Cut answers whose session is over, until cancelled; in the middle, for want of better:
        whoever reads must not take what came for the whole."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = clock()
            for connection in tuple(self._running()):
                opened = connection.serving
                if opened is None:
                    continue
                if has_ended(opened.session.id) or opened.session.expires_at <= now:
                    connection.abort()

    def end_all(self) -> None:
        """Close everything: the process is stopping."""
        for tunnel in tuple(self._tunnels):
            tunnel.end(GOING_AWAY, "going away")

    def __len__(self) -> int:
        return len(self._tunnels)
