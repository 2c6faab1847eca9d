"""What an idle client costs: resident memory of the whole process tree, minus before, each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import uvloop

from bench.clients import idle, sockets
from bench.contenders import AUTH_PROXY, NGINX, OAUTH2_PROXY
from bench.model import EACH, Plan, Samples, ScenarioFailed
from bench.place import Place, Subject

_NAMES = (AUTH_PROXY, NGINX, OAUTH2_PROXY)
_WARM_UP = 200

Opener = Callable[[Subject, int], AbstractAsyncContextManager[Sequence[object]]]


@dataclass(frozen=True, slots=True)
class Idle:
    """``number`` of them, opened by ``opener``; every round in a fresh process."""

    number: int
    opener: Opener
    settle: float = 1.0

    def __call__(self, place: Place, plan: Plan, found: Samples) -> None:
        for _ in range(plan.rounds):
            for name in _NAMES:
                if place.has(name):
                    with place.running(name) as subject:
                        grown = uvloop.run(self._grown(subject))
                    found.add(name, EACH, grown / 1024 / self.number)

    async def _grown(self, subject: Subject) -> int:
        async with self.opener(subject, _WARM_UP):
            await asyncio.sleep(self.settle)
        await asyncio.sleep(self.settle)
        before = subject.process.resident()
        async with self.opener(subject, self.number) as opened:
            await asyncio.sleep(self.settle)
            after = subject.process.resident()
            transports = [one.transport for one in opened]  # type: ignore[attr-defined]
            if closing := sum(transport.is_closing() for transport in transports):
                raise ScenarioFailed(f"{subject.name} closed {closing} of {self.number}")
        return after - before


CONNECTIONS = Idle(10_000, idle.kept)
SOCKETS = Idle(2_000, sockets.opened)
