"""The words of our pages: which languages there are, and which one a reader prefers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

DEFAULT = "en"

# RFC 9110 section 12.5.4: language-range [ weight ]; the range as in RFC 4647 section 2.1
_ITEM = re.compile(
    r"(?P<range>[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)"
    r"(?:[ \t]*;[ \t]*[qQ]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Words:
    """What happened, in a line and in a sentence or two, and what the reader can do."""

    title: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Language:
    """One language file: ``tag`` is its name (BCP 47), ``direction`` is ``ltr`` or ``rtl``."""

    tag: str
    direction: str
    labels: Mapping[str, str]
    pages: Mapping[str, Words]
    reasons: Mapping[str, Words]
    fallback: Words

    def words(self, reason: str) -> Words:
        """The words for a reason; general ones for a reason that the file does not know."""
        return self.reasons.get(reason, self.fallback)


def read_language(tag: str, text: str) -> Language:
    """The text of a language file → its words. Raises KeyError, TypeError or ValueError."""
    data = json.loads(text)
    return Language(
        tag=tag,
        direction=data["direction"],
        labels=MappingProxyType(dict(data["labels"])),
        pages=_table(data["pages"]),
        reasons=_table(data["reasons"]),
        fallback=Words(**data["fallback"]),
    )


def _table(data: Mapping[str, Mapping[str, str]]) -> Mapping[str, Words]:
    return MappingProxyType({name: Words(**words) for name, words in data.items()})


@cache
def languages() -> Mapping[str, Language]:
    """Every language that has a file, by tag; the default first. Read once, never changes."""
    found = {
        name.removesuffix(".json"): item
        for item in files(__package__).joinpath("languages").iterdir()
        if (name := item.name).endswith(".json")
    }
    order = sorted(found, key=lambda tag: (tag != DEFAULT, tag))
    return MappingProxyType(
        {tag: read_language(tag, found[tag].read_text(encoding="utf-8")) for tag in order}
    )


def choose_language(accept_language: str) -> str:
    """An Accept-Language field → the tag of the language to answer in.

    A range finds a language by itself or with its last parts cut off (RFC 4647 section 3.4,
    lookup), so that ``fr-CA`` finds ``fr``. Equal weights keep the reader's order. An absent or
    malformed field, or one that names no language of ours, means the default.
    """
    ranked = _ranked(accept_language)
    known = tuple(languages())
    named = {tag for name, _ in ranked if (tag := _lookup(name, known))}
    refused = {tag for name, weight in ranked if not weight and (tag := _exact(name, known))}
    for name, weight in ranked:
        if not weight:
            break
        if name == "*":
            # the star stands for what no other range names (RFC 9110 section 12.5.4)
            choice = next((tag for tag in known if tag not in named), "")
        else:
            choice = _lookup(name, known)
        if choice and choice not in refused:
            return choice
    return DEFAULT


def _ranked(field: str) -> list[tuple[str, float]]:
    """Ranges in lower case with their weights, the most wanted first; none if malformed."""
    ranges: list[tuple[str, float]] = []
    for item in field.split(","):
        text = item.strip(" \t")
        if not text:
            continue  # empty elements are to be ignored: RFC 9110 section 5.6.1.2
        match = _ITEM.fullmatch(text)
        if not match:
            return []
        weight = match["weight"]
        ranges.append((match["range"].lower(), 1.0 if weight is None else float(weight)))
    return sorted(ranges, key=lambda entry: -entry[1])


def _lookup(name: str, known: tuple[str, ...]) -> str:
    while name:
        if tag := _exact(name, known):
            return tag
        name = name.rpartition("-")[0]
    return ""


def _exact(name: str, known: tuple[str, ...]) -> str:
    return next((tag for tag in known if tag.lower() == name), "")
