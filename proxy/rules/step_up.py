"""Would a stronger or fresher sign-in be enough? (RFC 9470)"""

from __future__ import annotations

from dataclasses import dataclass, replace

from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.conditions import CLOCKS_APART, Recent, Strong
from proxy.rules.judged import Asked, Denial, StepUp
from proxy.rules.tree import Every, leaves, refusal

_BY_SIGN_IN = (Reason.ACR_NOT_ALLOWED, Reason.SIGN_IN_TOO_OLD)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ladder:
    """The sign-ins that ``rules`` ask for: context classes, and ages from the mildest on."""

    rules: Every
    acr_values: tuple[str, ...]
    ages: tuple[float, ...]

    @classmethod
    def of(cls, rules: Every) -> Ladder:
        """What stands below a ``not`` asks for no sign-in."""
        found = list(leaves(rules, below_not=False))
        named = [value for leaf in found if isinstance(leaf, Strong) for value in leaf.wanted]
        ages: set[float] = set()
        if any(isinstance(leaf, Recent) for leaf in found):
            every = leaves(rules, below_not=True)
            ages = {leaf.seconds for leaf in every if isinstance(leaf, Recent)}
        return cls(rules, tuple(dict.fromkeys(named)), tuple(sorted(ages, reverse=True)))

    def denial(self, person: Identity, asked: Asked) -> Denial:
        """Why ``person`` is refused, with the least sign-in that would change it, if one does.

        If none does, what else stands in the way is of more use than the sign-in.
        """
        denial = refusal(self.rules, person, asked)
        if not self.acr_values and not self.ages:
            return denial
        if step_up := self._least(person, asked):
            return replace(denial, step_up=step_up)
        if denial.reason in _BY_SIGN_IN:
            best = replace(person, acr=self.acr_values[0]) if self.acr_values else person
            best = _signed_in(best, 0 if self.ages else None, asked.now)
            beyond = refusal(self.rules, best, asked)
            return beyond if beyond.reason not in _BY_SIGN_IN else denial
        return denial

    def _least(self, person: Identity, asked: Asked) -> StepUp | None:
        for age in self.ages:
            if self._enough(person, age, asked):
                return StepUp(max_age=age)
        for limit in (None, *self.ages):
            of_class = ((value, replace(person, acr=value)) for value in self.acr_values)
            if strong := tuple(
                v for v, stronger in of_class if self._enough(stronger, limit, asked)
            ):
                return StepUp(strong, limit)
        return None

    def _enough(self, person: Identity, age: float | None, asked: Asked) -> bool:
        """Would they pass, both so long after a sign-in, and right after it?"""
        return all(
            self.rules.holds(_signed_in(person, limit, asked.now), asked) is True
            for limit in ((None,) if age is None else (age, 0))
        )


def _signed_in(person: Identity, age: float | None, now: float) -> Identity:
    """``person``, signed in ``age`` seconds ago or since; None: whenever it was."""
    if age is None:
        return person
    then, known = int(now - age) + 1, person.auth_time
    if known is not None and then < known <= now + CLOCKS_APART:
        return person
    return replace(person, auth_time=then)
