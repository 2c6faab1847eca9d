"""What Prometheus reads: names and labels, and the sum over several processes."""

from __future__ import annotations

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.errors import Reason
from proxy.web import board as at
from proxy.web.board import Board
from proxy.web.metrics import Metrics
from proxy.web.scrape import exposition

Samples = dict[tuple[str, ...], float]


def samples(board: Board) -> Samples:
    """By name and label values."""
    families = text_string_to_metric_families(exposition(board).decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def test_nothing_has_happened() -> None:
    found = samples(Board(1))
    for name in ("requests_running", "websockets_open", "logins_total", "logouts_total"):
        assert found[f"auth_proxy_{name}",] == 0
    assert found["auth_proxy_request_seconds_count",] == 0
    names = {name for name, *_ in found}
    assert not names & {"auth_proxy_refused_total", "auth_proxy_provider_seconds_count"}
    assert not [name for name in names if "worker" in name or "reload" in name]


def test_two_processes_are_summed() -> None:
    board = Board(3)
    one, two = Metrics(board), Metrics(board)
    for metrics, running in ((one, 3), (two, 4)):
        metrics.answered(200, 0.003)
        metrics.answered(502, 61)
        metrics.refuse(Reason.NO_SESSION)
        metrics.logged_in()
        metrics.called("token", "200", 0.3)
        metrics.watch(lambda n=running: n, lambda: 1)  # type: ignore[misc]
        metrics.publish()
    found = samples(board)
    assert found["auth_proxy_requests_total", "200"] == 2
    assert found["auth_proxy_requests_total", "502"] == 2
    assert found["auth_proxy_request_seconds_bucket", "0.0025"] == 0
    assert found["auth_proxy_request_seconds_bucket", "0.005"] == 2
    assert found["auth_proxy_request_seconds_bucket", "60.0"] == 2
    assert found["auth_proxy_request_seconds_bucket", "+Inf"] == 4
    assert found["auth_proxy_request_seconds_sum",] == pytest.approx(122.006)
    assert found["auth_proxy_refused_total", "no_session"] == 2
    assert found["auth_proxy_logins_total",] == 2
    assert found["auth_proxy_requests_running",] == 7
    assert found["auth_proxy_websockets_open",] == 2
    assert found["auth_proxy_provider_seconds_count", "token", "200"] == 2
    assert found["auth_proxy_provider_seconds_sum", "token", "200"] == pytest.approx(0.6)


def test_processes_are_told_of_together() -> None:
    """The same process twice counts twice, but begins once."""
    board = Board(3)
    cells = [board.cells(board.take()) for _ in range(2)]
    cells[0][at.PID] = os.getpid()
    alone = samples(board)
    cells[1][at.PID] = os.getpid()
    cells[0][at.PAST_CPU] = 1000
    both = samples(board)
    name = ("process_max_fds",)
    assert both[name] == 2 * alone[name]
    assert both["process_start_time_seconds",] == alone["process_start_time_seconds",]
    assert both["process_cpu_seconds_total",] > 1000


def test_a_process_that_has_just_gone_is_left_out() -> None:
    board = Board(1)
    board.cells(board.take())[at.PID] = 2**22 + 1  # beyond any
    assert not [name for name, *_ in samples(board) if name.startswith("process_")]


def test_a_supervisor_tells_of_its_workers() -> None:
    board = Board(1)
    cells = board.cells(board.take())
    cells[at.WORKERS], cells[at.RESTARTS], cells[at.RELOAD_FAILED] = 4, 2, 1
    found = samples(board)
    assert found["auth_proxy_workers",] == 4
    assert found["auth_proxy_worker_restarts_total",] == 2
    assert found["auth_proxy_config_reloads_total", "reloaded"] == 0
    assert found["auth_proxy_config_reloads_total", "config_reload_failed"] == 1
