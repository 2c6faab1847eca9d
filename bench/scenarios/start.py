"""Cold start to the first authenticated answer, and what a process weighs at rest."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from bench.clients.bodies import ask
from bench.contenders import APACHE, AUTH_PROXY, NGINX, OAUTH2_PROXY
from bench.model import RESIDENT, START, Plan, Samples, ScenarioFailed
from bench.place import MIB, Place

_SAMPLES_A_ROUND = 3
_NAMES = (AUTH_PROXY, NGINX, OAUTH2_PROXY)
_LONGEST = 20.0
_REST = 1.0


def cold(place: Place, plan: Plan, found: Samples) -> None:
    """From the process's start to a 200 for somebody who signed in before it. Caches are warm.

    Apache is left out: its sessions end with it.
    """
    cookies = {}
    for name in filter(place.has, _NAMES):
        with place.running(name) as subject:
            cookies[name] = subject.headers
    for _ in range(plan.rounds * _SAMPLES_A_ROUND):
        for name, headers in cookies.items():
            begun = time.perf_counter()
            with place.started(name) as (port, process):
                while not _answers(port, headers):
                    if process.has_ended or time.perf_counter() - begun > _LONGEST:
                        raise ScenarioFailed(f"{name} does not answer: {process.last_words()}")
                    time.sleep(0.002)
                found.add(name, START, (time.perf_counter() - begun) * 1e3)


def _answers(port: int, headers: Mapping[str, str]) -> bool:
    with contextlib.suppress(OSError, ScenarioFailed):
        return ask(port, "/", headers) == 200
    return False


def rest(place: Place, plan: Plan, found: Samples) -> None:
    """After one sign-in and a moment of silence."""
    for _ in range(plan.rounds):
        for name in filter(place.has, (*_NAMES, APACHE)):
            with place.running(name) as subject:
                time.sleep(_REST)
                found.add(name, RESIDENT, subject.process.resident() / MIB)
