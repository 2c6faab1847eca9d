"""Processes that we start: pinned to a core, watched from outside, gone when we are."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.model import ScenarioFailed

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A command on one core, running from construction on; a context manager that ends it.

    Its output goes to ``log``. It is told to end when we die, whatever the reason.
    """

    def __init__(self, command: Sequence[str], core: int, log: Path, cwd: Path) -> None:
        self.log = log
        self._core = core
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", str(core), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={k: v for k, v in os.environ.items() if not k.startswith("AUTH_PROXY_")},
                start_new_session=True,  # Ctrl-C is for us; we end our children in order
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for the whole group."""
        if self._child.poll() is None:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def listens(self, port: int, within: float = 20.0) -> None:
        """Waits until somebody listens on the port. Raises ScenarioFailed with the log's end."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline and not self.has_ended:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise ScenarioFailed(f"{self._child.args!r} does not listen: {self.last_words()}")

    @property
    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:]

    def last_line_with(self, pattern: bytes) -> str:
        """The newest line of its log in which the regular expression is found; or nothing."""
        found = ""
        with self.log.open("rb") as log:
            for line in log:
                if re.search(pattern, line):
                    found = line.decode(errors="replace").strip()
        return found

    def is_pinned(self) -> bool:
        """Does the whole tree run on its core only?"""
        return all(os.sched_getaffinity(pid) == {self._core} for pid in self.tree())

    def tree(self) -> list[int]:
        """The process and all its descendants."""
        return list(_descend(self._child.pid))

    def cpu_seconds(self) -> float:
        """CPU time used by the tree until now."""
        return sum(_cpu_ticks(pid) for pid in self.tree()) / _TICKS

    def resident(self) -> int:
        """Resident bytes of the tree now; a page that two processes share counts twice."""
        return sum(_status(pid, "VmRSS:") for pid in self.tree())

    def forget_peak(self) -> None:
        """Begin to watch for the largest resident size anew (proc(5), clear_refs)."""
        for pid in self.tree():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The largest resident sizes since ``forget_peak``, in bytes, added up."""
        return sum(_status(pid, "VmHWM:") for pid in self.tree())


def _descend(pid: int) -> Iterator[int]:
    yield pid
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in listing.read_text().split():
                yield from _descend(int(child))


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # has just ended
        return 0
    return int(fields[11]) + int(fields[12])


def _status(pid: int, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def free_ports(number: int) -> list[int]:
    """Ports on loopback that nobody listens on, below those that the kernel gives to clients.

    One of the latter may be a client's by the time that we listen on it, or be connected to
    itself by whoever waits for us.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in range(ephemeral - 1, 1024, -1):
        if len(found) == number:
            break
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found
