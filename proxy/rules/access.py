"""A person against the rules: allowed, or why not. The one function that every flow asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from proxy.config.access import AccessRules, EmailVerified, Rule
from proxy.model import Identity
from proxy.rules.compiler import Compiler
from proxy.rules.conditions import Identified, Verified
from proxy.rules.judged import NO_LISTS, Asked, Denial, Line, Lists
from proxy.rules.step_up import Ladder
from proxy.rules.tree import Every, Node, flat, leaves, lines

Test = Callable[[Identity, Asked], bool | None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rules:
    """The global conditions and a route's own; both must hold.

    ``steady``: the answer depends on the person alone, and holds as long as they stay the same.
    ``lets_in_everyone``: there is no condition at all, but for ``email_verified``.
    """

    steady: bool
    lets_in_everyone: bool
    _whole: Every
    _ladder: Ladder
    _tests: tuple[Test, ...] = field(default=())

    @classmethod
    def compile(
        cls,
        everywhere: AccessRules,
        route: Rule | None = None,
        lists: Lists = NO_LISTS,
        where: str = "route",
        *,
        of_requests: bool = True,
    ) -> Rules:
        """``where`` names the route's rule. With ``of_requests`` False, what only a request can
        tell (method, network, time since the sign-in) is left to each request: whom such rules
        refuse is to have no session.
        """
        compiler = Compiler(lists, of_requests)
        given = [("access.", compiler.rule(everywhere, "access"))]
        if route is not None:
            given.append((f"{where}: ", compiler.rule(route, where)))
        return cls._of(given, everywhere.email_verified, everywhere.remedy)

    @classmethod
    def of(cls, rule: Rule, where: str, lists: Lists = NO_LISTS) -> Rules:
        """One rule alone, called ``where``."""
        return cls._of([(f"{where}: ", Compiler(lists).rule(rule, where))])

    @classmethod
    def _of(
        cls,
        given: list[tuple[str, Every]],
        policy: EmailVerified = EmailVerified.IGNORE,
        remedy: str = "",
    ) -> Rules:
        first: list[tuple[str, Node]] = [("identity", Identified("the sign-in says who it is"))]
        if policy is not EmailVerified.IGNORE:
            first.append(("access.email_verified", Verified(f"email_verified: {policy}", policy)))
        kept = [(step, rule) for step, rule in given if rule.parts]
        steps, parts = zip(*first, *kept, strict=True)
        whole = Every("allowed", "", remedy, steps, parts)
        return cls(
            steady=all(leaf.steady for leaf in leaves(whole, below_not=True)),
            lets_in_everyone=not kept,
            _whole=whole,
            _ladder=Ladder.of(whole),
            _tests=tuple(part.holds for part in flat(whole)),
        )

    def denied(self, person: Identity, asked: Asked) -> Denial | None:
        """Why ``person`` may not pass in these circumstances, or None if they may."""
        for holds in self._tests:
            if holds(person, asked) is not True:
                return self._ladder.denial(person, asked)
        return None

    def explained(self, person: Identity, asked: Asked) -> tuple[Line, ...]:
        """Every condition and what it comes to; the first line is the whole."""
        return tuple(lines(self._whole, person, asked))


ANYONE = Rules.of(Rule(), "")
"""No conditions at all: what a public route has."""


def claim_paths(everywhere: AccessRules, routes: tuple[Rule, ...]) -> frozenset[str]:
    """The claims that any rule looks at: what a session must keep."""
    found: set[str] = set()
    rest: list[Rule] = [everywhere, *routes]
    while rest:
        rule = rest.pop()
        found.update(claim.claim for claim in rule.claims)
        rest += (*rule.any, *rule.all, *rule.not_)
    return frozenset(found)
