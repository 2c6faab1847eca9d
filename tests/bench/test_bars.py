"""What is promised is judged as it was written."""

from __future__ import annotations

import pytest

from bench.bars import BARS, Judged, Verdict, judge
from bench.contenders import AUTH_PROXY, NGINX, NGINX_STREAMING, TWO_WORKERS
from bench.model import ADDED_50, BYTES, CPU, LOST, REQUESTS, Metric, Outcome, Series
from bench.scenarios.catalogue import SCENARIOS


def judged(text: str, scenario: str, *found: tuple[str, Metric, float]) -> Judged:
    series = tuple(Series(subject, metric, (value,)) for subject, metric, value in found)
    outcomes = {scenario: Outcome(scenario, "", (), series)}
    return next(one for one in judge(outcomes) if one.bar.text == text)


GET, DOWN = "small GET, of nginx", "100 MiB down, of the faster nginx"
LOSS, HALF = "200 event streams, events lost", "200 event streams, added delay, half"
WORKERS = "two workers, CPU time per request"


@pytest.mark.parametrize(
    ("text", "scenario", "found", "value", "verdict"),
    [
        pytest.param(
            GET,
            "get",
            [(AUTH_PROXY, REQUESTS, 50), (NGINX, REQUESTS, 100)],
            0.5,
            Verdict.MET,
            id="at least: just enough",
        ),
        pytest.param(
            GET,
            "get",
            [(AUTH_PROXY, REQUESTS, 49), (NGINX, REQUESTS, 100)],
            0.49,
            Verdict.MISSED,
            id="at least: too little",
        ),
        pytest.param(
            DOWN,
            "down-100m",
            [(AUTH_PROXY, BYTES, 60), (NGINX, BYTES, 50), (NGINX_STREAMING, BYTES, 100)],
            0.6,
            Verdict.MISSED,
            id="of the faster nginx",
        ),
        pytest.param(
            WORKERS,
            "workers",
            [(AUTH_PROXY, CPU, 100), (TWO_WORKERS, CPU, 115)],
            1.15,
            Verdict.MET,
            id="at most: just enough",
        ),
        pytest.param(LOSS, "events-200", [(AUTH_PROXY, LOST, 1)], 1, Verdict.MISSED, id="one lost"),
        pytest.param(HALF, "events-200", [(AUTH_PROXY, ADDED_50, 0.3)], 0.3, Verdict.MET, id="ms"),
        pytest.param(GET, "get", [(AUTH_PROXY, REQUESTS, 50)], None, Verdict.OPEN, id="no nginx"),
        pytest.param(GET, "get", [], None, Verdict.OPEN, id="the scenario failed"),
    ],
)
def test_a_bar_is_judged_by_its_medians(
    text: str,
    scenario: str,
    found: list[tuple[str, Metric, float]],
    value: float | None,
    verdict: Verdict,
) -> None:
    one = judged(text, scenario, *found)
    assert (one.value, one.verdict) == (value, verdict)


def test_only_what_was_asked_for_is_judged() -> None:
    assert judge({}) == []


def test_every_bar_belongs_to_a_scenario() -> None:
    assert {bar.scenario for bar in BARS} <= {scenario.key for scenario in SCENARIOS}
