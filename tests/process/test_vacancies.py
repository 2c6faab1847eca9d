"""When a worker that died is replaced."""

from __future__ import annotations

import pytest

from proxy.process.vacancies import Vacancies


def pauses(lives: list[float]) -> list[float]:
    """The pause before each replacement, of a worker that lives so long each time."""
    vacancies, now, found = Vacancies(), 100.0, []
    for lived in lives:
        now += lived
        vacancies.died(1, lived, now)
        (due,) = vacancies.moments()
        assert vacancies.fill(due) == [1]
        found.append(round(due - now, 3))
        now = due
    return found


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        pytest.param([1000.0], [0], id="once"),
        pytest.param([1000.0] * 4, [0] * 4, id="now and then"),
        pytest.param([1000.0, 1.0, 1.0, 1.0], [0, 0, 0.2, 0.4], id="again and again"),
        pytest.param([0.1] * 3 + [60.0] + [0.1] * 2, [0, 0.2, 0.4, 0, 0, 0.2], id="steady again"),
    ],
)
def test_the_first_death_costs_no_time(lives: list[float], expected: list[float]) -> None:
    assert pauses(lives) == expected


def test_the_pause_has_an_end() -> None:
    assert pauses([0.0] * 2000)[-1] == 30


def test_each_worker_has_its_own_count() -> None:
    vacancies = Vacancies()
    for number in (1, 2, 3):
        vacancies.died(number, 0.0, 10.0)
    assert vacancies.fill(10.0) == [1, 2, 3]
    vacancies.open(2, 11.0)
    assert (vacancies.fill(10.9), vacancies.fill(11.0)) == ([], [2])


def test_a_new_generation_begins_anew() -> None:
    vacancies = Vacancies()
    for _ in range(5):
        vacancies.died(1, 0.0, 10.0)
    vacancies.clear()
    assert vacancies.moments() == []
    vacancies.died(1, 0.0, 10.0)
    assert vacancies.moments() == [10.0]
