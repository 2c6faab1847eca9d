"""How many processors this process may use: its affinity, and its control group's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path, PurePosixPath

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cpus(root: Path = _ROOT, own: Path = _OWN) -> int:
    """At least 1. ``own`` names the control group, which is a directory below ``root``."""
    return max(1, min([len(os.sched_getaffinity(0)), *_quotas(root, own)]))


def _quotas(root: Path, own: Path) -> list[int]:
    """Whole processors that each group around this process may use, where it has a limit.

    Version 2: ``cpu.max`` holds quota and period; version 1 has a file for each.
    """
    found = []
    for folder in _groups(root, own):
        text = _read(folder / "cpu.max").split()
        if not text:
            text = [_read(folder / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period")]
        if len(text) == 2 and all(part.isdecimal() for part in text) and int(text[1]):
            found.append(math.ceil(int(text[0]) / int(text[1])))
    return found


def _groups(root: Path, own: Path) -> list[Path]:
    paths = {root, root / "cpu"}
    for line in _read(own).splitlines():
        number, controllers, name = (*line.split(":", 2), "", "")[:3]
        base = root if number == "0" else root / "cpu"
        if number == "0" or "cpu" in controllers.split(","):
            group = PurePosixPath(name.lstrip("/"))
            paths |= {base / folder for folder in (group, *group.parents)}
    return sorted(paths)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
