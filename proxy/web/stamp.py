"""Whether a file is still the one that was read."""

from __future__ import annotations

import os
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int] | None


def stamp(name: str) -> Stamp:
    """What changes when a file does, or when another takes its place behind a link.

    None while there is none.
    """
    try:
        found = os.stat(name)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
