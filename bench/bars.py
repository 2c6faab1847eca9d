"""What is promised, and whether a run kept it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bench.contenders import (
    AUTH_PROXY,
    NGINX,
    NGINX_RETURN,
    NGINX_STREAMING,
    OAUTH2_PROXY,
    TWO_WORKERS,
    WITH_BEARER,
    WITH_REDIS,
)
from bench.model import (
    ADDED_50,
    ADDED_99,
    BYTES,
    CPU,
    EACH,
    GROWTH,
    LOST,
    REQUESTS,
    START,
    Metric,
    Outcome,
)

Figure = Callable[[Outcome], float | None]


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    OPEN = "not measured"


@dataclass(frozen=True, slots=True)
class Bar:
    """``figure`` of the scenario must be at least, or at most, ``limit``."""

    text: str
    scenario: str
    figure: Figure
    limit: float
    at_least: bool = False
    unit: str = ""

    def judge(self, outcomes: Mapping[str, Outcome]) -> Judged:
        value = self.figure(outcomes[self.scenario])
        if value is None:
            return Judged(self, None, Verdict.OPEN)
        kept = value >= self.limit if self.at_least else value <= self.limit
        return Judged(self, value, Verdict.MET if kept else Verdict.MISSED)


@dataclass(frozen=True, slots=True)
class Judged:
    """A bar and what came out; ``value`` is a median."""

    bar: Bar
    value: float | None
    verdict: Verdict


def ratio(metric: Metric, *to: str, subject: str = AUTH_PROXY) -> Figure:
    """Of ``subject`` to the best of ``to`` that was measured, round by round."""

    def figure(outcome: Outcome) -> float | None:
        ours, other = outcome.find(subject, metric), outcome.best(to, metric)
        spread = ours.ratio(other) if ours and other else None
        return spread.middle if spread else None

    return figure


def middle(metric: Metric) -> Figure:
    def figure(outcome: Outcome) -> float | None:
        ours = outcome.find(AUTH_PROXY, metric)
        return ours.spread.middle if ours else None

    return figure


def largest(metric: Metric) -> Figure:
    def figure(outcome: Outcome) -> float | None:
        ours = outcome.find(AUTH_PROXY, metric)
        return ours.spread.high if ours else None

    return figure


_FASTER_NGINX = (NGINX, NGINX_STREAMING)

BARS = (
    Bar("small GET, of nginx", "get", ratio(REQUESTS, NGINX), 0.50, True, "×"),
    Bar("small GET, of oauth2-proxy", "get", ratio(REQUESTS, OAUTH2_PROXY), 10, True, "×"),
    Bar(
        "small GET with sessions in Redis, of those in the cookie",
        "get-redis",
        ratio(REQUESTS, AUTH_PROXY, subject=WITH_REDIS),
        0.8,
        True,
        "×",
    ),
    Bar(
        "small GET with a bearer JWT, of a cookie's",
        "get-bearer",
        ratio(REQUESTS, AUTH_PROXY, subject=WITH_BEARER),
        0.8,
        True,
        "×",
    ),
    Bar("forward-auth, of nginx's return", "auth", ratio(REQUESTS, NGINX_RETURN), 0.35, True, "×"),
    Bar("forward-auth, of oauth2-proxy", "auth", ratio(REQUESTS, OAUTH2_PROXY), 5, True, "×"),
    Bar(
        "100 MiB down, of the faster nginx",
        "down-100m",
        ratio(BYTES, *_FASTER_NGINX),
        0.70,
        True,
        "×",
    ),
    Bar(
        "100 MiB up, of the faster nginx", "up-100m", ratio(BYTES, *_FASTER_NGINX), 0.70, True, "×"
    ),
    Bar("100 MiB down, memory growth", "down-100m", largest(GROWTH), 32, unit=" MiB"),
    Bar("100 MiB up, memory growth", "up-100m", largest(GROWTH), 32, unit=" MiB"),
    Bar("one event stream, added delay, half", "events", middle(ADDED_50), 0.3, unit=" ms"),
    Bar("one event stream, added delay, 99 %", "events", middle(ADDED_99), 2, unit=" ms"),
    Bar("200 event streams, added delay, half", "events-200", middle(ADDED_50), 0.3, unit=" ms"),
    Bar("200 event streams, added delay, 99 %", "events-200", middle(ADDED_99), 2, unit=" ms"),
    Bar("200 event streams, events lost", "events-200", largest(LOST), 0),
    Bar("idle keep-alive connection", "idle", middle(EACH), 12, unit=" KiB"),
    Bar("idle WebSocket", "idle-sockets", middle(EACH), 40, unit=" KiB"),
    Bar(
        "two workers, CPU time per request",
        "workers",
        ratio(CPU, AUTH_PROXY, subject=TWO_WORKERS),
        1.15,
        unit="×",
    ),
    Bar("cold start to first answer", "start", middle(START), 600, unit=" ms"),
)


def judge(outcomes: Mapping[str, Outcome]) -> list[Judged]:
    """The bars of the scenarios that were asked for."""
    return [bar.judge(outcomes) for bar in BARS if bar.scenario in outcomes]
