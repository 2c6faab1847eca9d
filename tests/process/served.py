"""A place whose proxy is the command itself: a supervisor and workers, in their processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fakes.clock import FakeClock
from tests.web.place import HOST, Place

PATIENCE = 20.0


class RealClock(FakeClock):
    """The time that other processes have."""

    def __call__(self) -> float:
        return time.time()


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> float:
    """Wait for the condition; returns how long that took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience, "waited too long"
        await asyncio.sleep(0.01)
    return time.monotonic() - started


def children(pid: int) -> list[int]:
    """The processes that ``pid`` has started and that have not ended, oldest first."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in listed if alive(int(child))]


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Served(Place):
    """``async with Served(tmp_path, ports, workers=2) as place``; settings as in the file."""

    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path, ports: list[int], workers: int = 1, **settings: Any) -> None:
        server = {
            "listen": f"127.0.0.1:{ports[0]}",
            "private_listen": f"127.0.0.1:{ports[1]}",
            "workers": workers,
            **settings.pop("server", {}),
        }
        super().__init__(server=server, log={"format": "json"}, **settings)
        self.clock = RealClock()
        self.config = folder / "proxy.cfg"
        self._errors = folder / "stderr"
        self._ports = ports
        self._workers = workers

    @property
    def port(self) -> int:
        return self._ports[0]

    async def serve(self) -> None:
        self.configure()
        self.process = self._start_process()
        self._stack.push_async_callback(self._kill)
        try:
            await until(lambda: self.process.poll() is not None or self._all_begun())
        except BaseException:
            await self._kill()
            raise

    def _start_process(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "proxy", "serve", "--config", str(self.config)]
        with self._errors.open("ab") as errors:
            # Whatever is killed here leaves its folder behind: among our own.
            mine = {**os.environ, "TMPDIR": str(self.config.parent)}
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors, env=mine)

    async def _kill(self) -> None:
        workers = self.workers()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pid in workers:  # which end by themselves, if all is well
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    def configure(self, **changes: Any) -> None:
        """Write the configuration with these changes."""
        self._settings = {**self._settings, **changes}
        self.config.write_text(json.dumps(self.options()))  # JSON is YAML

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def end(self, patience: float = PATIENCE) -> int:
        """The exit status, once it has ended."""
        await until(lambda: self.process.poll() is not None, patience)
        return int(self.process.returncode)

    def workers(self) -> list[int]:
        """The workers' pids."""
        return children(self.process.pid)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        text = self._errors.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def logged_events(self, part: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if part in line["event"]]

    async def metrics(self) -> str:
        async with self.http.get(f"http://127.0.0.1:{self._ports[1]}/metrics") as answer:
            return await answer.text()

    async def metric(self, name: str) -> float:
        """The sample of that name and labels, without ``auth_proxy_``; 0 when there is none."""
        text = await self.metrics()
        found = re.search(rf"^(?:auth_proxy_)?{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def _all_begun(self) -> bool:
        return len(self.logged_events("serving")) > 0 and len(self.workers()) >= self._workers


class Load:
    """About ``rate`` requests a second for /ping, half of them on connections that are kept."""

    def __init__(self, port: int, rate: int = 200, kept: int = 8) -> None:
        self.port, self.rate, self.kept = port, rate, kept
        self.answers = 0
        self.failures: list[tuple[float, str]] = []
        self._over = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._keeper()) for _ in range(self.kept)]
        self._tasks.append(asyncio.create_task(self._opener()))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _keeper(self) -> None:
        """Requests on one connection, for as long as the proxy keeps it."""
        pause = self.kept * 2 / self.rate
        while not self._over.is_set():
            await self._told(self._conversation(pause))

    async def _conversation(self, pause: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            more = True
            while more and not self._over.is_set():
                head = await _ask(reader, writer)
                more = b"connection: close" not in head.lower()
                self.answers += 1
                await asyncio.sleep(pause if more else 0)
        finally:
            writer.close()

    async def _opener(self) -> None:
        """Each request on a connection of its own."""
        asked: set[asyncio.Task[None]] = set()
        while not self._over.is_set():
            task = asyncio.create_task(self._told(self._single()))
            asked.add(task)
            task.add_done_callback(asked.discard)
            await asyncio.sleep(2 / self.rate)
        await asyncio.gather(*asked)

    async def _single(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await _ask(reader, writer)
            self.answers += 1
        finally:
            writer.close()

    async def _told(self, asking: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(10):
                await asking
        except (OSError, EOFError, TimeoutError) as exc:
            self.failures.append((time.monotonic(), repr(exc)))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET /ping HTTP/1.1\r\nHost: %b\r\n\r\n" % HOST.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = re.search(rb"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head


def cookie_header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
