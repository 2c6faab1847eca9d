"""How many clients may be connected at once, over all listeners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from proxy.errors import Reason
from proxy.web.log import Log
from proxy.web.metrics import Metrics

_TELL_EVERY: Final = 60.0
"""Seconds between two lines about the same thing."""


class Places:
    """Taken by whoever connects; over TLS, when the handshake is over."""

    def __init__(self, most: int, metrics: Metrics, log: Log, now: Callable[[], float]) -> None:
        self.most = most
        self.taken = 0
        self._metrics = metrics
        self._log = log
        self._now = now
        self._told_at = -_TELL_EVERY

    def take(self) -> bool:
        """A place, to be given back; False when there is none, which is counted and told."""
        if self.taken < self.most:
            self.taken += 1
            return True
        self._metrics.refuse(Reason.CONNECTION_LIMIT)
        if self._now() - self._told_at >= _TELL_EVERY:
            self._told_at = self._now()
            words = "server.max_connections is reached: further clients are turned away"
            self._log.event("warning", words, {"connections": self.taken})
        return False

    def give_back(self) -> None:
        self.taken -= 1
