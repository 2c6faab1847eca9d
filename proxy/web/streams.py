"""Open WebSockets by session, so that they end when it does."""

from __future__ import annotations

from typing import Final

from proxy.wire.tunnel import Tunnel

POLICY: Final = 1008
"""RFC 6455 section 7.4.1: the connection ends because of our policy."""
GOING_AWAY: Final = 1001


class Streams:
    """Every tunnel of this process; empty session ids are public ones."""

    def __init__(self) -> None:
        self._tunnels: dict[str, set[Tunnel]] = {}

    def add(self, session_id: str, tunnel: Tunnel) -> None:
        self._tunnels.setdefault(session_id, set()).add(tunnel)

    def remove(self, session_id: str, tunnel: Tunnel) -> None:
        tunnels = self._tunnels.get(session_id, set())
        tunnels.discard(tunnel)
        if not tunnels:
            self._tunnels.pop(session_id, None)

    def end_session(self, session_id: str) -> None:
        """Close what this session holds open."""
        for tunnel in tuple(self._tunnels.get(session_id, ())):
            tunnel.end(POLICY, "session ended")

    def end_all(self) -> None:
        """Close everything: the process is stopping."""
        for tunnels in tuple(self._tunnels.values()):
            for tunnel in tuple(tunnels):
                tunnel.end(GOING_AWAY, "going away")

    def __len__(self) -> int:
        return sum(map(len, self._tunnels.values()))
