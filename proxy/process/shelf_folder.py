"""A folder for what workers share, as long as their supervisor lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PREFIX: Final = "auth-proxy-shelf-"
_OURS: Final = frozenset({"sessions.db", "sessions.db-wal", "sessions.db-shm"})
_TRIES: Final = 3


@contextlib.contextmanager
def shelf_folder() -> Iterator[str]:
    """The folder, ours alone and locked; empty where none can be made.

    The lock keeps away those who tidy temporary folders (tmpfiles.d(5)), and tells the next of us
    what a supervisor that was killed has left: that is removed.
    """
    with contextlib.ExitStack() as stack:
        folder = next(filter(None, (_made(stack) for _ in range(_TRIES))), None)
        if folder is None:
            yield ""
            return
        _remove_abandoned(folder.parent)
        try:
            yield str(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _made(stack: contextlib.ExitStack) -> Path | None:
    """Another that starts may take it for abandoned before it is locked: then there is none."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        stack.enter_context(_locked(folder))
    except OSError:
        return None
    return folder if folder.is_dir() else None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Raises OSError, BlockingIOError where somebody else holds the lock."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if is_ours and stat.S_IMODE(found.st_mode) == stat.S_IRWXU:
                with _locked(folder):
                    _remove(folder)


def _remove(folder: Path) -> None:
    """Only if it holds nothing but what we put there."""
    names = {path.name for path in folder.iterdir()}
    if names <= _OURS:
        for name in names:
            (folder / name).unlink()
        folder.rmdir()
