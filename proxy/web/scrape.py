"""The board as Prometheus text, summed over its processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from proxy.web import board as at
from proxy.web.board import Board

_ALWAYS_SHOWN = (200, 302, 304)


def exposition(board: Board) -> bytes:
    """Everything on ``board``, and what the system knows of its processes."""
    registry, sums = CollectorRegistry(), board.sums()
    registry.register(_Processes(board.pids(), sums[at.PAST_CPU]))
    PlatformCollector(registry=registry)
    registry.register(_Counted(sums))
    return generate_latest(registry)


class _Counted(Collector):
    def __init__(self, cells: Sequence[float]) -> None:
        self._cells = cells

    def collect(self) -> Iterator[Metric]:
        yield self._by_status()
        yield self._answers()
        yield self._gauge("requests_running", "Being answered.", at.RUNNING)
        yield self._gauge("websockets_open", "Open WebSockets.", at.SOCKETS)
        yield self._refused()
        yield self._counter("logins", "Completed sign-ins.", at.LOGINS)
        yield self._counter("logouts", "Sign-outs.", at.LOGOUTS)
        yield self._counter("log_lines_lost", "Log lines that nobody took.", at.LOST_LINES)
        yield self._counter("upstream_ejections", "Addresses left out.", at.EJECTIONS)
        yield self._calls()
        if self._cells[at.WORKERS]:
            yield self._gauge("workers", "Processes that serve.", at.WORKERS)
            yield self._counter("worker_restarts", "Workers replaced.", at.RESTARTS)
            yield self._reloads()

    def _gauge(self, name: str, text: str, cell: int) -> Metric:
        return GaugeMetricFamily(f"auth_proxy_{name}", text, self._cells[cell])

    def _counter(self, name: str, text: str, cell: int) -> Metric:
        return CounterMetricFamily(f"auth_proxy_{name}", text, self._cells[cell])

    def _by_status(self) -> Metric:
        family = CounterMetricFamily("auth_proxy_requests", "Requests answered.", labels=["status"])
        for status in range(100, 600):
            count = self._cells[at.STATUS + status - 100]
            if count or status in _ALWAYS_SHOWN:
                family.add_metric([str(status)], count)
        return family

    def _answers(self) -> Metric:
        text = "Time from the request's head to the end of the answer."
        family = HistogramMetricFamily("auth_proxy_request_seconds", text, labels=[])
        counts = self._cells[at.SECONDS : at.SECONDS_SUM]
        family.add_metric([], _buckets(at.BOUNDS, counts), self._cells[at.SECONDS_SUM])
        return family

    def _refused(self) -> Metric:
        text = "Requests and sign-ins refused."
        family = CounterMetricFamily("auth_proxy_refused", text, labels=["reason"])
        for reason, cell in at.REASON_CELLS.items():
            if self._cells[cell]:
                family.add_metric([str(reason)], self._cells[cell])
        return family

    def _calls(self) -> Metric:
        family = HistogramMetricFamily(
            "auth_proxy_provider_seconds", "Calls to the provider.", labels=["call", "outcome"]
        )
        for labels, start in at.CALL_CELLS.items():
            *counts, total = self._cells[start : start + at.CALL_WIDTH]
            if any(counts):
                family.add_metric(list(labels), _buckets(at.CALL_BOUNDS, counts), total)
        return family

    def _reloads(self) -> Metric:
        text = "Configurations read again, at SIGHUP."
        family = CounterMetricFamily("auth_proxy_config_reloads", text, labels=["outcome"])
        family.add_metric(["reloaded"], self._cells[at.RELOADED])
        family.add_metric(["config_reload_failed"], self._cells[at.RELOAD_FAILED])
        return family


def _buckets(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    """Prometheus counts upwards: each bucket holds those below it, too."""
    names = [*map(floatToGoString, bounds), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


class _Processes(Collector):
    """``process_*`` as prometheus-client reads them, of all processes together."""

    def __init__(self, pids: Sequence[int], past_cpu: float) -> None:
        self._pids = pids
        self._past_cpu = past_cpu

    def collect(self) -> Iterator[Metric]:
        found: dict[str, list[Metric]] = {}
        for pid in self._pids:
            for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                found.setdefault(family.name, []).append(family)
        for name, families in found.items():
            values = [family.samples[0].value for family in families]
            total = min(values) if name == "process_start_time_seconds" else sum(values)
            if name == "process_cpu_seconds":
                total += self._past_cpu
            (first, *_) = families
            first.samples = [first.samples[0]._replace(value=total)]
            yield first
