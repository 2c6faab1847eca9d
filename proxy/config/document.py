"""YAML → plain texts, lists and mappings, and the line on which each of them stands.

Every scalar stays a text: the declaration knows the types, so ``pkce: on``, a client id of
digits or a leading zero cannot change on the way, as YAML's own guesses would have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from proxy.config.interpolation import interpolate

Place = tuple[str | int, ...]

MAX_CHARACTERS = 1 << 20
_MAX_DEPTH = 20
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map", "merge", "value")
)


class BadDocument(Exception):
    """Text that is not the YAML we read; ``line`` is counted from 1, 0 when unknown."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong at one place of a document that could otherwise be read."""

    place: Place
    line: int
    message: str
    unresolved: bool = False
    """A reference without a value: of no matter where the option is set elsewhere."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Document:
    """``value`` is the content; a key without a value has ``None``."""

    value: object
    lines: Mapping[Place, int]
    troubles: tuple[Trouble, ...]

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest thing around it.

        A single entry may stand for a list of one: it has no number of its own.
        """
        found: Place = ()
        for word in place:
            if (*found, word) in self.lines:
                found = (*found, word)
            elif word != 0:
                break
        return self.lines.get(found, 0)


def read_document(text: str, environ: Mapping[str, str] | None) -> Document:
    """Read one YAML document; references are replaced from ``environ``, unless it is ``None``.

    Aliases are refused, so that a small text cannot become a huge value, and so are tags.
    Raises BadDocument.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadDocument(0, "longer than 1 MiB")
    loader = None
    try:
        loader = _Composer(text)
        node = loader.get_single_node()
    except _Refused as exc:
        raise BadDocument(exc.line, str(exc)) from exc
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        words = exc.problem or exc.context or "cannot be read"
        raise BadDocument(mark.line + 1 if mark else 0, f"not valid YAML: {words}") from exc
    except yaml.YAMLError as exc:
        raise BadDocument(0, "not valid YAML: it holds control characters") from exc
    finally:
        if loader is not None:
            loader.dispose()
    reader = _Reader(environ)
    value = None if node is None else reader.read(node, ())
    return Document(value, reader.lines, tuple(reader.troubles))


class _Composer(yaml.SafeLoader):
    """Nodes only; nothing is ever constructed from them here."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases (*name) are not supported", event)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _Refused("nested too deeply", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(yaml.YAMLError):
    """Valid YAML, but not what we read."""

    def __init__(self, message: str, event: yaml.Event) -> None:
        super().__init__(message)
        self.line = 1 + (event.start_mark.line if event.start_mark else -1)


class _Reader:
    """Nodes → values, noting lines and troubles on the way."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.environ = environ
        self.lines: dict[Place, int] = {}
        self.troubles: list[Trouble] = []

    def read(self, node: yaml.Node, place: Place) -> object:
        self.lines.setdefault(place, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            self._trouble(node, place, "tags (!name) are not supported")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*place, i)) for i, item in enumerate(node.value)]
        if node.tag.endswith(":null"):
            return None
        return self._text(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, object]:
        result: dict[str, object] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._trouble(key_node, place, "a key must be a plain word")
                continue
            key = str(key_node.value)
            inner = (*place, key)
            if key in seen:
                self._trouble(key_node, inner, f"written twice, first on line {self.lines[inner]}")
                continue
            seen.add(key)
            self.lines[inner] = key_node.start_mark.line + 1
            result[key] = self.read(value_node, inner)
        return result

    def _text(self, node: yaml.Node, place: Place) -> str | None:
        text = str(node.value)
        if self.environ is None:
            return text
        try:
            result = interpolate(text, self.environ)
        except ValueError as exc:
            self._trouble(node, place, str(exc), unresolved=True)
            return None
        # A reference that ends empty is as good as no value; a list keeps its empty item,
        # so that a rule never grows weaker by it.
        in_list = bool(place) and isinstance(place[-1], int)
        return None if text and not result and not in_list else result

    def _trouble(
        self, node: yaml.Node, place: Place, message: str, *, unresolved: bool = False
    ) -> None:
        line = node.start_mark.line + 1
        self.troubles.append(Trouble(place, line, message, unresolved))
