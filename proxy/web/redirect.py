"""What plain HTTP answers where TLS is spoken beside it (``server.redirect_http``)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from proxy.errors import Reason
from proxy.model import Kind
from proxy.rules.routes import Endpoint
from proxy.web.entry import Entry
from proxy.web.visit import Visit

_ANSWERED: Final = frozenset({Endpoint.PING, Endpoint.READY})
_REPEATABLE: Final = frozenset({"GET", "HEAD"})


class HttpsOnly(Entry):
    """Reads and tells as the entry does; nobody is identified, and nothing is forwarded.

    Pages are to be asked again at ``public_url``, whatever Host was given. What carries more
    than an address is refused: it has been sent in the clear, and a client that is led on would
    never learn of it.
    """

    async def _act(self, visit: Visit) -> web.StreamResponse:
        target, parts = visit.goal, self._parts
        endpoint = self._runtime.routes.endpoint(target.path)
        if endpoint in _ANSWERED:
            return await self._own(visit, endpoint)
        if target.method in _REPEATABLE and target.kind is not Kind.WEBSOCKET:
            response = parts.answers.redirect(visit, 308, self._runtime.public(target.raw))
        else:
            parts.metrics.refuse(Reason.HTTPS_REQUIRED)
            response = parts.answers.refuse(visit, 403, Reason.HTTPS_REQUIRED)
        response.force_close()
        return response
