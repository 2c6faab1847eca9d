"""Signals while the command is still loading and reading."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.cli.waiting import awaiting_supervisor
from tests.config.configurations import MINIMAL

_PATIENCE = 20.0


class Starting:
    """``auth-proxy serve`` that waits for its configuration: a pipe stands in for the file."""

    def __init__(self, folder: Path, port: int) -> None:
        self._pipe = folder / "pipe.cfg"
        os.mkfifo(self._pipe)
        self._errors = folder / "stderr"
        self._text = f"{MINIMAL}\nserver: {{listen: '127.0.0.1:{port}', private_listen: off}}\n"
        with self._errors.open("wb") as errors:
            command = [sys.executable, "-m", "proxy", "serve", "--config", str(self._pipe)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors)

    def reading(self) -> int:
        """A file to write to, once the proxy reads the other end."""
        _until(self._opened)
        return self._pipe_end

    def give(self, pipe: int) -> None:
        os.write(pipe, self._text.encode())
        os.close(pipe)

    def told(self) -> str:
        return self._errors.read_text()

    def wait_for(self, part: str) -> None:
        _until(lambda: part in self.told())

    def _opened(self) -> bool:
        try:
            self._pipe_end = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            return False
        return True


def _until(condition: Callable[[], bool]) -> None:
    by = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < by, "waited too long"
        time.sleep(0.01)


@pytest.fixture
def starting(folder: Path, free_port: int) -> Iterator[Starting]:
    started = Starting(folder, free_port)
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_stop_while_it_starts_is_silent(starting: Starting, number: signal.Signals) -> None:
    pipe = starting.reading()
    starting.process.send_signal(number)
    assert starting.process.wait(_PATIENCE) == 128 + number
    os.close(pipe)
    assert starting.told() == ""


def test_a_reload_while_it_starts_comes_right_after(starting: Starting) -> None:
    pipe = starting.reading()
    starting.process.send_signal(signal.SIGHUP)
    starting.give(pipe)
    starting.wait_for("SIGHUP: reading the configuration again")
    starting.give(starting.reading())
    starting.wait_for("the new configuration is in force")
    starting.process.send_signal(signal.SIGTERM)
    assert starting.process.wait(_PATIENCE) == 0


def test_afterwards_all_is_as_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with awaiting_supervisor():
        assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert [signal.getsignal(number) for number in numbers] == before
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
