"""Spreads and ratios."""

from __future__ import annotations

import pytest

from bench.model import CPU, REQUESTS, Metric, Outcome, Samples, Series, Spread, turned


def series(subject: str, *samples: float, metric: Metric = REQUESTS) -> Series:
    return Series(subject, metric, samples)


def test_a_spread_is_least_middle_and_largest() -> None:
    assert series("a", 3, 9, 1, 5).spread == Spread(1, 4, 9)


def test_ratios_are_taken_round_by_round() -> None:
    """The third round was slow for both: it says nothing of the ratio."""
    ours, nginx = series("a", 10, 10, 1), series("n", 20, 20, 2)
    assert ours.ratio(nginx) == Spread(0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("samples", "to"),
    [
        pytest.param((), (1.0,), id="nothing measured"),
        pytest.param((1.0,), (0.0,), id="nothing to divide by"),
        pytest.param((1.0,), (-0.1,), id="an added delay below nothing"),
    ],
)
def test_some_ratios_do_not_exist(samples: tuple[float, ...], to: tuple[float, ...]) -> None:
    assert series("a", *samples).ratio(series("n", *to)) is None


def outcome(*found: Series, references: tuple[tuple[str, ...], ...]) -> Outcome:
    return Outcome("key", "Title", references, found)


@pytest.mark.parametrize(
    ("metric", "best"), [pytest.param(REQUESTS, 0.5, id="more"), pytest.param(CPU, 1, id="less")]
)
def test_a_ratio_is_to_the_better_of_several_and_called_by_the_first(
    metric: Metric, best: float
) -> None:
    ours = series("a", 10, metric=metric)
    others = (series("n", 10, metric=metric), series("m", 20, metric=metric))
    found = outcome(ours, *others, references=(("n", "m"), ("missing",)))
    assert found.ratios(ours) == {"n": Spread(best, best, best)}


def test_samples_are_kept_by_subject_and_metric_in_order() -> None:
    samples = Samples()
    for subject, value in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        samples.add(subject, REQUESTS, value)
    assert list(samples.series()) == [series("a", 1, 3), series("b", 2)]


def test_another_one_begins_each_round() -> None:
    assert [turned("abc", by)[0] for by in range(5)] == list("abcab")
    assert sorted(turned("abc", 2)) == list("abc")
