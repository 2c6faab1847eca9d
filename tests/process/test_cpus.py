"""Processors that may be used, where a control group has a quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.process.cpus import usable_cpus

HERE = len(os.sched_getaffinity(0))
V2, V1 = "0::/a/b\n", "4:cpu,cpuacct:/box\n1:name=systemd:/x\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        pytest.param(V2, {}, HERE, id="no groups"),
        pytest.param(V2, {"a/b/cpu.max": "max 100000\n"}, HERE, id="no limit"),
        pytest.param(V2, {"a/b/cpu.max": "100000 100000"}, 1, id="one"),
        pytest.param(V2, {"a/b/cpu.max": "20000 100000"}, 1, id="a fifth"),
        pytest.param(V2, {"a/b/cpu.max": "6400000 100000"}, HERE, id="more than there are"),
        pytest.param(V2, {"a/cpu.max": "50000 100000"}, 1, id="the group around it"),
        pytest.param(V2, {"cpu.max": "50000 100000"}, 1, id="inside a container"),
        pytest.param(V2, {"a/b/cpu.max": "many 0"}, HERE, id="not a number"),
        pytest.param(
            V1,
            {"cpu/box/cpu.cfs_quota_us": "90000", "cpu/box/cpu.cfs_period_us": "100000"},
            1,
            id="version 1",
        ),
        pytest.param(
            V1,
            {"cpu/box/cpu.cfs_quota_us": "-1", "cpu/box/cpu.cfs_period_us": "100000"},
            HERE,
            id="version 1 without a limit",
        ),
        pytest.param("nonsense", {"cpu.max": "50000 100000"}, 1, id="no group is named"),
    ],
)
def test_quotas(tmp_path: Path, own: str, files: dict[str, str], expected: int) -> None:
    root = tmp_path / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert usable_cpus(root, tmp_path / "own") == expected


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "none", tmp_path / "none") == HERE
