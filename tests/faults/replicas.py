"""Replicas that are the command itself: each a supervisor with its workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.fakes.faulty_tcp import FaultyTcp
from tests.process.served import Served, alive, children, until


class Replicas(Served):
    """``count`` of them with ``workers`` each; what they ask the token endpoint goes through
    ``way``."""

    def __init__(self, folder: Path, ports: list[int], count: int, workers: int, **given: Any):
        super().__init__(folder, ports[:2], workers, **given)
        self.fronts = ports[::2][:count]
        self.way: FaultyTcp
        self.replicas: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        self._all_ports = ports

    async def serve(self) -> None:
        self.way = await self._stack.enter_async_context(FaultyTcp(self.provider.port))
        endpoint = f"http://127.0.0.1:{self.way.port}/token"
        self.provider.behaviour.more_metadata["token_endpoint"] = endpoint
        await super().serve()
        self.replicas = [self.process]
        for number in range(1, len(self.fronts)):
            self.replicas.append(await self._one_more(number))

    async def _one_more(self, number: int) -> subprocess.Popen[bytes]:
        listen, private = self._all_ports[2 * number : 2 * number + 2]
        given = self.options()
        given["server"] |= {
            "listen": f"127.0.0.1:{listen}",
            "private_listen": f"127.0.0.1:{private}",
        }
        errors = self._folder / f"stderr{number}"
        process = _start(given, self._folder / f"proxy{number}.cfg", errors)
        self._stack.callback(_end, process)
        await until(lambda: process.poll() is not None or '"serving"' in errors.read_text())
        return process

    def kill(self, number: int) -> None:
        """The whole replica, as if its machine lost power."""
        _end(self.replicas[number])


def _start(given: dict[str, Any], config: Path, errors: Path) -> subprocess.Popen[bytes]:
    config.write_text(json.dumps(given))
    command = [sys.executable, "-m", "proxy", "serve", "--config", str(config)]
    with errors.open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)


def _end(process: subprocess.Popen[bytes]) -> None:
    workers = children(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # else it would start others
        workers = children(process.pid)
    for pid in workers:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
