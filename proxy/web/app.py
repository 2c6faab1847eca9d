"""Wiring and lifetimes: listen, serve, and stop without cutting anybody off."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any

from aiohttp import web

from proxy.config.settings import Settings
from proxy.errors import ConfigError, ProviderError
from proxy.web.calls import open_session
from proxy.web.certificates import HANDSHAKE_TIMEOUT, Certificates
from proxy.web.crew import Crew
from proxy.web.entry import Entry
from proxy.web.fast import FastLane
from proxy.web.files import file_problems
from proxy.web.front import Front, most_clients
from proxy.web.listeners import Listener, bind, close_all
from proxy.web.log import Log
from proxy.web.parts import Parts, assemble
from proxy.web.places import Places
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.redirect import HttpsOnly
from proxy.web.server import Handler, check_parser
from proxy.web.sockets import BACKLOG
from proxy.web.world import World

_FLUSH_AFTER = 0.2
_ASK_WITHIN = 3.0
_LINGER = 0.5


class App:
    """A proxy that listens; an asynchronous context manager.

    It serves ``listeners``, and closes their sockets when it stops; without any it binds what
    ``settings`` name, where a port of 0 takes any. ``port`` is the first that people reach,
    ``tls_port`` the first that speaks TLS, ``private_port`` that of metrics and readiness; each
    is 0 where there is none.
    """

    parts: Parts
    _fronts: dict[bool, Front]
    """The one that serves, and under True the one that redirects."""
    port: int = 0
    tls_port: int = 0
    private_port: int = 0

    def __init__(
        self,
        settings: Settings,
        log: Log,
        world: World | None = None,
        listeners: Sequence[Listener] | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._settings = settings
        self._log = log
        self._world = world or World()
        self._crew = crew or Crew()
        self._handed = listeners
        self._listeners: Sequence[Listener] = ()
        self._servers: list[asyncio.Server] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> App:
        """Start listening. Raises ConfigError and OSError when that is impossible."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        check_parser()
        self._bind()
        settings, loop = self._settings, asyncio.get_running_loop()
        self._log.schedule = lambda: _later(loop, self._log)
        self._stack.callback(self._log.flush)
        http = await self._stack.enter_async_context(open_session())
        self.parts = assemble(settings, http, self._log, self._world, self._crew)
        self._stack.push_async_callback(self.parts.keeping.shelf.close)
        self._stack.push_async_callback(self.parts.programs.limits.close)
        self._stack.push_async_callback(self.parts.upstreams.close)
        self._keep(self._keep_listening())
        self._keep(self.parts.streams.watch(self.parts.sessions.has_ended, self._world.clock))
        self._stack.push_async_callback(self.parts.logout.close)
        if self.parts.refresher is not None:
            self._stack.push_async_callback(self.parts.refresher.close)
        self._make_fronts()
        self._keep(self.parts.runtime.lists.watch(self._log.event))
        providers = self.parts.providers
        if providers and self._crew.relieves:
            await _ask_first(providers)
        await self._listen()
        for provider in providers.all if providers else ():
            self._keep(self._keep_checking(provider))
        if providers is None:
            self._keep(self._keep_warning())
        if self._crew.speaks and not self._crew.replaces:
            self._announce()

    def _make_fronts(self) -> None:
        parts, now = self.parts, asyncio.get_running_loop().time
        places = Places(most_clients(self._settings.server), parts.metrics, self._log, now)

        def front(handler: Handler, fast: FastLane | None) -> Front:
            server, ledger = self._settings.server, parts.ledger
            return Front(server, handler, ledger, places, fast)

        self._fronts = {False: front(Entry(parts).handle, parts.fast)}
        if any(listener.redirect for listener in self._listeners):
            self._fronts[True] = front(HttpsOnly(parts).handle, None)

    def _bind(self) -> None:
        """Raises ConfigError for everything that is wrong with files and addresses, at once."""
        # Who comes later has what the others have, whatever has become of the files.
        problems = [] if self._crew.replaces else file_problems(self._settings)
        if self._handed is not None:
            self._listeners = self._handed
        else:
            try:
                self._listeners = bind(self._settings.server)
            except ConfigError as exc:
                problems += exc.problems
        self._stack.callback(self._unbind)
        if problems:
            raise ConfigError(problems)

    def _unbind(self) -> None:
        """Whoever bound a unix socket removes its file: others may go on using it."""
        if self._handed is None:
            close_all(self._listeners)
        for listener in self._listeners:
            listener.sock.close()

    async def _listen(self) -> None:
        """Begin to accept, on everything."""
        private, secure = await self._private_factory(), self._certificates()
        for listener in self._listeners:
            if listener.private:
                server = await _serve(listener, private)
                self._stack.callback(server.close)
                self.private_port = self.private_port or listener.port
                continue
            self.port = self.port or (0 if listener.tls else listener.port)
            self.tls_port = self.tls_port or (listener.port if listener.tls else 0)
            front = self._fronts[listener.redirect]
            self._servers.append(await _serve(listener, front, secure))
        self.port = self.port or self.tls_port

    async def _private_factory(self) -> Callable[[], Any]:
        app = self.parts.status.private_app()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        assert runner.server is not None  # noqa: S101  # as it is after setup
        return runner.server

    def _certificates(self) -> ssl.SSLContext | None:
        if not any(listener.tls for listener in self._listeners):
            return None
        log = self._log if self._crew.speaks else None
        certificates = self._crew.certificates or Certificates(self._settings.server, None)
        certificates.speak(log)
        self._keep(certificates.watch())
        return certificates.context

    def _keep(self, watching: Coroutine[Any, Any, None]) -> None:
        """Run it until we stop."""
        task = asyncio.get_running_loop().create_task(watching)
        self._stack.push_async_callback(_cancel, task)

    def _announce(self) -> None:
        settings = self._settings
        if not settings.auth.disabled and self.parts.runtime.access.lets_in_everyone:
            self._log.event("warning", "access is empty: whoever the provider signs in comes in")
        listen = ",".join((*settings.server.listen, *settings.server.tls_listen))
        fields: dict[str, object] = {
            "url": settings.public_url,
            "listen": listen,
            "workers": self._crew.workers,
        }
        self._log.event("info", "serving", fields)
        if not settings.auth.disabled and (
            settings.identity.algorithm != "HS256" and not settings.identity.signing_key_files
        ):
            hint = "identity.signing_key_files is empty: a key was made for this run only"
            self._log.event("warning", hint)

    async def _keep_listening(self) -> None:
        """Whoever ends sessions must be heard, whatever went wrong with the last who did."""
        while True:
            try:
                await self.parts.sessions.listen(self._world.clock)
            except Exception as exc:
                for each in exc.exceptions if isinstance(exc, ExceptionGroup) else (exc,):
                    self._log.exception(each, "-")
            await asyncio.sleep(1)

    async def _keep_warning(self) -> None:
        """Nobody shall forget that this proxy guards nothing (R006)."""
        while True:
            if self._crew.speaks:
                self._log.event("warning", "auth.disabled: everybody is let through, as nobody")
            await asyncio.sleep(60)

    async def _keep_checking(self, provider: IdentityProvider) -> None:
        """Ask the provider now and then: sooner after a failure, and say what changes (F8)."""
        every, failing = provider.settings.check_every, False
        wait, who = every, "the provider"
        if self._settings.providers:
            who = f"the provider {provider.name}"
        while True:
            try:
                await provider.check()
                if failing:
                    self._log.event("info", f"{who} answers again")
                wait, failing = every, False
            except ProviderError as exc:
                if not failing:
                    fields: dict[str, object] = {"reason": str(exc.reason)}
                    self._log.event("warning", f"{who} cannot be used: {exc.detail}", fields)
                wait, failing = (min(wait * 2, every) if failing else min(1.0, every)), True
            except Exception as exc:  # a fault of ours must not end the checking
                self._log.exception(exc, "-")
                wait, failing = every, True
            await asyncio.sleep(wait)

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()

    def _close_idle(self) -> None:
        for front in self._fronts.values():
            front.close_idle(self.parts.ledger.running)

    async def drain(self, *, retiring: bool = False) -> None:
        """Stop accepting; let running requests finish, within ``server.drain_timeout``.

        ``retiring``: others serve in our place, so that we are as ready as ever.
        """
        self.parts.draining = True
        for front in self._fronts.values():
            front.is_draining = True
        self.parts.stopping = not retiring
        self._stop_accepting()
        self.parts.streams.end_all()
        try:
            async with asyncio.timeout(self._settings.server.drain_timeout):
                await self._last_requests()
                self._close_idle()
                await self.parts.ledger.finished()
        except TimeoutError:
            left: dict[str, object] = {"requests": len(self.parts.ledger.running)}
            self._log.event("warning", "drain_timeout is over: cutting what still runs", left)

    async def _last_requests(self) -> None:
        """Idle connections may have a request on its way: wait a moment before closing them.

        Clients learn from each answer that it is their connection's last.
        """
        for _ in range(round(_LINGER / 0.02)):
            connections = sum(len(front.connections) for front in self._fronts.values())
            if connections <= len(self.parts.ledger.running):
                return
            await asyncio.sleep(0.02)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_accepting()
        self._close_idle()
        for front in self._fronts.values():
            await front.shutdown(timeout=0.1)
        await self._stack.aclose()


async def _serve(
    listener: Listener, factory: Callable[[], Any], secure: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Accept connections on ``listener``; those of a TLS one get through ``secure`` first."""
    loop, options = asyncio.get_running_loop(), dict[str, Any](sock=listener.sock)
    if listener.tls:
        options |= {"ssl": secure, "ssl_handshake_timeout": HANDSHAKE_TIMEOUT}
    if not listener.unix:
        return await loop.create_server(factory, backlog=BACKLOG, **options)
    if sys.version_info >= (3, 13):
        options["cleanup_socket"] = False  # the file may be another's by then
    return await loop.create_unix_server(factory, backlog=BACKLOG, **options)


async def _ask_first(providers: Providers) -> None:
    """Know the providers before people come: those whom we relieve serve them meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_ASK_WITHIN):
            checks = (provider.check() for provider in providers.all)
            await asyncio.gather(*checks, return_exceptions=True)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _later(loop: asyncio.AbstractEventLoop, log: Log) -> None:
    loop.call_later(_FLUSH_AFTER, log.flush)
