"""Rows of numbers that add up, whoever writes them."""

from __future__ import annotations

import pytest

from proxy.errors import Reason
from proxy.web import board as at
from proxy.web.board import Board


def test_every_number_has_a_cell_of_its_own() -> None:
    calls = [start + i for start in at.CALL_CELLS.values() for i in range(at.CALL_WIDTH)]
    single = [at.LOGINS, at.LOGOUTS, at.RUNNING, at.SOCKETS, at.PID, at.WORKERS, at.RESTARTS]
    cells = [
        *range(at.STATUS, at.STATUS + 500),
        *range(at.SECONDS, at.SECONDS + len(at.BOUNDS) + 1),
        *(at.SECONDS_SUM, *single, at.RELOADED, at.RELOAD_FAILED, at.PAST_CPU),
        *(at.LOST_LINES, at.EJECTIONS),
        *at.REASON_CELLS.values(),
        *calls,
    ]
    assert sorted(cells) == list(range(at.ROW))
    assert set(at.REASON_CELLS) == set(Reason)


def test_rows_add_up() -> None:
    board = Board(3)
    for count in (1, 2):
        cells = board.cells(board.take())
        cells[at.LOGINS] += count
        cells[at.RUNNING] = 10 * count
    assert board.sums()[at.LOGINS] == 3
    assert board.sums()[at.RUNNING] == 30


def test_counters_outlive_their_writer_and_what_was_open_does_not() -> None:
    board = Board(2)
    row = board.take()
    cells = board.cells(row)
    cells[at.LOGINS], cells[at.SOCKETS], cells[at.PID] = 5, 7, 4711
    assert board.pids() == [4711]
    board.give_back(row)
    assert (board.sums()[at.LOGINS], board.sums()[at.SOCKETS], board.pids()) == (5, 0, [])
    assert board.take() == row
    board.cells(row)[at.LOGINS] += 1
    assert board.sums()[at.LOGINS] == 6


def test_there_are_only_so_many_rows() -> None:
    board = Board(2)
    assert (board.take(), board.take()) == (0, 1)
    with pytest.raises(IndexError):
        board.take()
