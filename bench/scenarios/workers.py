"""Two workers against one: what sharing the port costs, in CPU time per request."""

from __future__ import annotations

import subprocess
import sys

from bench.contenders import AUTH_PROXY, CONTENDERS, TWO_WORKERS
from bench.load import Shot, wrk
from bench.model import NotYet, Plan, Samples, turned
from bench.place import ROOT, Place
from bench.scenarios.small import record

_CONNECTIONS = 64


def measure(place: Place, plan: Plan, found: Samples) -> None:
    """Both on the same core: not the rate counts but what a request costs."""
    config = place.config_of(CONTENDERS[TWO_WORKERS])
    checked = subprocess.run(
        [sys.executable, "-m", "proxy", "check", "--config", str(config)],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=60,
    )  # fmt: skip
    if checked.returncode != 0 and "workers" in checked.stderr + checked.stdout:
        raise NotYet("this auth-proxy has no server.workers")
    with place.all_running(AUTH_PROXY, TWO_WORKERS) as subjects:
        for subject in subjects:
            wrk(subject.port, place.cores.load, Shot(headers=subject.headers), 1, _CONNECTIONS)
        for number in range(plan.rounds):
            for subject in turned(subjects, number):
                before = subject.process.cpu_seconds()
                shot = Shot(headers=subject.headers)
                load = wrk(subject.port, place.cores.load, shot, plan.seconds, _CONNECTIONS)
                record(found, subject.name, load, subject.process.cpu_seconds() - before)
