"""Signals as bytes on a socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from proxy.process.signals import heeded


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD],
    ids=lambda number: number.name,
)
def test_a_signal_is_a_byte(number: signal.Signals) -> None:
    with heeded() as wakeup:
        os.kill(os.getpid(), number)
        assert number in wakeup.recv(16)


def test_others_are_ignored_and_all_is_as_before_in_the_end() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    with heeded() as wakeup:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR2)
        with pytest.raises(BlockingIOError):
            wakeup.recv(16)
    assert [signal.getsignal(number) for number in numbers] == before


_WAITED = """
import os, signal
from proxy.process.signals import heeded
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
os.kill(os.getpid(), signal.SIGHUP)
with heeded() as wakeup:
    assert signal.SIGHUP in wakeup.recv(16)
assert signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, ())
"""


def test_a_sighup_that_waited_comes_at_once_and_blocking_is_as_before() -> None:
    """Run apart: another thread of the tests' process would take it, and nobody minds it there."""
    subprocess.run([sys.executable, "-c", _WAITED], check=True, timeout=20)
