"""File, environment and flags of this process, read for ``proxy.config``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from proxy.cli.arguments import given_options
from proxy.config.load import CONFIG_VARIABLE, Draft, Sources, draft
from proxy.config.settings import Settings
from proxy.errors import ConfigError

_DEFAULT_FILE = "proxy.cfg"


class Configuration:
    """The configuration of a process: read at its start, and again whenever it asks.

    The file that was found at the start stays the one, whatever becomes of it.
    """

    def __init__(self, parsed: argparse.Namespace) -> None:
        self._parsed = parsed
        self._path = _path(parsed)
        self._said_something = False
        self._draft: Draft | None = None

    def read(self) -> Settings:
        """The settings that the arguments lead to now.

        Raises ConfigError, also for a file that has become empty: that is somebody's accident,
        and the defaults are not what it said.
        """
        self._path = self._path or _path(self._parsed)
        sources = _sources(self._path, self._parsed)
        says_something = _says_something(sources.text)
        if self._said_something and not says_something:
            raise ConfigError([f"{self._path}: the file is empty, and was not before"])
        self._draft = draft(sources, _read)
        if self._draft.problems:
            raise ConfigError(self._draft.problems)
        self._said_something = says_something
        return self._draft.settings

    def locate(self, problem: str) -> str:
        """``option: …``, found with what was read last, after the place where it was set."""
        return self._draft.locate(problem) if self._draft else problem


def read_draft(parsed: argparse.Namespace) -> Draft:
    """The settings as far as they can be used. Raises ConfigError if the file cannot be read."""
    return draft(_sources(_path(parsed), parsed), _read)


def print_problems(problems: Iterable[str]) -> None:
    """The problems on standard error, one on a line under a heading."""
    lines = list(problems)
    count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
    print(f"the configuration has {count}:", *lines, sep="\n  ", file=sys.stderr)


def _sources(path: str | None, parsed: argparse.Namespace) -> Sources:
    try:
        text = None if path is None else _read(path)
    except OSError as exc:
        raise ConfigError([f"{path}: the file cannot be read: {exc.strerror}"]) from exc
    except ValueError as exc:
        raise ConfigError([f"{path}: the file is not UTF-8 text"]) from exc
    return Sources(path, text, dict(os.environ), given_options(parsed))


def _path(parsed: argparse.Namespace) -> str | None:
    chosen: str | None = parsed.config or os.environ.get(CONFIG_VARIABLE)
    if chosen:
        return chosen
    return _DEFAULT_FILE if Path(_DEFAULT_FILE).is_file() else None


def _says_something(text: str | None) -> bool:
    """More than blank lines and comments."""
    lines = (text or "").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8-sig")
