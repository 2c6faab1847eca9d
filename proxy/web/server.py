"""The slow lane: aiohttp's HTTP server, behind our connections and their limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import http_parser, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from proxy.config.settings import Server as ServerSettings
from proxy.errors import BadRequest, ConfigError, Reason
from proxy.web.problems import unread

if TYPE_CHECKING:
    from proxy.web.connection import ClientConnection

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

Refused = Callable[["ClientConnection", int, Reason], str]
"""Tells of a request that could not be read; returns its id."""

_FOR_EVER = 1e6
"""Seconds: idle connections are closed by their ClientConnection, not by aiohttp."""


def check_parser() -> None:
    """Raises ConfigError unless aiohttp parses with llhttp: its own parser is too lenient.

    That one hung on an overflowing length, and took a CR in a chunk extension (security.md 3.1).
    """
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigError(["aiohttp runs without its C extensions: install a wheel that has them"])


class SlowLane(RequestHandler):
    """aiohttp's protocol for one ClientConnection, which hands it one request at a time."""

    __slots__ = ("_refused", "connection")

    def __init__(
        self,
        server: SlowServer,
        connection: ClientConnection,
        refused: Refused,
        **arguments: Any,
    ) -> None:
        super().__init__(server, **arguments)
        self.connection = connection
        self._refused = refused

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        finished = await super().finish_response(request, resp, start_time)
        if finished[0].keep_alive:
            # after this step of aiohttp's: then it waits for the next request
            self._loop.call_soon(self.connection.answered)
        return finished

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """aiohttp reads what is left of a body after the answer: that it is broken was told."""
        if not isinstance(kw.get("exc_info"), (BadRequest, web.RequestPayloadError)):
            super().log_exception(*args, **kw)

    def fail_body(self, error: BadRequest) -> None:
        """The body that is being read ends with ``error``."""
        if self._current_request is not None:
            self._current_request.content.set_exception(error)

    @property
    def has_lost_body(self) -> bool:
        """Whether aiohttp gave up on what came last, and left the body before that without end."""
        waiting = self._messages
        if not waiting or isinstance(waiting[-1][0], http_parser.RawRequestMessage):
            return False
        request = self._current_request
        return not (request.content if request is not None else waiting[0][1]).is_eof()

    def retire(self) -> None:
        """The connection rests: keep nothing for it until it needs this lane again."""
        if self._waiter is not None and not self._messages and self._current_request is None:
            self.connection.slow = None
            self.transport = None  # ours to keep
            self.connection_lost(None)

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
        request_id = self._refused(self.connection, status, reason)
        kind, body = unread(status, reason, request_id)
        response = web.Response(
            body=body,
            status=status,
            content_type=kind,
            headers={
                "Server": "auth-proxy",
                "Cache-Control": "no-store",
                "X-Request-Id": request_id,
            },
        )
        response.force_close()
        return response


class SlowServer(web.Server):
    """Makes a SlowLane for each connection that needs one."""

    def __init__(self, handler: Handler, settings: ServerSettings, refused: Refused) -> None:
        super().__init__(
            handler,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=_FOR_EVER,
            # The heads that come here have passed our own limits.
            max_line_size=settings.max_url_size + settings.max_header_size + 64,
            max_field_size=settings.max_header_size,
            max_headers=settings.max_headers + 1,
            read_bufsize=2**16,
            auto_decompress=False,
            lingering_time=2.0,
        )
        self._arguments: dict[str, Any] = self._kwargs
        self._refused = refused

    def make(self, connection: ClientConnection) -> SlowLane:
        return SlowLane(self, connection, self._refused, loop=self._loop, **self._arguments)
