"""What is told of the machine, and of others on it."""

from __future__ import annotations

from pathlib import Path

from bench.machine import Others, describe

ROOT = Path(__file__).resolve().parents[2]


def test_the_machine_is_described_whole() -> None:
    machine = describe(ROOT, 0.123)
    assert machine.others == 0.12
    assert machine.cpu
    assert machine.cores > 0
    assert machine.kernel.startswith("Linux ")
    assert set(machine.libraries) >= {"aiohttp", "httptools"}


def test_others_never_use_less_than_nothing() -> None:
    assert Others().cores() >= 0
