"""What is counted, as Prometheus text. No label ever holds what a client or person sent."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "auth_proxy_requests", "Requests answered.", ["status"], registry=registry
        )
        self.seconds = Histogram(
            "auth_proxy_request_seconds",
            "Time from the request's head to the end of the answer.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
            registry=registry,
        )
        self.running = Gauge("auth_proxy_requests_running", "Being answered.", registry=registry)
        self.sockets = Gauge("auth_proxy_websockets_open", "Open WebSockets.", registry=registry)
        self.refused = Counter(
            "auth_proxy_refused", "Requests and sign-ins refused.", ["reason"], registry=registry
        )
        self.logins = Counter("auth_proxy_logins", "Completed sign-ins.", registry=registry)
        self.logouts = Counter("auth_proxy_logouts", "Sign-outs.", registry=registry)
        self.provider = Histogram(
            "auth_proxy_provider_seconds",
            "Calls to the provider.",
            ["call", "outcome"],
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        self._by_status = {code: self.requests.labels(str(code)) for code in (200, 304, 302)}

    def answered(self, status: int, seconds: float) -> None:
        """One request has been answered."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self.requests.labels(str(status))
        counter.inc()
        self.seconds.observe(seconds)

    def render(self) -> bytes:
        return generate_latest(self.registry)
