"""Somebody else's server as a process of ours: started, waited for, stopped, nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 10.0
BETWEEN = 0.05


def free_port() -> int:
    """A port on loopback that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Program:
    """``command`` listens on 127.0.0.1 at ``port`` and says everything into ``log``.

    It never outlives the tests: the kernel ends it with the process that started it.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = ["setpriv", "--pdeathsig", "TERM", *command]
        self._port = port
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it accepts connections. RuntimeError with its own words when not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environment, cwd=self._log.parent,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(BETWEEN)
            else:
                return
        self.stop()
        raise RuntimeError(f"{self._command[3]} did not start: {self.told()}")

    def told(self) -> str:
        """Everything that it printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends it as an operator would, and the hard way when that takes too long."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
