"""Files of addresses that rules name (``emails_file``), read again when they change."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from proxy.config.access import Rule
from proxy.config.address import normalise_email
from proxy.config.settings import Settings
from proxy.errors import ConfigError

_LOOK_EVERY: Final = 3.0
_LARGEST: Final = 16 * 1024 * 1024
_SHOWN: Final = 5
_NOBODY: Final[frozenset[str]] = frozenset()

Tell = Callable[[str, str], None]
"""Level and words, for the log."""
Stamp = tuple[int, int, int] | None
Found = tuple[frozenset[str], list[str]]
"""The addresses, and words for the lines that hold none."""


def paths_of(settings: Settings) -> frozenset[str]:
    """The files that the rules of ``settings`` name."""
    rules = (settings.access, *(route.rule for route in settings.routes))
    return frozenset(path for rule in rules for path in _paths(rule))


def _paths(rule: Rule) -> Iterator[str]:
    if rule.emails_file:
        yield rule.emails_file
    for inner in (*rule.any, *rule.all, *rule.not_):
        yield from _paths(inner)


def list_problems(settings: Settings) -> list[str]:
    """One line for each thing that is wrong with those files."""
    try:
        EmailFiles(paths_of(settings))
    except ConfigError as exc:
        return list(exc.problems)
    return []


class EmailFiles:
    """The addresses in each of ``paths``, normalised. Raises ConfigError for all that is wrong.

    Later a file that cannot be read changes nothing, and a line that is no address is left out
    and told: nobody knows then who else is listed. ``every``: seconds between two looks at the
    files.
    """

    def __init__(self, paths: Iterable[str] = (), every: float = _LOOK_EVERY) -> None:
        self._every = every
        self._seen: dict[str, Stamp] = {}
        self._told: dict[str, str] = {}
        self._addresses: dict[str, frozenset[str]] = {}
        self._cut: set[str] = set()
        problems: list[str] = []
        for path in sorted(paths):
            self._seen[path] = _stamp(path)
            try:
                self._addresses[path], wrong = _read(path)
            except ValueError as exc:
                wrong = [str(exc)]
            problems += (f"emails_file: {path}: {words}" for words in wrong)
        if problems:
            raise ConfigError(problems)

    def addresses(self, path: str) -> frozenset[str]:
        """The addresses in the file, as of now; none for a file that was not named."""
        return self._addresses.get(path, _NOBODY)

    def are_all(self, path: str) -> bool:
        """Could each line of it be read?"""
        return path not in self._cut

    async def watch(self, tell: Tell) -> None:
        """Look at the files now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            for path, stamp in self._changed():
                # A long list takes seconds to read, which nobody is to wait for.
                self._take(path, stamp, await asyncio.to_thread(_tried, path), tell)

    def refresh(self, tell: Tell) -> None:
        """Read anew what has changed; the same trouble is told once."""
        for path, stamp in self._changed():
            self._take(path, stamp, _tried(path), tell)

    def _changed(self) -> list[tuple[str, Stamp]]:
        now = [(path, _stamp(path)) for path in self._addresses]
        return [(path, stamp) for path, stamp in now if stamp is None or stamp != self._seen[path]]

    def _take(self, path: str, stamp: Stamp, found: Found | str, tell: Tell) -> None:
        if isinstance(found, str):
            # Not taken as seen: it is tried again at the next look.
            self._warn(path, f"{found}; the old list stays in use", tell)
            return
        self._addresses[path], wrong = found
        self._cut = self._cut | {path} if wrong else self._cut - {path}
        self._seen[path] = stamp
        self._told.pop(path, None)
        tell("info", f"emails_file: {path}: read again")
        if wrong:
            self._warn(path, ", ".join(wrong), tell)

    def _warn(self, path: str, words: str, tell: Tell) -> None:
        if self._told.get(path) != words:
            tell("warning", f"emails_file: {path}: {words}")
            self._told[path] = words


def _tried(path: str) -> Found | str:
    """As ``_read``, or what is wrong with the file."""
    try:
        return _read(path)
    except ValueError as exc:
        return str(exc)


def _read(path: str) -> Found:
    """The addresses, and which lines hold none: one a line, ``#`` begins a remark.

    Raises ValueError for a file that cannot be read.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError("is no regular file")
            data = file.read(_LARGEST + 1)
    except OSError as exc:
        raise ValueError(exc.strerror) from exc
    if len(data) > _LARGEST:
        raise ValueError("more than 16 MiB")
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeError as exc:
        raise ValueError("is no UTF-8 text") from exc
    entries = [(number, _entry(line)) for number, line in enumerate(lines, start=1)]
    found = [(number, normalise_email(entry)) for number, entry in entries if entry]
    wrong = [f"line {number} is no e-mail address" for number, address in found if not address]
    addresses = frozenset(address for _, address in found if address)
    return addresses, _shortened(wrong)


def _at_once(path: str, flags: int) -> int:
    """A pipe that nobody writes into is not waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _shortened(wrong: list[str]) -> list[str]:
    rest = len(wrong) - _SHOWN
    return [*wrong[:_SHOWN], f"and {rest} more such lines"] if rest > 0 else wrong


def _entry(line: str) -> str:
    return line.partition("#")[0].strip()


def _stamp(path: str) -> Stamp:
    """What changes when a file does, or when another takes its place behind a link."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # the latter for a path that is none
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
