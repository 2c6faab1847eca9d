"""One exchange for a caller that waits: connection taken, stale ones replaced once."""

from __future__ import annotations

import asyncio
from typing import cast

from proxy.wire.connection import Connection
from proxy.wire.exchange import BrokenResponse, Exchange, Stage
from proxy.wire.http1 import request_bytes
from proxy.wire.message import (
    Body,
    Downstream,
    Exchanged,
    Headers,
    Render,
    RequestHead,
    ResponseHead,
)
from proxy.wire.pool import Pool

__all__ = ["SAFE", "BrokenResponse", "forward", "run"]

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that may be sent twice (RFC 9110 section 9.2.1), without a body."""


class _Awaited(Exchange):
    """An exchange that somebody waits for."""

    rendered: Render

    def __init__(
        self, pool: Pool, connection: Connection, method: bytes, client: Downstream
    ) -> None:
        super().__init__(pool, connection, method, client)
        self.ended = asyncio.Event()

    def render(self, head: ResponseHead) -> list[tuple[bytes, bytes]]:
        return self.rendered(head)

    def over(self) -> None:
        self.ended.set()


async def forward(
    pool: Pool, head: RequestHead, body: Body | None, client: Downstream, render: Render
) -> Exchanged:
    """Send a request and stream its response to ``client``, with back-pressure both ways.

    ``render`` gets the upstream's head once and returns the client's headers; framing among them
    is left out, and added here. Raises UpstreamError (or what ``render`` or the body raises)
    before anything is written, BrokenResponse afterwards. When the task is cancelled, the
    upstream's connection closes at once.
    """
    exchange = await run(pool, head, body, client, render)
    return cast(Exchanged, exchange.outcome)  # no 101 without an upgrade


async def run(
    pool: Pool,
    head: RequestHead,
    body: Body | None,
    client: Downstream,
    render: Render,
    upgrade: Headers = (),
) -> Exchange:
    """An exchange that is over, or UPGRADED; raises its failure.

    A safe request without a body is sent once more, on a new connection, when an idle one turns
    out to have been closed before it answered anything.
    """
    request = request_bytes(head, body, upgrade)
    may_retry = body is None and head.method in SAFE
    connection = pool.take_idle() or await pool.acquire()
    while True:
        exchange = _Awaited(pool, connection, head.method, client)
        exchange.rendered = render
        try:
            exchange.begin(request, body, upgrade=bool(upgrade))
            await exchange.ended.wait()
        finally:
            if exchange.stage is not Stage.UPGRADED:
                exchange.cancel()
                await exchange.uploaded()
        if exchange.failure is None:
            return exchange
        if not (may_retry and connection.is_stale):
            raise exchange.failure
        may_retry = False
        connection = await pool.acquire(fresh=True)
