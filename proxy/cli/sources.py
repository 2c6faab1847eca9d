"""File, environment and flags of this process, read for ``proxy.config``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from proxy.cli.arguments import given_options
from proxy.config.load import CONFIG_VARIABLE, Draft, Sources, draft, load
from proxy.config.settings import Settings
from proxy.errors import ConfigError

_DEFAULT_FILE = "proxy.cfg"


def read_settings(parsed: argparse.Namespace) -> Settings:
    """The settings that the arguments lead to. Raises ConfigError."""
    return load(_sources(parsed), _read)


def read_draft(parsed: argparse.Namespace) -> Draft:
    """The settings as far as they can be used. Raises ConfigError if the file cannot be read."""
    return draft(_sources(parsed), _read)


def print_problems(problems: Iterable[str]) -> None:
    """The problems on standard error, one on a line under a heading."""
    lines = list(problems)
    count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
    print(f"the configuration has {count}:", *lines, sep="\n  ", file=sys.stderr)


def _sources(parsed: argparse.Namespace) -> Sources:
    path = _path(parsed)
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


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8-sig")
