"""Fixtures that every room may use, and the guard that no test leaves anything running."""

from __future__ import annotations

import asyncio
import inspect
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

# A machine that others use as well is slow at times: only hangs are faults, see pytest's timeout.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

SETTLE_SECONDS = 3.0

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Pages may name fonts and such elsewhere: nothing but this machine is ever asked.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, "
    "EXCLUDE 127.0.0.1",
)


@pytest.fixture
def free_ports() -> list[int]:
    """Four ports on loopback that nobody listened on a moment ago."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(4)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def free_port(free_ports: list[int]) -> int:
    """One of these."""
    return free_ports[0]


def child_processes() -> dict[int, str]:
    """Our children by process id, zombies left out; empty where /proc does not tell."""
    children: dict[int, str] = {}
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            pids = listing.read_text().split()
        except OSError:  # that thread has ended
            continue
        for pid in pids:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
            except OSError:  # and so has that process
                continue
            if state != "Z":
                children[int(pid)] = command
    return children


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Fails a test that leaves a process running which it started."""
    before = set(child_processes())
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := {p: c for p, c in child_processes().items() if p not in before}) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.02)
    assert not left, f"left running: {left}"


@pytest.fixture
async def no_task_left_guard() -> AsyncIterator[None]:
    """Fails a test that leaves an asyncio task pending on its loop."""
    yield
    ours = asyncio.current_task()
    deadline = time.monotonic() + SETTLE_SECONDS
    while (  # noqa: ASYNC110 - there is no event to wait for
        left := asyncio.all_tasks() - {ours}
    ) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert not left, f"left pending: {left}"


@pytest.fixture(autouse=True)
def no_task_left(request: pytest.FixtureRequest) -> None:
    """Puts the guard over tests with a loop, and spares the others the making of one."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_task_left_guard")
