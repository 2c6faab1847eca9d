"""What a running proxy is made of, wired once."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from aiohttp.web_protocol import RequestHandler

from proxy.config.settings import Settings
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import Auth
from proxy.web.calls import Calls
from proxy.web.log import Log
from proxy.web.login import Login
from proxy.web.logout import Logout
from proxy.web.metrics import Metrics
from proxy.web.mint import Mint
from proxy.web.provider import Provider
from proxy.web.refresh import Refresher
from proxy.web.runtime import Runtime, compile_runtime
from proxy.web.sessions import Sessions
from proxy.web.status import Status
from proxy.web.streams import Streams
from proxy.web.upstream import Upstreams


@dataclass(frozen=True, slots=True)
class World:
    """Time and randomness, handed in: ``clock`` gives Unix seconds, ``random`` n bytes."""

    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom

    def token(self) -> str:
        """256 random bits as 43 URL-safe characters."""
        return secrets.token_urlsafe(32)


@dataclass(slots=True)
class Parts:
    """The rooms' inhabitants; ``draining`` turns true once, when the process stops."""

    runtime: Runtime
    clock: Callable[[], float]
    log: Log
    metrics: Metrics
    answers: Answers
    audit: Audit
    sessions: Sessions
    streams: Streams
    upstreams: Upstreams
    status: Status
    auth: Auth
    logout: Logout
    login: Login | None
    refresher: Refresher | None
    provider: Provider | None
    running: set[RequestHandler] = field(default_factory=set)
    draining: bool = False
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    def request_id(self) -> str:
        return secrets.token_hex(8)

    def begin(self, connection: RequestHandler) -> None:
        """A request is being answered on ``connection``."""
        self.running.add(connection)

    def end(self, connection: RequestHandler) -> None:
        """It has been."""
        self.running.discard(connection)
        if self.draining and not self.running:
            self._done.set()

    async def finished(self) -> None:
        """Return when no request runs any more; for a process that drains."""
        if self.running:
            await self._done.wait()


def assemble(settings: Settings, http: aiohttp.ClientSession, log: Log, world: World) -> Parts:
    """Wire everything for ``settings``. Raises ConfigError for unusable key files."""
    runtime = compile_runtime(settings, world.random)
    metrics, streams = Metrics(), Streams()
    metrics.sockets.set_function(lambda: len(streams))
    answers, audit = Answers(runtime), Audit(log, metrics, settings.claims.extra)
    sessions = Sessions(runtime, world.token)
    mint = Mint(runtime, world.token)
    provider = None
    if not settings.auth.disabled:
        provider = Provider(settings.provider, Calls(settings.provider, http, metrics), world.clock)
    login = refresher = None
    if provider is not None:
        refresher = Refresher(runtime, provider, sessions, streams, log)
        login = Login(runtime, provider, sessions, streams, answers, audit, world.token)

    def draining() -> bool:
        return parts.draining

    parts = Parts(
        runtime=runtime,
        clock=world.clock,
        log=log,
        metrics=metrics,
        answers=answers,
        audit=audit,
        sessions=sessions,
        streams=streams,
        upstreams=Upstreams(runtime, mint, streams, sessions.has_ended, world.clock, draining),
        status=Status(runtime, provider, answers, metrics, draining),
        auth=Auth(runtime, sessions, refresher, mint, answers, audit),
        logout=Logout(runtime, provider, sessions, streams, answers, audit, log, world.token),
        login=login,
        refresher=refresher,
        provider=provider,
    )
    metrics.running.set_function(lambda: len(parts.running))
    return parts
