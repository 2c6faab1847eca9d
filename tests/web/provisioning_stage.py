"""An upstream that is told of people, and who tells it, for the tests of provisioning."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from proxy.config.settings import Settings
from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.model import Session, Tokens
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.locks import Locks
from proxy.session.provisioned import Provisioned
from proxy.web.calls import open_session
from proxy.web.log import Log
from proxy.web.mint import Mint
from proxy.web.provisioning import Provisioner
from proxy.web.runtime import Runtime, compile_runtime
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, person
from tests.web.place import SECRET


@dataclass
class Said:
    """One answer of the upstream's."""

    status: int = 204
    body: bytes = b""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    wait: asyncio.Event | None = None


class Upstream:
    """Records calls; answers as ``script`` says, then 204."""

    def __init__(self) -> None:
        self.script: list[Said] = []
        self.seen: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []
        self.arrived = asyncio.Event()

    async def start(self, stack: AsyncExitStack, **options: Any) -> int:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0, **options).start()
        return int(runner.addresses[0][1])

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.path, request.headers, json.loads(await request.read())))
        said = self.script.pop(0) if self.script else Said()
        self.arrived.set()
        if said.wait is not None:
            await said.wait.wait()
        headers = {"Content-Type": said.kind, **said.headers}
        return web.Response(status=said.status, body=said.body, headers=headers)


class Stage:
    """``async with Stage(when="always") as stage``: an upstream, and who tells it of people."""

    def __init__(self, *, when: str = "first", **settings: Any) -> None:
        self.clock = FakeClock()
        self.shelf = MemoryShelf(self.clock)
        self.upstream = Upstream()
        self.pauses: list[float] = []
        self._given = {"when": when, "timeout": 5, **settings}
        self._log = io.StringIO()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.port = await self.upstream.start(self._stack)
        self._given.setdefault("url", f"http://127.0.0.1:{self.port}/provision")
        self.settings = settings(self._given, f"http://127.0.0.1:{self.port}/base")
        self.http = await self._stack.enter_async_context(open_session())
        self.runtime = compile_runtime(self.settings, os.urandom)
        self.provisioner = self.another()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def another(self, runtime: Runtime | None = None) -> Provisioner:
        """As a further replica."""
        runtime = runtime or self.runtime
        return Provisioner(
            runtime,
            keeping(runtime, self.shelf, self.clock),
            self.http,
            Mint(runtime, lambda: "jti"),
            Log(self._log, self.clock, "json"),
            self.clock,
            lambda: "made-up",
            self._pause,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.advance(seconds)

    def session(self, **facts: Any) -> Session:
        now = self.clock()
        who = person(role="member", roles=("member",), provider="main", **facts)
        return Session("s" * 43, who, Tokens(""), now, now + HOUR, now)

    async def admit(self, **facts: Any) -> str:
        return await self.provisioner.admit(self.session(**facts), self.clock(), "request-1")

    def audited(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def written(self) -> str:
        return self._log.getvalue()

    @property
    def calls(self) -> int:
        return len(self.upstream.seen)


def settings(provisioning: dict[str, Any], upstream: str | list[str]) -> Settings:
    return Settings.model_validate(
        {
            "public_url": "https://play.example.gouv.fr",
            "upstream": upstream,
            "provider": {
                "issuer_url": "https://idp.example.org",
                "client_id": "proxy",
                "client_secret": "secret",
            },
            "cookie": {"secret": SECRET},
            "provisioning": provisioning,
        }
    )


def keeping(runtime: Runtime, shelf: MemoryShelf, clock: FakeClock) -> Keeping:
    found = open_keeping(runtime.settings, "c", runtime.secrets, clock, os.urandom, print)
    return replace(
        found,
        shelf=shelf,
        locks=Locks(shelf, clock, lambda: os.urandom(16).hex()),
        provisioned=Provisioned(
            shelf, Sealer(runtime.secrets, "provisioned"), Pseudonyms(runtime.secrets)
        ),
    )
