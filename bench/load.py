"""Small requests as fast as they are answered: wrk on the load's core."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.model import ScenarioFailed

_SCRIPT = Path(__file__).with_name("wrk.lua")
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk found; latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True)
class Shot:
    """The request that is repeated; where ``distinct``, each has a path of its own below it."""

    path: str = "/"
    method: str = "GET"
    body: int = 0
    headers: Mapping[str, str] | None = None
    distinct: bool = False


def wrk(port: int, core: int, shot: Shot, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Raises ScenarioFailed when a request failed or was answered with 400 or above."""
    headers = [
        word for name, value in (shot.headers or {}).items() for word in _header(name, value)
    ]
    # wrk counts in whole seconds
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(_SCRIPT), *headers]
    command += [f"http://127.0.0.1:{port}{shot.path}", "--", shot.method, str(shot.body)]
    if shot.distinct:
        command.append(shot.path)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + 60
    )
    if done.returncode != 0:
        raise ScenarioFailed(f"wrk: {done.stderr or done.stdout}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or found["refused"] or not found["requests"]:
        raise ScenarioFailed(f"requests failed: {found}")
    return Load(found["requests"], found["seconds"], found["p50"], found["p99"])


def _header(name: str, value: str) -> tuple[str, str]:
    return "-H", f"{name}: {value}"
