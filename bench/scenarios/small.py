"""Small requests: authenticated GET, forward-auth, a navigation to sign in, a POST of 10 kB."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.clients.bodies import ask
from bench.contenders import (
    APACHE,
    AUTH_PROXY,
    NGINX,
    NGINX_RETURN,
    OAUTH2_PROXY,
    WITH_BEARER,
    WITH_REDIS,
)
from bench.load import Load, Shot, wrk
from bench.model import (
    COOKIE,
    CPU,
    LATENCY_50,
    LATENCY_99,
    REQUESTS,
    Plan,
    Samples,
    ScenarioFailed,
    turned,
)
from bench.place import Place, Subject

_WARM_UP = 1.0
_REFUSED = rb'"status": ?[45]\d\d'  # in auth-proxy's access log


@dataclass(frozen=True, slots=True)
class Small:
    """One kind of request, repeated; ``status`` is what its answer must have."""

    names: tuple[str, ...]
    shot: Shot
    status: frozenset[int]
    signed_in: bool = True

    def __call__(self, place: Place, plan: Plan, found: Samples) -> None:
        with place.all_running(*self.names) as subjects:
            for subject in subjects:
                self._check(subject)
                self._fire(place, subject, _WARM_UP)
                if self.signed_in and subject.cookie:
                    found.add(subject.name, COOKIE, len(subject.cookie))
            for number in range(plan.rounds):
                for subject in turned(subjects, number):
                    before = subject.process.cpu_seconds()
                    load = self._fire(place, subject, plan.seconds)
                    used = subject.process.cpu_seconds() - before
                    record(found, subject.name, load, used)

    def _shot(self, subject: Subject) -> Shot:
        headers = {**(self.shot.headers or {}), **(subject.headers if self.signed_in else {})}
        return replace(self.shot, headers=headers)

    def _check(self, subject: Subject) -> None:
        shot = self._shot(subject)
        if shot.method == "GET":
            status = ask(subject.port, shot.path, shot.headers or {})
            if status not in self.status:
                raise ScenarioFailed(f"{subject.name} answers {shot.path} with {status}")
        if not subject.process.is_pinned():
            raise ScenarioFailed(f"{subject.name} runs on more than its core")

    def _fire(self, place: Place, subject: Subject, seconds: float) -> Load:
        try:
            return wrk(subject.port, place.cores.load, self._shot(subject), seconds)
        except ScenarioFailed as exc:
            refused = subject.process.last_line_with(_REFUSED)
            raise ScenarioFailed(f"{subject.name}: {exc} {refused}".strip()) from None


@dataclass(frozen=True, slots=True)
class WithRedis:
    """The same while a Redis runs, for who keeps sessions there."""

    small: Small

    def __call__(self, place: Place, plan: Plan, found: Samples) -> None:
        with place.redis():
            self.small(place, plan, found)


def record(found: Samples, name: str, load: Load, cpu_seconds: float) -> None:
    found.add(name, REQUESTS, load.rate)
    found.add(name, LATENCY_50, load.p50)
    found.add(name, LATENCY_99, load.p99)
    found.add(name, CPU, cpu_seconds / load.requests * 1e6)


_PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
_PROXIES = (AUTH_PROXY, NGINX, OAUTH2_PROXY, APACHE)

GET = Small(_PROXIES, Shot("/"), frozenset({200}))
BEARER = replace(GET, names=(AUTH_PROXY, WITH_BEARER))
IN_REDIS = WithRedis(replace(GET, names=(AUTH_PROXY, WITH_REDIS)))
# Nothing that was seen before helps here: neither the path nor the answer's head comes again.
DISTINCT = Small(_PROXIES, Shot("/distinct/", distinct=True), frozenset({200}))
AUTH = Small(
    (AUTH_PROXY, NGINX_RETURN, OAUTH2_PROXY), Shot("/oauth2/auth"), frozenset({200, 202})
)  # fmt: skip
NAVIGATION = Small(
    (AUTH_PROXY, NGINX_RETURN, OAUTH2_PROXY, APACHE),
    Shot("/a/page", headers=_PAGE),
    frozenset({302}),
    signed_in=False,
)
POST = Small(_PROXIES, Shot("/", "POST", 10_000), frozenset({200}))
