"""The declaration as a list: every option of ``Settings`` with the names it goes by."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic_core import PydanticUndefined

from proxy.config.listening import Addresses, Mode
from proxy.config.section import Section
from proxy.config.settings import Settings
from proxy.config.types import Duration, HttpUrl, Networks, PublicUrl, Secret, Secrets, Size
from proxy.config.upstreams import Upstreams
from proxy.config.workers import Workers

PREFIX = "AUTH_PROXY_"

Place = tuple[str | int, ...]
"""Where a value is in a configuration: names, and the numbers of entries."""


class Form(StrEnum):
    """How an option is written; the value is what the options page calls it."""

    TEXT = "text"
    YES_NO = "true or false"
    NUMBER = "number"
    DURATION = "duration"
    SIZE = "size"
    URL = "URL"
    URLS = "URL, or a list"
    CHOICE = "choice"
    SECRET = "secret"
    SECRETS = "secret, or a list"
    LIST = "list"
    NETWORKS = "list of networks"
    ADDRESSES = "list of addresses"
    WORKERS = "number, or auto"
    TABLE = "mapping"
    ENTRIES = "list of entries"


_ALIASES: tuple[tuple[Any, Form], ...] = (
    (Duration, Form.DURATION),
    (Size, Form.SIZE),
    (HttpUrl, Form.URL),
    (PublicUrl, Form.URL),
    (Upstreams, Form.URLS),
    (Networks, Form.NETWORKS),
    (Addresses, Form.ADDRESSES),
    (Mode, Form.TEXT),
    (Workers, Form.WORKERS),
    (Secrets, Form.SECRETS),
    (Secret, Form.SECRET),
    (bool, Form.YES_NO),
    (int, Form.NUMBER),
    (str, Form.TEXT),
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Option:
    """One option: its place, how it is written, and what the declaration says of it."""

    path: tuple[str, ...]
    form: Form
    default: object
    """As declared, so ``"12h"`` rather than 43200; ``None`` when required."""
    required: bool
    description: str
    choices: tuple[str, ...] = ()
    entry: type[Section] | None = None
    """The model of each entry, when the option is a list of entries."""
    example: object = None

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        return PREFIX + "_".join(self.path).upper()

    @property
    def flag(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def secret(self) -> bool:
        return self.form in (Form.SECRET, Form.SECRETS)


@cache
def options(model: type[Section] = Settings) -> tuple[Option, ...]:
    """Every option below ``model``, in the order of the declaration."""
    return tuple(_options(model, ()))


def _options(model: type[Section], path: tuple[str, ...]) -> Iterator[Option]:
    hints = typing.get_type_hints(model, include_extras=True)
    for attribute, field in model.model_fields.items():
        name, hint = str(field.validation_alias or attribute), _without_none(hints[attribute])
        if isinstance(hint, type) and issubclass(hint, Section):
            yield from _options(hint, (*path, name))
            continue
        required = field.default is PydanticUndefined
        yield Option(
            path=(*path, name),
            form=_form(hint),
            default=None if required else field.default,
            required=required,
            description=field.description or "",
            choices=_choices(hint),
            entry=_entry(hint),
            example=field.examples[0] if field.examples else None,
        )


@cache
def by_path(model: type[Section] = Settings) -> Mapping[tuple[str | int, ...], Option]:
    """The same, by path."""
    return types.MappingProxyType({option.path: option for option in options(model)})


def secret_of_file(path: Place, model: type[Section] = Settings) -> Option | None:
    """The secret that ``path`` names a file of: ``client_secret`` for ``client_secret_file``."""
    *parent, last = path or ("",)
    name = str(last)
    option = by_path(model).get((*parent, name.removesuffix("_file")))
    return option if option and option.secret and name.endswith("_file") else None


def innermost(place: Place, model: type[Section] = Settings) -> tuple[Place, Option | None]:
    """The option that ``place`` is in, one of an entry of entries if need be, and its place."""
    for length in range(len(place), 0, -1):
        path, rest = place[:length], place[length:]
        option = by_path(model).get(path) or secret_of_file(path, model)
        if option is None:
            continue
        if option.entry and rest:
            number = rest[:1] if isinstance(rest[0], int) else ()
            inner, found = innermost(rest[len(number) :], option.entry)
            if found:
                return (*path, *number, *inner), found
        return (*path[:-1], option.path[-1]), option
    return (), None


def dotted(place: Place) -> str:
    """As people read it: ``providers.0.client_id``."""
    return ".".join(map(str, place))


def sections(model: type[Section] = Settings) -> dict[str, tuple[type[Section], str]]:
    """The sections of ``model`` by name, each with its model and description."""
    hints = typing.get_type_hints(model, include_extras=True)
    return {
        name: (hints[name], field.description or "")
        for name, field in model.model_fields.items()
        if isinstance(hints[name], type) and issubclass(hints[name], Section)
    }


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` was probably meant to be, or an empty text."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """Words that name the known key, or group of keys, nearest to an unknown one; or nothing."""
    keys = list(known)
    keys += dict.fromkeys(filter(None, (key.rpartition(".")[0] for key in keys)))
    parent, _, last = name.rpartition(".")
    found = nearest(name, [key for key in keys if key.rpartition(".")[0] == parent])
    if not found:
        found = next((key for key in keys if key.rpartition(".")[2] == last), "")
    found = found or nearest(name, keys)
    return f", did you mean {found}?" if found else ""


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(arg for arg in typing.get_args(hint) if arg is not types.NoneType)
    return hint


def _form(hint: Any) -> Form:
    for alias, form in _ALIASES:
        if hint == alias:
            return form
    if typing.get_origin(hint) is dict:
        return Form.TABLE
    if _entry(hint) is not None:
        return Form.ENTRIES
    if _choices(hint):
        return Form.CHOICE
    base = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if base is hint:
        return Form.TEXT
    return Form.LIST if typing.get_origin(base) is tuple else _form(base)


def _choices(hint: Any) -> tuple[str, ...]:
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return tuple(hint)
    return ()


def _entry(hint: Any) -> type[Section] | None:
    if typing.get_origin(hint) is typing.Annotated:
        return _entry(typing.get_args(hint)[0])
    args = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and isinstance(args[0], type):
        return args[0] if issubclass(args[0], Section) else None
    return None
