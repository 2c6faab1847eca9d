"""Defaults < file < environment < flags → ``Settings``, or every problem at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config.checks import check
from proxy.config.declaration import Form, Option, Place, dotted, innermost
from proxy.config.entries import secrets_in
from proxy.config.gather import CONFIG_VARIABLE, Entry, Gathering, Problem, Sources
from proxy.config.settings import Settings
from proxy.config.types import show_duration, show_size
from proxy.config.words import explain
from proxy.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "Draft", "Sources", "draft", "load"]

# Stands in for a public_url that is missing or broken, so that the other checks can still run.
_NO_PUBLIC_URL = "https://public-url.invalid"
_SHORTEST_REDACTED = 8
_OPTION = re.compile(r"([a-z_]+(?:\.(?:[a-z_]+|\d+))+)(?:\[(\d+)\])?: ")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Draft:
    """Settings as far as they are usable: what is in ``broken`` has its default instead.

    That is an option (``log.level``), or a key of an entry (``providers.0.client_id``).
    """

    settings: Settings
    problems: tuple[str, ...]
    broken: frozenset[str]
    locate: Callable[[str], str] = field(default=str, compare=False, repr=False)
    """Puts the place where its option was set in front of a problem found later."""


def load(sources: Sources, read_file: Callable[[str], str]) -> Settings:
    """The settings that ``sources`` describe; flags win over environment, file and defaults.

    ``read_file`` gives the text of a file named by a ``_file`` key or a ``_FILE`` variable,
    and raises OSError or ValueError. Raises ConfigError with every problem, a line each.
    """
    result = draft(sources, read_file)
    if result.problems:
        raise ConfigError(result.problems)
    return result.settings


def draft(sources: Sources, read_file: Callable[[str], str]) -> Draft:
    """As ``load``, but for commands that can do with a part of the settings."""
    gathered = Gathering(sources, read_file)
    problems, broken = list(gathered.problems), set(gathered.broken)
    found, more = _field_problems(gathered, broken)
    problems += found
    broken |= more
    absent = frozenset({"public_url"} - gathered.entries.keys() - broken)
    broken |= absent
    settings = _placed(_validated(gathered, broken), sources.path)
    if gathered.readable:
        for path, message in check(settings, frozenset(broken), absent):
            place = _place(path)
            problems.append(gathered.problem(place, message) if path else Problem("", (), message))
    problems.sort(key=lambda problem: problem.order)
    lines = [_one_line(str(problem), gathered.entries.values()) for problem in problems]
    lines = list(dict.fromkeys(lines))
    return Draft(settings, tuple(lines), frozenset(broken), partial(_located, gathered))


def _located(gathered: Gathering, problem: str) -> str:
    """``option: …`` or ``option[0]: …`` with its origin; other texts as they are."""
    found = _OPTION.match(problem)
    if found is None:
        return problem
    place = (*_place(found[1]), *(int(index) for index in found.groups()[1:] if index))
    key = gathered.key_of(place)
    origin = gathered.problem(place, "").origin if key in gathered.entries else ""
    return f"{origin}: {problem}" if origin else problem


def _place(path: str) -> Place:
    return tuple(int(word) if word.isdecimal() else word for word in path.split("."))


def _field_problems(gathered: Gathering, broken: set[str]) -> tuple[list[Problem], set[str]]:
    tree = _tree(gathered, broken)
    tree.setdefault("public_url", _NO_PUBLIC_URL)
    try:
        Settings.model_validate(tree)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    else:
        return [], set()
    problems, keys = [], set()
    for error in errors:
        place: Place = error["loc"]
        if _follows(dotted(place), broken):
            continue
        keys.add(gathered.broken_by(place) or gathered.key_of(place))
        option = innermost(place)[1]
        if error["type"] == "extra_forbidden":
            message = f"unknown option{gathered.suggestion(place)}"
        else:
            secret = option is None or option.secret
            message = explain(dict(error), secret=secret, show=_writing(option))
        problems.append(gathered.problem(place, message))
    return problems, keys


def _follows(name: str, broken: Iterable[str]) -> bool:
    """Does something broken there, or in it, explain a problem at ``name``?"""
    return any(key == name or key.startswith(f"{name}.") for key in broken)


def _writing(option: Option | None) -> Callable[[Any], str]:
    """How a bound of the option is written."""
    form = option.form if option else None
    if form is Form.DURATION:
        return show_duration
    return show_size if form is Form.SIZE else str


def _validated(gathered: Gathering, broken: set[str]) -> Settings:
    """Without what is broken; an entry that cannot be whole without it takes its list along."""
    tree = _tree(gathered, broken)
    tree.setdefault("public_url", _NO_PUBLIC_URL)
    try:
        return Settings.model_validate(tree)
    except ValidationError as exc:
        more = {gathered.key_of(error["loc"]) for error in exc.errors()} - broken
        if not more:
            raise
    broken |= more
    return _validated(gathered, broken)


def _placed(settings: Settings, path: str | None) -> Settings:
    """Hooks are looked for beside the file, unless somebody says where."""
    hooks = settings.hooks
    if not hooks.post_login or hooks.folder or path is None:
        return settings
    hooks = hooks.model_copy(update={"folder": str(Path(path).parent)})
    return settings.model_copy(update={"hooks": hooks})


def _tree(gathered: Gathering, broken: Iterable[str]) -> dict[str, Any]:
    """The entries as nested mappings, without those that are known to be broken."""
    tree: dict[str, Any] = {}
    skipped = set(broken)
    for key, entry in gathered.entries.items():
        if key in skipped:
            continue
        node = tree
        for name in entry.option.path[:-1]:
            node = node.setdefault(name, {})
        value = entry.value
        for inner in skipped:
            if entry.option.entry and inner.startswith(f"{key}."):
                value = _without(value, inner.removeprefix(f"{key}.").split("."))
        node[entry.option.path[-1]] = value
    return tree


def _without(value: object, path: Sequence[str]) -> object:
    """A copy of ``value`` without what ``path`` leads to."""
    first, *rest = path
    if isinstance(value, list):
        return [_without(it, rest) if str(n) == first else it for n, it in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if first not in value and first.isdecimal():  # a single entry, for a list of one
        return _without(value, rest) if rest else value
    inner = {
        name: _without(it, rest) if name == first and rest else it for name, it in value.items()
    }
    return inner if rest else {name: it for name, it in inner.items() if name != first}


def _one_line(text: str, entries: Iterable[Entry]) -> str:
    """``text`` without line breaks, and without any secret that strayed into it."""
    for secret in _secrets(entries):
        text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
    return " ".join(text.split())


def _secrets(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        for secret in secrets_in(entry.option, entry.value):
            if len(secret) >= _SHORTEST_REDACTED:
                yield secret
