"""What a running proxy is made of, wired once."""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from proxy.config.settings import Settings
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.register import Register
from proxy.web.admin import Admin
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import Auth
from proxy.web.calls import Calls
from proxy.web.crew import Crew
from proxy.web.fast import FastLane
from proxy.web.judge import Judge
from proxy.web.ledger import Ledger
from proxy.web.log import Log
from proxy.web.login import Login
from proxy.web.logout import Logout
from proxy.web.metrics import Metrics
from proxy.web.mint import Mint
from proxy.web.pools import teller
from proxy.web.provider import Provider
from proxy.web.refresh import Refresher
from proxy.web.runtime import Runtime, compile_runtime
from proxy.web.sessions import Sessions
from proxy.web.status import Status
from proxy.web.streams import Streams
from proxy.web.upstream import Upstreams


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class World:
    """Time and randomness, handed in: ``clock`` gives Unix seconds, ``random`` n bytes."""

    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom

    def token(self) -> str:
        """256 random bits as 43 URL-safe characters."""
        return secrets.token_urlsafe(32)


@dataclass(slots=True, eq=False, repr=False)
class Parts:
    """The rooms' inhabitants; ``draining`` turns true once, when the process ends, ``stopping``
    when nobody takes its place."""

    runtime: Runtime
    keeping: Keeping
    clock: Callable[[], float]
    log: Log
    metrics: Metrics
    answers: Answers
    audit: Audit
    sessions: Sessions
    streams: Streams
    upstreams: Upstreams
    ledger: Ledger
    judge: Judge
    fast: FastLane
    status: Status
    auth: Auth
    logout: Logout
    login: Login | None
    refresher: Refresher | None
    provider: Provider | None
    draining: bool = False
    stopping: bool = False


def assemble(
    settings: Settings, http: aiohttp.ClientSession, log: Log, world: World, crew: Crew
) -> Parts:
    """Wire everything for ``settings``. Raises ConfigError for unusable key files."""
    runtime = compile_runtime(settings, world.random, crew.made)
    metrics = crew.metrics
    ledger = _ledger(runtime, log, metrics, world)
    streams = Streams(lambda: ledger.running)
    answers, audit = Answers(runtime), Audit(log, metrics, settings.claims.extra)
    keeping = _keeping(runtime, log, world, crew)
    sessions = Sessions(runtime, keeping, world.token, streams.end_session, streams.sessions)
    mint = Mint(runtime, world.token)
    provider, login, refresher = None, None, None
    if not settings.auth.disabled:
        provider = Provider(settings.provider, Calls(settings.provider, http, metrics), world.clock)
        refresher = Refresher(runtime, provider, sessions, keeping.locks, log, world.clock)
        login = Login(runtime, provider, sessions, keeping.register, answers, audit, world.token)
    admin = _admin(settings, keeping.register, audit, world.clock)

    def draining() -> bool:
        return parts.stopping

    tell = teller(log, metrics)
    upstreams = Upstreams(runtime, mint, streams, sessions.has_ended, world.clock, tell)
    judge, auth = Judge(runtime), Auth(runtime, sessions, refresher, mint, answers, audit)
    parts = Parts(
        runtime=runtime,
        keeping=keeping,
        clock=world.clock,
        log=log,
        metrics=metrics,
        answers=answers,
        audit=audit,
        sessions=sessions,
        streams=streams,
        upstreams=upstreams,
        ledger=ledger,
        judge=judge,
        fast=FastLane(runtime, judge, sessions, upstreams, auth, ledger),
        status=Status(runtime, keeping.store, provider, answers, metrics, draining, admin),
        auth=auth,
        logout=Logout(runtime, provider, sessions, answers, audit, log, world.token),
        login=login,
        refresher=refresher,
        provider=provider,
    )
    log.on_loss = metrics.lose
    metrics.watch(lambda: len(ledger.running), lambda: len(streams))
    return parts


def _ledger(runtime: Runtime, log: Log, metrics: Metrics, world: World) -> Ledger:
    new_id = _request_ids(world.random)
    return Ledger(runtime.trust, log, metrics, world.clock, time.perf_counter, new_id)


def _keeping(runtime: Runtime, log: Log, world: World, crew: Crew) -> Keeping:
    path = crew.made.shelf if crew.made else ""
    settings, secrets = runtime.settings, runtime.secrets

    def tell(words: str) -> None:
        log.event("warning", words)

    return open_keeping(settings, secrets, world.clock, world.random, tell, path)


def _admin(
    settings: Settings, register: Register, audit: Audit, clock: Callable[[], float]
) -> Admin | None:
    token, issuer = settings.server.admin_token.reveal(), settings.provider.issuer_url
    return Admin(token, str(issuer or ""), register, audit, clock) if token else None


def _request_ids(random: Callable[[int], bytes]) -> Callable[[], str]:
    """Ids of 16 hexadecimal digits: a prefix of this process, and a count."""
    prefix, count = random(5).hex(), itertools.count(int.from_bytes(random(2)))
    return lambda: f"{prefix}{next(count) & 0xFFFFFF:06x}"
