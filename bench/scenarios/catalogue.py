"""Every scenario, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.contenders import (
    APACHE,
    AUTH_PROXY,
    NGINX,
    NGINX_RETURN,
    NGINX_STREAMING,
    OAUTH2_PROXY,
)
from bench.model import Plan, Samples
from bench.place import Place
from bench.scenarios import idle, logins, small, sockets, start, workers
from bench.scenarios.bodies import Bodies
from bench.scenarios.events import Events

Run = Callable[[Place, Plan, Samples], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """``key`` is its name on the command line; ratios are to the best of ``reference``."""

    key: str
    title: str
    reference: tuple[str, ...]
    run: Run


_FASTER_NGINX = (NGINX, NGINX_STREAMING)

RIVALS = ((OAUTH2_PROXY,), (APACHE,))
"""Ratios are to these as well, where they are on the machine and were measured."""

SCENARIOS = (
    Scenario("get", "Authenticated small GET, session in the cookie", (NGINX,), small.GET),
    Scenario("get-distinct", "The same, every path and answer new", (NGINX,), small.DISTINCT),
    Scenario("get-redis", "The same, session in Redis", (AUTH_PROXY,), small.IN_REDIS),
    Scenario("get-bearer", "The same, with a bearer JWT", (AUTH_PROXY,), small.BEARER),
    Scenario("auth", "Forward-auth endpoint", (NGINX_RETURN,), small.AUTH),
    Scenario("navigation", "Navigation without a session (302)", (NGINX_RETURN,), small.NAVIGATION),
    Scenario("post", "POST of 10 kB", (NGINX,), small.POST),
    Scenario("down-1m", "Download of 1 MiB", _FASTER_NGINX, Bodies("1m", up=False)),
    Scenario("up-1m", "Upload of 1 MiB", _FASTER_NGINX, Bodies("1m", up=True)),
    Scenario("down-100m", "Download of 100 MiB", _FASTER_NGINX, Bodies("100m", up=False)),
    Scenario("up-100m", "Upload of 100 MiB", _FASTER_NGINX, Bodies("100m", up=True)),
    Scenario("events", "Server-sent events, one stream", (NGINX,), Events(1, 0.005)),
    Scenario("events-200", "Server-sent events, 200 streams", (NGINX,), Events(200, 0.1)),
    Scenario("echo", "WebSocket echo", (NGINX,), sockets.measure),
    Scenario("idle", "10,000 idle keep-alive connections", (NGINX,), idle.CONNECTIONS),
    Scenario("idle-sockets", "2,000 idle WebSockets", (NGINX,), idle.SOCKETS),
    Scenario("logins", "Whole sign-ins", (), logins.measure),
    Scenario("start", "Cold start to the first authenticated answer", (NGINX,), start.cold),
    Scenario("rest", "Memory at rest", (NGINX,), start.rest),
    Scenario("workers", "Two workers against one", (AUTH_PROXY,), workers.measure),
)
