"""Defaults < file < environment < flags → ``Settings``, or every problem at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic import ValidationError

from proxy.config.checks import check
from proxy.config.declaration import Form, nearest, options
from proxy.config.gather import CONFIG_VARIABLE, Entry, Gathering, Place, Problem, Sources
from proxy.config.section import Section
from proxy.config.settings import Settings
from proxy.config.types import show_duration, show_size, split_secrets
from proxy.config.words import explain
from proxy.errors import ConfigError

__all__ = ["CONFIG_VARIABLE", "Draft", "Sources", "draft", "load"]

# Stands in for a public_url that is missing or broken, so that the other checks can still run.
_NO_PUBLIC_URL = "https://public-url.invalid"
_SHORTEST_REDACTED = 8
_OPTION = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)(?:\[(\d+)\])?: ")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Draft:
    """Settings as far as they are usable: options in ``broken`` have their default instead."""

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
    settings = _validated(gathered, broken)
    if gathered.readable:
        for place, message in check(settings, frozenset(broken), absent):
            key = tuple(place.split(".")) if place else ()
            problems.append(gathered.problem(key, message) if key else Problem("", (), message))
    problems.sort(key=lambda problem: problem.order)
    lines = [_one_line(str(problem), gathered.entries.values()) for problem in problems]
    lines = list(dict.fromkeys(lines))
    return Draft(settings, tuple(lines), frozenset(broken), partial(_located, gathered))


def _located(gathered: Gathering, problem: str) -> str:
    """``option: …`` or ``option[0]: …`` with its origin; other texts as they are."""
    found = _OPTION.match(problem)
    if found is None:
        return problem
    place = (*found[1].split("."), *(int(index) for index in found.groups()[1:] if index))
    key = gathered.key_of(place)
    origin = gathered.problem(place, "").origin if key in gathered.entries else ""
    return f"{origin}: {problem}" if origin else problem


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
        key = gathered.key_of(place)
        keys.add(key)
        if error["type"] == "extra_forbidden":
            message = f"unknown option{_entry_suggestion(gathered, place)}"
        else:
            entry = gathered.entries.get(key)
            secret = entry is None or entry.option.secret
            message = explain(dict(error), secret=secret, show=_writing(entry))
        problems.append(gathered.problem(place, message))
    return problems, keys


def _writing(entry: Entry | None) -> Callable[[Any], str]:
    """How a bound of the entry's option is written."""
    form = entry.option.form if entry else None
    if form is Form.DURATION:
        return show_duration
    return show_size if form is Form.SIZE else str


def _validated(gathered: Gathering, broken: set[str]) -> Settings:
    tree = _tree(gathered, broken)
    tree.setdefault("public_url", _NO_PUBLIC_URL)
    return Settings.model_validate(tree)


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
        node[entry.option.path[-1]] = entry.value
    return tree


def _entry_suggestion(gathered: Gathering, place: Place) -> str:
    """For an unknown key inside a list of entries: the nearest one that an entry knows."""
    entry = gathered.entries.get(gathered.key_of(place))
    model: type[Section] | None = entry.option.entry if entry else None
    if entry is None or model is None:
        return gathered.suggestion(place)
    known = {option.key: option for option in options(model)}
    inner = ".".join(str(word) for word in place[len(entry.option.path) :] if isinstance(word, str))
    found = nearest(inner, known)
    return f", did you mean {found}?" if found else ""


def _one_line(text: str, entries: Iterable[Entry]) -> str:
    """``text`` without line breaks, and without any secret that strayed into it."""
    for entry in entries:
        for secret in _texts(entry.value) if entry.option.secret else ():
            if len(secret) >= _SHORTEST_REDACTED:
                text = text.replace(secret, "***")
    return " ".join(text.split())


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
        yield value.strip()
        yield from split_secrets(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
