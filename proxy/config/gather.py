"""File, environment and flags → one entry for each option that was set, with its origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from proxy.config.declaration import (
    PREFIX,
    Form,
    Option,
    Place,
    dotted,
    innermost,
    nearest,
    options,
    secret_of_file,
    suggestion,
)
from proxy.config.document import BadDocument, Document, Trouble, read_document
from proxy.config.entries import EntryReader, nobody, read_secret, why_unread
from proxy.config.types import split_secrets

CONFIG_VARIABLE = "AUTH_PROXY_CONFIG"

_NESTED = (Form.TABLE, Form.ENTRIES)
_LISTS = (Form.LIST, Form.NETWORKS, Form.URLS, Form.ADDRESSES)
# Kubernetes gives every container such variables for a Service named auth-proxy or auth-proxy-*.
_SERVICE_LINK = re.compile(
    r"([A-Z0-9_]+_)?(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]:")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sources:
    """What there is to read: the file's name and text, the environment, flags by dotted key."""

    path: str | None
    text: str | None
    environ: Mapping[str, str]
    flags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: its origin as shown, its place in the configuration, what is wrong."""

    origin: str
    place: Place
    message: str
    order: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        words = (self.origin, dotted(self.place), self.message)
        return ": ".join(word for word in words if word)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Entry:
    """The value that won, as written; ``source`` is a variable or a flag, empty for the file."""

    option: Option
    value: object
    source: str = ""
    rank: int = 1


class Gathering:
    """Reads the three sources in order, so that the later one wins; collects every problem.

    ``entries`` are the options that were set, by key; ``broken`` are the keys whose value
    cannot be used, in entries such as ``routes.0.path``; ``readable`` is false when the file is
    not even YAML.
    """

    def __init__(self, sources: Sources, read_file: Callable[[str], str]) -> None:
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        self.readable = True
        self._options = {option.key: option for option in options()}
        self._sources = sources
        self._read_file = read_file
        self._document = Document({}, {}, ())
        self._file()
        self._environment()
        self._flags()
        self._unresolved()

    # problems and where they come from

    def key_of(self, place: Place) -> str:
        """The option that ``place`` is in, or an empty text when it is none."""
        for length in range(len(place), 0, -1):
            key = dotted(place[:length])
            if option := self._options.get(key) or secret_of_file(place[:length]):
                return option.key
        return ""

    def broken_by(self, place: Place) -> str:
        """What a problem at ``place`` makes unusable: an option, or a key of an entry."""
        return dotted(innermost(place)[0])

    def problem(self, place: Place, message: str) -> Problem:
        """A problem with the origin of ``place``."""
        entry = self.entries.get(self.key_of(place))
        if entry is not None and entry.source:
            return Problem(entry.source, place, message, (entry.rank, 0))
        if entry is None and self.key_of(place):
            return Problem("", place, message, (4, 0))
        return self._in_file(self._document.line(place), place, message)

    def suggestion(self, place: Place) -> str:
        """The known option nearest to an unknown one, with words before it, or nothing."""
        return suggestion(dotted(place), self._options)

    def _in_file(self, line: int, place: Place, message: str) -> Problem:
        name = self._sources.path or "configuration"
        return Problem(f"{name}:{line}" if line else name, place, message, (1, line))

    def _report(self, key: str, source: str, rank: int, message: str) -> None:
        self.broken.add(key)
        self.problems.append(Problem(source, tuple(key.split(".")), message, (rank, 0)))

    # the file

    def _file(self) -> None:
        if self._sources.text is None:
            return
        try:
            self._document = read_document(self._sources.text, self._sources.environ)
        except BadDocument as exc:
            self.readable = False
            self.problems.append(self._in_file(exc.line, (), str(exc)))
            return
        for trouble in self._document.troubles:
            if not trouble.unresolved:
                self._trouble(trouble)
        if isinstance(self._document.value, dict):
            self._section(self._document.value, ())
        elif self._document.value is not None:
            self.readable = False
            self.problems.append(self._in_file(1, (), "expected options, such as public_url: …"))

    def _trouble(self, trouble: Trouble) -> None:
        self.broken.add(self.broken_by(trouble.place))
        self.problems.append(self._in_file(trouble.line, trouble.place, trouble.message))

    def _section(self, tree: Mapping[str, object], parent: tuple[str, ...]) -> None:
        for name, value in tree.items():
            place = (*parent, name)
            key = ".".join(place)
            if option := self._options.get(key):
                if value is None and place[0] == "access":
                    value = nobody(option)
                if value is not None:
                    self._set(Entry(option, value))
            elif any(known.startswith(f"{key}.") for known in self._options):
                self._subsection(place, value)
            elif option := secret_of_file(place):
                self._secret_from_file(option, place, value, also=option.path[-1] in tree)
            else:
                self.problems.append(
                    self._in_file(
                        self._document.line(place),
                        place,
                        f"unknown option{self.suggestion(place)}",
                    )
                )

    def _subsection(self, place: tuple[str, ...], value: object) -> None:
        if value is None and place == ("access", "groups"):
            value = {"any": []}
        if isinstance(value, dict):
            self._section(value, place)
        elif value is not None:
            self.problems.append(self.problem(place, "expected options below it, indented"))

    def _secret_from_file(self, option: Option, place: Place, value: object, *, also: bool) -> None:
        line = self._document.line(place)
        if value is None:
            return
        self.broken.add(option.key)
        if also:
            self.problems.append(
                self._in_file(line, place, f"set {option.path[-1]} or this, not both")
            )
            return
        found, problems = read_secret(option, value, self._read)
        self.problems += [self._in_file(line, place, problem) for problem in problems]
        if not problems:
            self.broken.discard(option.key)
            self._set(Entry(option, found))

    def _unresolved(self) -> None:
        """A reference that cannot be resolved matters only where the file's value is used."""
        for trouble in self._document.troubles:
            entry = self.entries.get(self.key_of(trouble.place))
            if trouble.unresolved and (entry is None or not entry.source):
                self._trouble(trouble)

    # environment and flags

    def _environment(self) -> None:
        environ = self._sources.environ
        known = {option.variable for option in self._options.values()}
        for option in self._options.values():
            direct, by_file = environ.get(option.variable, ""), ""
            file_variable = f"{option.variable}_FILE"
            if file_variable not in known:
                by_file = environ.get(file_variable, "")
            if direct and by_file:
                message = f"set {option.variable} or {file_variable}, not both"
                self._report(option.key, file_variable, 2, message)
            elif direct:
                self._set(Entry(option, direct, option.variable, 2))
            elif by_file:
                self._from_file(option, by_file, file_variable, 2)
        for name in self._unknown_variables(known):
            found = nearest(name, known)
            hint = f", did you mean {found}?" if found else ""
            self.problems.append(Problem(name, (), f"unknown variable{hint}", (2, 0)))

    def _unknown_variables(self, known: set[str]) -> Iterator[str]:
        for name, value in sorted(self._sources.environ.items()):
            if not name.startswith(PREFIX) or not value or name == CONFIG_VARIABLE:
                continue
            rest = name.removeprefix(PREFIX)
            linked = _SERVICE_LINK.fullmatch(rest) or (
                rest.endswith("PORT") and value.startswith(("tcp://", "udp://", "sctp://"))
            )
            if name not in known and name.removesuffix("_FILE") not in known and not linked:
                yield name

    def _flags(self) -> None:
        for key, text in self._sources.flags.items():
            if option := self._options.get(key):
                self._set(Entry(option, text, option.flag, 3))
            elif option := secret_of_file(tuple(key.split("."))):
                self._from_file(option, text, f"{option.flag}-file", 3)
            else:
                flag = "--" + key.replace(".", "-").replace("_", "-")
                message = f"unknown option{self.suggestion(tuple(key.split('.')))}"
                self.problems.append(Problem(flag, (), message, (3, 0)))

    def _from_file(self, option: Option, path: str, source: str, rank: int) -> None:
        text = self._read(path)
        if isinstance(text, str):
            self._set(Entry(option, _from_text(option, text), source, rank))
        else:
            self._report(option.key, source, rank, why_unread(text))

    def _read(self, path: str) -> str | OSError | ValueError:
        try:
            return self._read_file(path).removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as exc:
            return exc

    def _set(self, entry: Entry) -> None:
        """Keep ``entry``; a text for a mapping or a list may be YAML or JSON."""
        option, value = entry.option, entry.value
        nested = option.form in _NESTED or (
            option.form in _LISTS and isinstance(value, str) and _is_list(value)
        )
        if nested and isinstance(value, str):
            try:
                value = read_document(value, None).value
            except BadDocument as exc:
                self.entries[option.key] = entry
                self.broken.add(option.key)
                self.problems.append(self.problem(option.path, str(exc)))
                return
        reader = EntryReader(self._read)
        value = reader.read(option, value, option.path)
        self.entries[option.key] = Entry(option, value, entry.source, entry.rank)
        for place, message in reader.problems:
            self.broken.add(dotted(place))
            self.problems.append(self.problem(place, message))


def _from_text(option: Option, text: str) -> str | list[str]:
    """What a file holds for ``option``."""
    return split_secrets(text) if option.form is Form.SECRETS else text


def _is_list(text: str) -> bool:
    """In YAML or JSON; ``[::1]:4180`` is none, a list without its end is a broken one."""
    text = text.strip()
    return text.startswith("[") and (text.endswith("]") or not _IPV6.match(text))
