"""Tokens that a terminal keeps: one file of its owner's, an entry for each origin."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from proxy.cli.origin import Failure, Origin, prefix_of

_VERSION = 1
_PATIENCE = 60.0
_FAR = 1e11
_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Stored:
    """What was given at a sign-in. ``expires_at`` is in Unix seconds; ``refresh_token`` may be
    empty. ``prefix`` and ``ca_file`` are how the proxy was reached."""

    token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    prefix: str = "/oauth2"
    ca_file: str = ""


class Drawer:
    """The folder with the file; makes both when there is something to keep.

    The file is replaced whole, so that readers need no lock. Everything raises Failure.
    """

    def __init__(self, folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder
        self._file = folder / "tokens.json"
        self._sleep = sleep

    def get(self, origin: Origin) -> Stored | None:
        """What is kept for exactly this origin."""
        return _stored(self._read().get(str(origin)))

    def put(self, origin: Origin, stored: Stored | None) -> None:
        """Keep it, or with None forget what was kept."""
        with self._locked("tokens.lock"):
            everything = self._read()
            if stored is not None:
                everything[str(origin)] = asdict(stored)
            elif everything.pop(str(origin), None) is None:
                return
            self._write(everything)

    @contextlib.contextmanager
    def alone_with(self, origin: Origin) -> Iterator[None]:
        """Of all that renew or revoke what is kept for this origin, one at a time."""
        name = hashlib.sha256(str(origin).encode()).hexdigest()[:16]
        with self._locked(f"{name}.lock"):
            yield

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self._make_folder()
        with self._explained("locked", self._folder / name):
            descriptor = os.open(
                self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)  # and with it goes the lock

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failure("another auth-proxy keeps the tokens locked; end it") from None
                self._sleep(_AGAIN)
            except OSError as exc:
                raise Failure(f"{self._folder}: cannot be locked: {exc.strerror}") from None

    def _make_folder(self) -> None:
        with self._explained("made", self._folder):
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            there = self._folder.stat()
            if there.st_uid != os.geteuid():
                raise Failure(f"{self._folder}: belongs to somebody else; set XDG_CONFIG_HOME")
            if there.st_mode & 0o077:
                self._folder.chmod(0o700)

    def _read(self) -> dict[str, Any]:
        with self._explained("read", self._file):
            try:
                with self._file.open("rb") as file:
                    self._check(os.fstat(file.fileno()))
                    data = file.read()
            except FileNotFoundError:
                return {}
        try:
            document = json.loads(data)
            if document["version"] != _VERSION or not isinstance(document["origins"], dict):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Failure(
                f"{self._file}: cannot be understood; remove it and sign in again"
            ) from None
        return document["origins"]

    def _check(self, there: os.stat_result) -> None:
        if there.st_uid != os.geteuid():
            raise Failure(f"{self._file}: belongs to somebody else; remove it and sign in again")
        if there.st_mode & 0o077:
            raise Failure(
                f"{self._file}: is not its owner's alone; remove it and sign in again, or chmod 600"
            )

    def _write(self, everything: dict[str, Any]) -> None:
        text = json.dumps({"version": _VERSION, "origins": everything}, indent=1)
        new = self._folder / "tokens.new"  # nobody else writes it, we have the lock
        with self._explained("written", self._file):
            new.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(new, flags, 0o600), "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)

    @contextlib.contextmanager
    def _explained(self, what: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise Failure(f"{path}: cannot be {what}: {exc.strerror}") from None


def drawer() -> Drawer:
    """The drawer of whoever runs this (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    except RuntimeError:
        raise Failure("there is no home directory to keep tokens in: set XDG_CONFIG_HOME") from None
    return Drawer(folder / "auth-proxy")


def _stored(entry: Any) -> Stored | None:
    """None for what somebody else wrote there."""
    try:
        stored = Stored(**entry)
        prefix_of(stored.prefix)
    except (TypeError, Failure):
        return None
    texts: tuple[object, ...] = (stored.token, stored.refresh_token or stored.token)
    if not all(map(is_token, texts)) or not isinstance(entry.get("ca_file"), str):
        return None
    ends = entry.get("expires_at")
    return stored if isinstance(ends, int | float) and 0 <= ends < _FAR else None


def is_token(text: object) -> bool:
    """Is it what may stand in ``Authorization: Bearer`` (RFC 6750), on one line?"""
    return (
        isinstance(text, str)
        and 0 < len(text) <= 8192
        and text.isascii()
        and all(c.isalnum() or c in "-._~+/=" for c in text)
    )
