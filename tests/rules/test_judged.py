"""What a decision about a person is made of."""

from __future__ import annotations

from proxy.errors import Reason
from proxy.rules.judged import NO_LISTS, Asked, Denial, StepUp


def test_without_a_request_its_circumstances_are_unknown() -> None:
    assert Asked(1.0) == Asked(1.0, method="", client="")


def test_a_denial_is_final_unless_it_says_otherwise() -> None:
    assert Denial(Reason.GROUP_NOT_ALLOWED).step_up is None
    assert StepUp() == StepUp((), None)


def test_where_no_file_is_read_nobody_is_listed() -> None:
    assert NO_LISTS.addresses("/any") == frozenset()
