"""Sockets that systemd passed to this process (sd_listen_fds(3))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_FIRST: Final = 3
_UNNAMED: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Activation:
    """``sockets`` are (name, file descriptor) pairs in systemd's order.

    ``trouble`` says why there are none although the environment speaks of some.
    """

    sockets: tuple[tuple[str, int], ...] = ()
    trouble: str = ""


NOT_ACTIVATED: Final = Activation()


def activation(environ: Mapping[str, str], pid: int) -> Activation:
    """What LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES say to process ``pid``."""
    count, owner = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count:
        return NOT_ACTIVATED
    if not (count.isascii() and count.isdecimal() and len(count) <= 4):
        return Activation(trouble=f"LISTEN_FDS={count!r} is not a number")
    if owner != str(pid):
        return Activation(trouble=f"LISTEN_PID={owner!r} is not this process, {pid}")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (int(count) - len(names))
    return Activation(
        tuple((names[number] or _UNNAMED, _FIRST + number) for number in range(int(count)))
    )
