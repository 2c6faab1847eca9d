"""What tests of the terminal's commands have in common."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.fakes.device import Waits

ROOT = Path(__file__).resolve().parent.parent.parent


def allow(waits: Waits) -> None:
    """What a person does who confirms at once."""
    waits.state = "allowed"


def deny(waits: Waits) -> None:
    waits.state = "access_denied"


def at_a_terminal(
    arguments: Sequence[str], typed: str, environ: Mapping[str, str]
) -> tuple[int, str]:
    """The exit status of ``auth-proxy`` with a person before it, and all that they saw."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    seen = b""
    with contextlib.suppress(OSError):  # EIO: nobody is at the other side any more
        while data := os.read(ours, 65536):
            seen += data
    os.close(ours)
    return process.wait(30), seen.decode()
