"""Every request begins and ends here, in either lane: its id, its line in the log, its counters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from proxy.errors import Reason
from proxy.model import Target
from proxy.rules.target import Trust
from proxy.web.connection import ClientConnection
from proxy.web.log import Log, plain_path
from proxy.web.metrics import Metrics
from proxy.web.visit import Visit
from proxy.wire.exchange import BrokenResponse
from proxy.wire.inbound import Request

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNREAD: Final = Request("-", "-", [], http11=True, keep_alive=False, length=0, upgrade=False)


class Ledger:
    """Opens and closes visits; ``running`` are the connections whose requests are not over."""

    def __init__(
        self,
        trust: Trust,
        log: Log,
        metrics: Metrics,
        clock: Callable[[], float],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._trust = trust
        self._trusts_some = bool(trust.proxies or trust.unix)
        self._log = log
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self.running: set[ClientConnection] = set()
        self._done: asyncio.Event | None = None

    def visit(self, connection: ClientConnection, request: Request | None = None) -> Visit:
        """A visit for the request that the connection has read."""
        request, peer = request or connection.request or _UNREAD, connection.peer
        request_id = self._new_id()
        if self._trusts_some and self._trust.trusts(peer):
            # A trusted hop's own id, so that its log and ours tell of one request.
            given = [value for name, value in request.headers if name.lower() == b"x-request-id"]
            if given and _REQUEST_ID.fullmatch(text := given[0].decode("latin-1")):
                request_id = text
        return Visit(request, request_id, self._clock(), peer, self._now())

    def begin(self, connection: ClientConnection) -> None:
        """A request is being answered on ``connection``."""
        self.running.add(connection)

    def leave(self, connection: ClientConnection) -> None:
        """It is not any more."""
        self.running.discard(connection)
        if self._done is not None and not self.running:
            self._done.set()

    async def finished(self) -> None:
        """Return when no request runs any more; for a process that drains."""
        while self.running:
            if self._done is None or self._done.is_set():
                self._done = asyncio.Event()
            await self._done.wait()

    def end(self, connection: ClientConnection, visit: Visit, status: int) -> None:
        """It has been answered with ``status``; 499 where the client has gone."""
        self.running.discard(connection)
        if self._done is not None and not self.running:
            self._done.set()
        self.tell(visit, status)

    def tell(self, visit: Visit, status: int) -> None:
        """One line in the log."""
        seconds = self._now() - visit.since
        self._metrics.answered(status, seconds)
        told = visit.told or self.where(visit) + self.who(visit.subject)
        if visit.reason:
            told += self._log.part(reason=str(visit.reason))
        self._log.access(visit.now + seconds, status, seconds * 1000, visit.id, told)

    def where(self, visit: Visit) -> str:
        """The piece of the line that says what was asked, and by whom."""
        target = visit.target
        if target is None:
            method = visit.request.method[:16]
            return self._log.part(method=method, path="-", client=visit.peer)
        return self.asked(target)

    def asked(self, target: Target) -> str:
        """The same, where the target is known."""
        path = plain_path(target.path)
        return self._log.part(method=target.method, path=path, client=target.client)

    def who(self, subject: str) -> str:
        """The piece that says who was let in."""
        return self._log.part(sub=subject) if subject else ""

    def unreadable(self, connection: ClientConnection, status: int, reason: Reason) -> str:
        """Tell of a request that was refused before it could be read; returns its id."""
        visit = self.visit(connection)
        visit.reason = reason
        self._metrics.refuse(reason)
        self.tell(visit, status)
        return visit.id

    def cut(self, visit: Visit, broken: BrokenResponse) -> None:
        """A response ended in the middle."""
        visit.reason, visit.sent = broken.error.reason, broken.sent
        self._log.event("warning", f"response cut: {broken.error}", {"request_id": visit.id})

    def fault(self, visit: Visit, error: Exception) -> None:
        """A fault of ours, under an id that the answer shows."""
        self._log.exception(error, visit.id)
