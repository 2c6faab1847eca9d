"""Signals as something to wait for: handlers do nothing, a socket tells which have come."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Final

_HEEDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_IGNORED: Final = (signal.SIGUSR1, signal.SIGUSR2)  # which would end us if nobody minded them


def _noted(_number: int, _frame: object) -> None:
    """The wakeup socket has the number already."""


@contextlib.contextmanager
def heeded() -> Iterator[socket.socket]:
    """A socket that gets a byte, the number, for each signal that a supervisor heeds.

    A SIGHUP that waited for us, blocked, comes now.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    signals = (*_HEEDED, *_IGNORED)
    before = {number: signal.getsignal(number) for number in signals}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        for number in _HEEDED:
            signal.signal(number, _noted)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        yield ours
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        ours.close()
        theirs.close()
