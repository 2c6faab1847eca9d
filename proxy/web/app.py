"""Wiring and lifetimes: listen, serve, and stop without cutting anybody off."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from aiohttp import web

from proxy.config.settings import Settings
from proxy.config.types import parse_listen
from proxy.errors import ConfigError, ProviderError
from proxy.web.calls import open_session
from proxy.web.entry import Entry
from proxy.web.files import file_problems
from proxy.web.log import Log
from proxy.web.parts import Parts, World, assemble
from proxy.web.provider import Provider
from proxy.web.server import FrontServer, check_parser

_CHECK_EVERY = 30.0
_FLUSH_AFTER = 0.2


class App:
    """A proxy that listens; an asynchronous context manager.

    Addresses are those of ``settings``; a port of 0 takes any. ``port`` is the one that people
    reach, ``private_port`` that of metrics and readiness, 0 where it is switched off.
    """

    parts: Parts
    _server: asyncio.Server
    _front: FrontServer
    port: int = 0
    private_port: int = 0

    def __init__(self, settings: Settings, log: Log, world: World | None = None) -> None:
        self._settings = settings
        self._log = log
        self._world = world or World()
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
        if problems := file_problems(self._settings):
            raise ConfigError(problems)
        settings, loop = self._settings, asyncio.get_running_loop()
        self._log.schedule = lambda: _later(loop, self._log)
        self._stack.callback(self._log.flush)
        http = await self._stack.enter_async_context(open_session(settings.provider))
        self.parts = assemble(settings, http, self._log, self._world)
        self._stack.push_async_callback(self.parts.upstreams.close)
        if self.parts.refresher is not None:
            self._stack.push_async_callback(self.parts.refresher.close)
        entry = Entry(self.parts)
        self._front = FrontServer(entry.handle, settings.server, entry.unreadable)
        host, port = parse_listen(settings.server.listen)
        self._server = await loop.create_server(self._front, host, port, backlog=1024)
        self._stack.callback(self._server.close)
        self.port = int(self._server.sockets[0].getsockname()[1])
        if settings.server.private_listen:
            await self._start_private(*parse_listen(settings.server.private_listen))
        provider = self.parts.provider
        watching = self._keep_checking(provider) if provider else self._keep_warning()
        self._stack.push_async_callback(_cancel, loop.create_task(watching))
        self._announce()

    async def _start_private(self, host: str, port: int) -> None:
        runner = web.AppRunner(self.parts.status.private_app(), access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, host, port).start()
        self.private_port = int(runner.addresses[0][1])

    def _announce(self) -> None:
        settings = self._settings
        if not settings.auth.disabled and self.parts.runtime.access.lets_in_everyone:
            self._log.event("warning", "access is empty: whoever the provider signs in comes in")
        fields: dict[str, object] = {"url": settings.public_url, "listen": settings.server.listen}
        self._log.event("info", "serving", fields)
        if not settings.auth.disabled and (
            settings.identity.algorithm != "HS256" and not settings.identity.signing_key_files
        ):
            hint = "identity.signing_key_files is empty: a key was made for this run only"
            self._log.event("warning", hint)

    async def _keep_warning(self) -> None:
        """Nobody shall forget that this proxy guards nothing (R006)."""
        while True:
            self._log.event("warning", "auth.disabled: everybody is let through, as nobody")
            await asyncio.sleep(60)

    async def _keep_checking(self, provider: Provider) -> None:
        """Ask the provider now and then: sooner after a failure, and say what changes (F8)."""
        wait, failing = 1.0, False
        while True:
            try:
                await provider.check()
                if failing:
                    self._log.event("info", "the provider answers again")
                wait, failing = _CHECK_EVERY, False
            except ProviderError as exc:
                if not failing:
                    fields: dict[str, object] = {"reason": str(exc.reason)}
                    self._log.event("warning", f"the provider cannot be used: {exc.detail}", fields)
                wait, failing = (min(wait * 2, _CHECK_EVERY) if failing else 1.0), True
            except Exception as exc:  # a fault of ours must not end the checking
                self._log.exception(exc, "-")
                wait, failing = _CHECK_EVERY, True
            await asyncio.sleep(wait)

    async def drain(self) -> None:
        """Stop accepting; let running requests finish, within ``server.drain_timeout``."""
        self.parts.draining = True
        self._server.close()
        self.parts.streams.end_all()
        self._front.close_idle(self.parts.running)
        try:
            async with asyncio.timeout(self._settings.server.drain_timeout):
                await self.parts.finished()
        except TimeoutError:
            left: dict[str, object] = {"requests": len(self.parts.running)}
            self._log.event("warning", "drain_timeout is over: cutting what still runs", left)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self._front.close_idle(self.parts.running)
        await self._front.shutdown(timeout=0.1)
        await self._stack.aclose()


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _later(loop: asyncio.AbstractEventLoop, log: Log) -> None:
    loop.call_later(_FLUSH_AFTER, log.flush)
