"""The front: aiohttp's HTTP server with our limits, and our words when it cannot parse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler

from proxy.config.settings import Server as ServerSettings
from proxy.errors import ConfigError

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_WORDS = {400: "bad_request", 408: "request_timeout"}


def check_parser() -> None:
    """Raises ConfigError unless aiohttp parses with llhttp: its own parser is too lenient.

    That one hung on an overflowing length, and took a CR in a chunk extension (security.md 3.1).
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigError(["aiohttp runs without its C extensions: install a wheel that has them"])


class FrontProtocol(RequestHandler):
    """One client connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is not HTTP: refused in one line that repeats nothing of it."""
        if exc is not None and status >= 500:
            self.logger.error("unhandled", exc_info=exc)
        word = _WORDS.get(status, "internal_error")
        response = web.Response(
            status=status,
            body=b'{"error": "%s"}\n' % word.encode(),
            content_type="application/json",
            headers={"Server": "auth-proxy", "Cache-Control": "no-store"},
        )
        response.force_close()
        return response


class FrontServer(web.Server):
    """Makes a FrontProtocol for each connection; llhttp's limits come from the settings."""

    def __init__(self, handler: Handler, settings: ServerSettings) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=settings.keepalive_timeout,
            max_line_size=settings.max_url_size + 64,
            max_field_size=settings.max_header_size,
            max_headers=settings.max_headers + 1,
            read_bufsize=2**16,
            auto_decompress=False,
            lingering_time=2.0,
        )
        self._arguments: dict[str, Any] = self._kwargs

    def __call__(self) -> RequestHandler:
        return FrontProtocol(self, loop=self._loop, **self._arguments)

    def close_idle(self, busy: Collection[RequestHandler]) -> None:
        """Close the connections that serve no request."""
        for connection in self.connections:
            if connection not in busy:
                connection.force_close()
