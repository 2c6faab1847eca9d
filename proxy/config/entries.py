"""Lists of entries, read by the declaration before they are validated.

In an entry a secret may stand in a file as well (``client_secret_file``), a key without a value
counts as not written, and an unknown key is told with the nearest one that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from proxy.config.access import Rule
from proxy.config.declaration import (
    Form,
    Option,
    Place,
    by_path,
    dotted,
    options,
    secret_of_file,
    suggestion,
)
from proxy.config.section import Section
from proxy.config.types import split_secrets

ReadFile = Callable[[str], str | OSError | ValueError]


class EntryReader:
    """Makes the value of a list of entries ready; ``problems`` are places and what is wrong."""

    def __init__(self, read_file: ReadFile) -> None:
        self.problems: list[tuple[Place, str]] = []
        self._read_file = read_file

    def read(self, option: Option, value: object, place: Place) -> object:
        """``value`` as it is to be validated; a shape that no entry has stays as it is."""
        if option.entry is None:
            return value
        if isinstance(value, list):
            return [self._entry(option.entry, it, (*place, n)) for n, it in enumerate(value)]
        return self._entry(option.entry, value, place)

    def _entry(self, model: type[Section], value: object, place: Place) -> object:
        return self._keys(model, value, place, ()) if isinstance(value, dict) else value

    def _keys(
        self, model: type[Section], tree: Mapping[str, object], place: Place, parent: Place
    ) -> dict[str, object]:
        known, kept = by_path(model), dict[str, object]()
        for name, value in tree.items():
            path = (*parent, name)
            where = (*place, *path)
            if value is None and (model is Rule or path[0] == "rule"):
                option = known.get(path)
                value = {"any": []} if path[-1] == "groups" else option and nobody(option)
            if option := known.get(path):
                if value is not None:
                    kept[name] = self.read(option, value, where)
            elif any(other[: len(path)] == path for other in known):
                if isinstance(value, dict):
                    kept[name] = self._keys(model, value, place, path)
                elif value is not None:
                    kept[name] = value
            elif option := secret_of_file(path, model):
                if value is not None:
                    self._secret(option, value, where, tree, kept)
            else:
                hint = suggestion(dotted(path), (option.key for option in options(model)))
                self.problems.append((where, f"unknown option{hint}"))
        return kept

    def _secret(
        self,
        option: Option,
        value: object,
        where: Place,
        tree: Mapping[str, object],
        kept: dict[str, object],
    ) -> None:
        name = option.path[-1]
        if tree.get(name) is not None:
            self.problems.append((where, f"set {name} or this, not both"))
            return
        found, problems = read_secret(option, value, self._read_file)
        self.problems += [(where, problem) for problem in problems]
        if not problems:
            kept[name] = found


def nobody(option: Option) -> object:
    """What a condition that was written without a value says: nobody, for the checks to refuse.
    Were it not written, it would let everybody in."""
    return [] if option.form in (Form.LIST, Form.NETWORKS, Form.ENTRIES) else None


def read_secret(
    option: Option, value: object, read_file: ReadFile
) -> tuple[str | list[str], list[str]]:
    """What the file ``value`` holds, or each of a list for a list of secrets; and problems."""
    several = option.form is Form.SECRETS
    paths = value if isinstance(value, list) and several else [value]
    if not all(isinstance(path, str) for path in paths):
        return "", ["expected the path of a file"]
    texts = [read_file(str(path)) for path in paths]
    problems = [why_unread(text) for text in texts if not isinstance(text, str)]
    read = [split_secrets(text) if several else [text] for text in texts if isinstance(text, str)]
    return ([*chain(*read)] if several else "".join(chain(*read))), problems


def why_unread(exc: OSError | ValueError) -> str:
    """Why a file cannot be read, in words."""
    reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
    return f"the file cannot be read: {reason or 'no reason given'}"


def secrets_in(option: Option, value: object) -> Iterable[str]:
    """Every secret in the value of ``option``, for messages to leave out: the whole of it, or
    what is called like a secret in it, also where no secret belongs.
    """
    if option.secret:
        yield from _texts(value)
    elif isinstance(value, list | dict):
        yield from _named(value, _secret_names(option.entry))


def _secret_names(entry: type[Section] | None) -> set[str]:
    """What secrets are called, in entries and elsewhere, unless it is something else in entries."""
    inside = options(entry) if entry else ()
    plain = {option.path[-1] for option in inside if not option.secret}
    return {option.path[-1] for option in (*options(), *inside) if option.secret} - plain


def _named(value: object, names: set[str]) -> Iterable[str]:
    if isinstance(value, list):
        for item in value:
            yield from _named(item, names)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner) if name in names else _named(inner, names)


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
