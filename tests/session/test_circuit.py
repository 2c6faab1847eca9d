"""When Redis is asked, and when an answer is given without asking."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.session.circuit import FAILURES, PAUSE, Circuit


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(FAILURES):
        circuit.failed(now)
    return circuit


def test_it_opens_at_the_last_of_many_failures_and_says_so_once() -> None:
    circuit = Circuit()
    said = [circuit.failed(0.0) for _ in range(FAILURES + 3)]
    assert said == [False] * (FAILURES - 1) + [True, False, False, False]
    assert circuit.is_open


def test_failures_with_answers_between_them_do_not_open_it() -> None:
    circuit = Circuit()
    for _ in range(10):
        for _ in range(FAILURES - 1):
            circuit.failed(0.0)
        assert circuit.admits(0.0)
        assert circuit.answered() is False
    assert not circuit.is_open


def test_an_open_one_lets_one_probe_through_in_each_pause() -> None:
    circuit = opened(0.0)
    asked = [step / 10 for step in range(50) if circuit.admits(step / 10)]
    assert asked == [1.0, 2.0, 3.0, 4.0]


def test_a_probe_that_fails_changes_nothing() -> None:
    circuit = opened(0.0)
    assert circuit.admits(PAUSE)
    circuit.failed(PAUSE + 0.9)
    assert not circuit.admits(PAUSE + 0.95)
    assert circuit.admits(2 * PAUSE)


def test_one_answer_closes_it_and_says_so_once() -> None:
    circuit = opened(0.0)
    assert circuit.answered() is True
    assert circuit.answered() is False
    assert all(circuit.admits(0.0) for _ in range(10))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.5)), max_size=200))
def test_however_it_goes_an_answer_is_noticed_within_the_pause(
    steps: list[tuple[bool, float]],
) -> None:
    circuit, now = Circuit(), 0.0
    for answers, wait in steps:
        now += wait
        if circuit.admits(now):
            if answers:
                circuit.answered()
            else:
                circuit.failed(now)
    assert circuit.admits(now + PAUSE)
