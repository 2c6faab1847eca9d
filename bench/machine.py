"""What the figures were measured on, and what of it the measurement needs."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

LIBRARIES = ("aiohttp", "cryptography", "httptools", "pyjwt", "uvloop")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the process under test, and that of everything else."""

    tested: int
    load: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts for the result file."""

    date: str
    commit: str
    changed: bool
    cpu: str
    cores: int
    memory_gib: int
    kernel: str
    python: str
    libraries: dict[str, str]
    others: float


class Others:
    """How much of the machine others use, from now on: figures made beside them say less."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._before = _machine_seconds() - _our_seconds()

    def cores(self) -> float:
        """Processors busy with other things, on average. Our children must have ended."""
        used = _machine_seconds() - _our_seconds() - self._before
        return max(0.0, used / (time.monotonic() - self._begun))


def _machine_seconds() -> float:
    """Time in user and kernel mode of all processes, and what the host took (proc(5), stat)."""
    user, nice, system, _, _, _, _, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def _our_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def choose_cores() -> Cores:
    """Two of the cores that we may use. Raises OSError when there is but one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise OSError("the bench needs two cores: one for the process under test")
    return Cores(tested=usable[0], load=usable[1])


def raise_open_files(wanted: int) -> int:
    """Raises the soft limit on open files, for us and our children; returns what there is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def describe(root: Path, others: float) -> Machine:
    """``others``: cores that were busy with other things meanwhile."""
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=_git(root, "rev-parse", "HEAD") or "unknown",
        changed=bool(_git(root, "status", "--porcelain", "--", "proxy", "bench/*.py")),
        cpu=_cpu(),
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        kernel=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries={name: metadata.version(name) for name in LIBRARIES},
        others=round(others, 2),
    )


def version_of(*command: str) -> str:
    """The first thing in what a program says of itself that looks like a version; or nothing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+(?:\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else ""


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else platform.machine()
