"""docs/reasons.md has a row for every Reason: what it is, its status, what to look at."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.errors import Reason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reasons.md"


def rows() -> list[list[str]]:
    """The cells of every row about a reason; an escaped bar does not end a cell."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_documented_once(reason: Reason) -> None:
    (row,) = [row for row in rows() if row[0] == f"`{reason}`"]
    _, status, happened, look_at = row
    assert re.fullmatch(r"[1-5]\d\d(, [1-5]\d\d)*|–", status)
    assert happened
    assert look_at


def test_nothing_else_is_documented() -> None:
    assert {row[0].strip("`") for row in rows()} == {str(reason) for reason in Reason}
