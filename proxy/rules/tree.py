"""Rules as a tree: conditions, and rules of which all, one or none must hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.conditions import Condition
from proxy.rules.judged import Asked, Denial, Line


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Every:
    """A rule: each of its parts must hold. ``steps`` are the way to each, for its place."""

    words: str
    name: str
    remedy: str
    steps: tuple[str, ...]
    parts: tuple[Node, ...]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        known = True
        for part in self.parts:
            held = part.holds(person, asked)
            if held is False:
                return False
            known = known and held is True
        return True if known else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Either:
    """One of the rules must hold."""

    words: str
    parts: tuple[Every, ...]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        known = True
        for part in self.parts:
            held = part.holds(person, asked)
            if held is True:
                return True
            known = known and held is False
        return False if known else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Neither:
    """Each of the rules must be known not to hold."""

    words: str
    parts: tuple[Every, ...]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        known = True
        for part in self.parts:
            held = part.holds(person, asked)
            if held is True:
                return False
            known = known and held is False
        return True if known else None


Node = Condition | Every | Either | Neither


def flat(rule: Every) -> Iterator[Node]:
    """All that must hold, without the rules that only hold it together."""
    for part in rule.parts:
        if isinstance(part, Every):
            yield from flat(part)
        else:
            yield part


def leaves(node: Node, *, below_not: bool) -> Iterator[Condition]:
    """The conditions in it; those below a ``not`` only if asked for."""
    if isinstance(node, Condition):
        yield node
    elif below_not or not isinstance(node, Neither):
        for part in node.parts:
            yield from leaves(part, below_not=below_not)


def lines(node: Node, person: Identity, asked: Asked, depth: int = 0) -> Iterator[Line]:
    """Every node with what it comes to, as ``holds`` says."""
    yield Line(depth, node.words, node.holds(person, asked))
    if not isinstance(node, Condition):
        for part in node.parts:
            yield from lines(part, person, asked, depth + 1)


def refusal(whole: Every, person: Identity, asked: Asked) -> Denial:
    """The first thing that stands in ``person``'s way, for whom ``whole`` does not hold."""
    node: Node = whole
    name = remedy = ""
    way: list[str] = []
    while isinstance(node, Every):
        name, remedy = node.name or name, node.remedy or remedy
        step, node = next(
            (step, part)
            for step, part in zip(node.steps, node.parts, strict=True)
            if part.holds(person, asked) is not True
        )
        way.append(step)
    if isinstance(node, Neither):
        met = next(part for part in node.parts if part.holds(person, asked) is not False)
        name, remedy = met.name or name, met.remedy or remedy
    reason = node.why_not(person) if isinstance(node, Condition) else Reason.RULE_NOT_MET
    return Denial(reason, name or way[0] + ".".join(way[1:]), remedy)
