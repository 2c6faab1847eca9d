"""Signals in the half second before the supervisor heeds them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def awaiting_supervisor() -> Iterator[None]:
    """SIGINT and SIGTERM end the process without a word, with 130 and 143; nothing serves yet.

    SIGHUP waits, blocked: the configuration may have been read before it changed, so that the
    supervisor reloads when it unblocks it. As process 1 of a container we need handlers of our
    own: the kernel drops what has its default there.
    """
    ending = (signal.SIGINT, signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    before = {number: signal.signal(number, _end) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)
