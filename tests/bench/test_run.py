"""The real thing, as short as it can be: everything starts, is pinned, measured, and gone."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from bench.clients import idle, sockets
from bench.contenders import AUTH_PROXY, CONFIGS, CONTENDERS, DIRECT, NGINX, fill, find
from bench.load import Shot
from bench.machine import choose_cores, version_of
from bench.model import EACH, LOST, REQUESTS, Plan, Samples, ScenarioFailed
from bench.place import Place
from bench.processes import Process, free_ports
from bench.scenarios.events import Events
from bench.scenarios.idle import Idle
from bench.scenarios.small import Small

PLAN = Plan(rounds=1, seconds=0.5)
needs_load = pytest.mark.skipif(
    not (find("nginx") and shutil.which("wrk") and len(os.sched_getaffinity(0)) > 1),
    reason="needs nginx, wrk and two cores",
)


@needs_load
def test_a_short_run_measures_auth_proxy_beside_nginx() -> None:
    found = Samples()
    names = (AUTH_PROXY, NGINX)
    with Place(choose_cores()) as place:
        folder = place.dir
        Small(names, Shot("/"), frozenset({200}))(place, PLAN, found)
        Events(3, 0.05)(place, PLAN, found)
        Idle(20, idle.kept, settle=0.1)(place, PLAN, found)
        Idle(10, sockets.opened, settle=0.1)(place, PLAN, found)
    measured = {(series.subject, series.metric): series.samples for series in found.series()}
    for name in names:
        assert measured[name, REQUESTS][0] > 0
        assert measured[name, LOST] == (0,)
        assert len(measured[name, EACH]) == 2
    assert measured[DIRECT, LOST] == (0,)
    assert not folder.exists()


@needs_load
def test_an_answer_of_another_kind_is_a_failure_not_a_figure() -> None:
    found = Samples()
    elsewhere = Small((AUTH_PROXY,), Shot("/"), frozenset({200}), signed_in=False)
    with Place(choose_cores()) as place, pytest.raises(ScenarioFailed, match="with 401"):
        elsewhere(place, PLAN, found)
    assert list(found.series()) == []


def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    command = ("sh", "-c", "echo no such luck; exit 3")
    core = min(os.sched_getaffinity(0))
    with (
        Process(command, core, tmp_path / "log", tmp_path) as process,
        pytest.raises(ScenarioFailed, match="no such luck"),
    ):
        process.listens(free_ports(1)[0], within=10)


def test_a_process_is_pinned_watched_and_ended_with_its_children(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    command = ("sh", "-c", "sleep 60 & echo started; wait")
    with Process(command, core, tmp_path / "log", tmp_path) as process:
        while "started" not in process.last_words() or len(process.tree()) < 2:
            assert not process.has_ended
            time.sleep(0.01)
        pids = process.tree()
        assert process.is_pinned()
        assert process.resident() > 0
    assert process.has_ended
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_configuration_is_filled_in_whole(name: str) -> None:
    contender = CONTENDERS[name]
    given = "dir upstream streams issuer client_secret signing_key name port metrics client_id"
    values = dict.fromkeys([*given.split(), "secret", "user"], "1") | dict(contender.values or {})
    assert "{{" not in fill(contender.template, values)


def test_no_configuration_lies_about_unused() -> None:
    used = {contender.template for contender in CONTENDERS.values()} | {"nginx-upstream.conf"}
    assert {path.name for path in CONFIGS.iterdir()} == used


def test_a_version_is_found_in_what_a_program_says() -> None:
    assert version_of("sh", "-c", "echo nginx version: nginx/1.22.1 >&2") == "1.22.1"
    assert version_of("no-such-program") == ""
