"""The front: aiohttp's HTTP server with our limits, and our words when it cannot parse."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from aiohttp import http_parser, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from proxy.config.settings import Server as ServerSettings
from proxy.errors import ConfigError, Reason

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

Refused = Callable[[web.BaseRequest, int, Reason], str]
"""Tells of a request that could not be read; returns its id."""


def check_parser() -> None:
    """Raises ConfigError unless aiohttp parses with llhttp: its own parser is too lenient.

    That one hung on an overflowing length, and took a CR in a chunk extension (security.md 3.1).
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigError(["aiohttp runs without its C extensions: install a wheel that has them"])


class FrontProtocol(RequestHandler):
    """One client connection."""

    __slots__ = ("_refused",)

    def __init__(self, server: FrontServer, refused: Refused, **arguments: Any) -> None:
        super().__init__(server, **arguments)
        self._refused = refused

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is not HTTP, or too large to be read: refused without repeating any of it."""
        reason = Reason.BAD_HEADER if status < 500 else Reason.INTERNAL
        if isinstance(exc, LineTooLong) or "Too many headers" in str(message):
            status, reason = 431, Reason.TOO_LARGE
        elif exc is not None and status >= 500:
            self.logger.error("unhandled", exc_info=exc)
        request_id = self._refused(request, status, reason)
        response = web.json_response(
            {"error": str(reason), "request_id": request_id},
            status=status,
            headers={
                "Server": "auth-proxy",
                "Cache-Control": "no-store",
                "X-Request-Id": request_id,
            },
        )
        response.force_close()
        return response


class FrontServer(web.Server):
    """Makes a FrontProtocol for each connection; llhttp's limits come from the settings."""

    def __init__(self, handler: Handler, settings: ServerSettings, refused: Refused) -> None:
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
        self._refused = refused

    def __call__(self) -> RequestHandler:
        return FrontProtocol(self, self._refused, loop=self._loop, **self._arguments)

    def close_idle(self, busy: Collection[RequestHandler]) -> None:
        """Close the connections that serve no request."""
        for connection in self.connections:
            if connection not in busy:
                connection.force_close()
