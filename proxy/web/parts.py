"""What a running proxy is made of, wired once."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from proxy.config.providers import installation
from proxy.config.settings import Settings
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.register import Register
from proxy.web.admin import Admin
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import Auth
from proxy.web.crew import Crew
from proxy.web.exchange import Authorizations
from proxy.web.fast import FastLane
from proxy.web.judge import Judge
from proxy.web.ledger import Ledger
from proxy.web.log import Log
from proxy.web.logout import Logout
from proxy.web.metrics import Metrics
from proxy.web.mint import Mint
from proxy.web.pools import teller
from proxy.web.programs import Programs, open_programs
from proxy.web.providers import Providers
from proxy.web.refresh import Refresher
from proxy.web.runtime import Runtime, compile_runtime
from proxy.web.sessions import Sessions
from proxy.web.sign_in import Desk, SignIn, open_providers
from proxy.web.status import Status
from proxy.web.streams import Streams
from proxy.web.upstream import Upstreams
from proxy.web.world import World


@dataclass(slots=True, eq=False, repr=False)
class Parts:
    """The rooms' inhabitants; ``draining`` turns true once, when the process ends, ``stopping``
    when nobody takes its place."""

    runtime: Runtime
    keeping: Keeping
    log: Log
    metrics: Metrics
    answers: Answers
    audit: Audit
    sessions: Sessions
    streams: Streams
    upstreams: Upstreams
    ledger: Ledger
    judge: Judge
    programs: Programs
    world: World
    fast: FastLane
    status: Status
    auth: Auth
    logout: Logout
    sign_in: SignIn | None
    refresher: Refresher | None
    providers: Providers | None
    draining: bool = False
    stopping: bool = False

    @property
    def clock(self) -> Callable[[], float]:
        """Gives Unix seconds."""
        return self.world.clock


def assemble(
    settings: Settings, http: aiohttp.ClientSession, log: Log, world: World, crew: Crew
) -> Parts:
    """Wire everything for ``settings``. Raises ConfigError for unusable key files."""
    runtime, metrics = compile_runtime(settings, world.random, crew.made), crew.metrics
    ledger = _ledger(runtime, log, metrics, world)
    streams = Streams(lambda: ledger.running)
    answers, audit = Answers(runtime), Audit(log, metrics, runtime.extra_claims)
    keeping = _keeping(runtime, log, world, crew)
    sessions = Sessions(runtime, keeping, world.token, streams.end_session, streams.sessions)
    mint = Mint(runtime, world.token)
    desk = Desk(runtime, keeping, sessions, answers, audit, log, world)
    providers, admissions, refresher = None, None, None
    if not settings.auth.disabled:
        providers = open_providers(runtime, http, metrics, world)
        admissions = desk.admissions(http, mint)
        refresher = desk.refresher(providers, admissions)
    programs = open_programs(desk, providers, admissions, http, metrics)
    judge, admin = Judge(runtime), _admin(runtime, keeping.register, audit, world.clock)
    auth = Auth(runtime, sessions, programs.identify, refresher, mint, answers, audit)
    held = Authorizations(providers, world.clock)
    tell, has_ended = teller(log, metrics), sessions.has_ended
    upstreams = Upstreams(runtime, mint, held, streams, has_ended, world.clock, tell)
    parts = Parts(
        runtime=runtime,
        keeping=keeping,
        log=log,
        metrics=metrics,
        answers=answers,
        audit=audit,
        sessions=sessions,
        streams=streams,
        upstreams=upstreams,
        ledger=ledger,
        judge=judge,
        programs=programs,
        world=world,
        fast=FastLane(runtime, judge, sessions, programs, upstreams, auth, ledger),
        status=Status(
            runtime, keeping.store, providers, answers, metrics, lambda: parts.stopping, admin
        ),
        auth=auth,
        logout=Logout(runtime, providers, sessions, answers, audit, log, world.token),
        sign_in=desk.sign_in(providers, admissions, auth) if providers and admissions else None,
        refresher=refresher,
        providers=providers,
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

    return open_keeping(
        settings, installation(settings), secrets, world.clock, world.random, tell, path
    )


def _admin(
    runtime: Runtime, register: Register, audit: Audit, clock: Callable[[], float]
) -> Admin | None:
    token = runtime.settings.server.admin_token.reveal()
    issuer = runtime.providers[0].issuer_url if len(runtime.providers) == 1 else ""
    return Admin(token, str(issuer or ""), register, audit, clock) if token else None


def _request_ids(random: Callable[[int], bytes]) -> Callable[[], str]:
    """Ids of 16 hexadecimal digits: a prefix of this process, and a count."""
    prefix, count = random(5).hex(), itertools.count(int.from_bytes(random(2)))
    return lambda: f"{prefix}{next(count) & 0xFFFFFF:06x}"
