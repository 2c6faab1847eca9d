"""Rules read slowly, straight from the words of docs/rules.md, and random ones to read.

Nothing of the code under test reads them: yes is 1, no is 0, unknown lies between, so that "all" is
the least, "one of" is the greatest, and "not" is what is missing to 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import product
from typing import Any

from hypothesis import strategies as st

from proxy.config.access import AccessRules, ClaimRule, EmailVerified, Rule
from proxy.model import Identity
from proxy.rules.access import Rules
from proxy.rules.judged import Asked
from tests.session.samples import NOW, person

YES, UNKNOWN, NO = 1.0, 0.5, 0.0
LISTED = {"/lists/a": frozenset({"y@c.fr"}), "/lists/b": frozenset({"x@a.fr", "x@xa.fr"})}


class Listed:
    """Files of addresses, as they are at the moment."""

    def addresses(self, path: str) -> frozenset[str]:
        return LISTED[path]

    def are_all(self, path: str) -> bool:
        return True


def allowed(rules: list[Rule], someone: Identity, asked: Asked) -> bool:
    """The first of ``rules`` is the global one."""
    whole = rules[0]
    policy = whole.email_verified if isinstance(whole, AccessRules) else EmailVerified.IGNORE
    verified = {
        EmailVerified.REQUIRE: someone.email_verified is True and someone.email != "",
        EmailVerified.IF_PRESENT: someone.email_verified is not False,
        EmailVerified.IGNORE: True,
    }
    known = someone.subject != "" and someone.user != ""
    return known and verified[policy] and min(value(r, someone, asked) for r in rules) == YES


def value(rule: Rule, someone: Identity, asked: Asked) -> float:
    """What a rule comes to."""
    inner = [value(each, someone, asked) for each in rule.all]
    if rule.any:
        inner.append(max(value(each, someone, asked) for each in rule.any))
    inner += [1 - value(each, someone, asked) for each in rule.not_]
    return min([*_leaves(rule, someone, asked), *inner, YES])


def _leaves(rule: Rule, someone: Identity, asked: Asked) -> list[float]:
    found = [_claim(each, someone) for each in rule.claims]
    if rule.email_domains or rule.emails or rule.emails_file:
        found.append(_email(rule, someone.email))
    groups = someone.groups
    no_group = UNKNOWN if not groups or someone.groups_partial else NO
    if rule.groups.any:
        found.append(YES if any(g in rule.groups.any for g in groups) else no_group)
    if rule.groups.all:
        found.append(YES if all(g in groups for g in rule.groups.all) else no_group)
    if rule.roles:
        has_one = any(r in rule.roles for r in someone.roles)
        complete = someone.roles and not someone.groups_partial
        found.append(YES if has_one else NO if complete else UNKNOWN)
    if rule.providers:
        found.append(_said(someone.provider, someone.provider in rule.providers))
    if rule.acr_values:
        found.append(_said(someone.acr, someone.acr in rule.acr_values))
    if rule.amr:
        found.append(_said(someone.amr, all(m in someone.amr for m in rule.amr)))
    if rule.max_age:
        found.append(_recent(rule.max_age, someone.auth_time, asked.now))
    if rule.methods:
        as_get = asked.method == "HEAD" and "GET" in rule.methods
        found.append(_said(asked.method, as_get or asked.method in rule.methods))
    if rule.networks:
        found.append(_network(rule, asked.client))
    return found


def _said(fact: object, met: bool) -> float:
    return float(met) if fact else UNKNOWN


def _email(rule: Rule, email: str) -> float:
    """As one would say it: split at the only @, then compare label by label."""
    pieces = email.split("@")
    if len(pieces) != 2 or not all(pieces):
        return UNKNOWN
    labels = pieces[1].split(".")
    for entry in rule.email_domains:
        if entry == "*" or (entry and entry.split(".") == labels):
            return YES
        wanted = entry.split(".")
        below = wanted[0] in ("", "*") and len(wanted) > 1 and len(labels) >= len(wanted)
        if below and labels[-len(wanted) + 1 :] == wanted[1:]:
            return YES
    return float(email in rule.emails or email in LISTED.get(rule.emails_file, ()))


def _claim(rule: ClaimRule, someone: Identity) -> float:
    given = someone.claims.get(rule.claim)
    one = _text(given)
    many = [_text(each) for each in given] if isinstance(given, list) else [one]
    missed = UNKNOWN if None in many else NO
    found = []
    if rule.any_of:
        found.append(YES if any(t in rule.any_of for t in many if t is not None) else missed)
    if rule.all_of:
        found.append(YES if all(t in many for t in rule.all_of) else missed)
    if rule.in_:
        found.append(UNKNOWN if one is None else float(one in rule.in_))
    if rule.equals is not None:
        found.append(UNKNOWN if one is None else float(one == rule.equals))
    if rule.matches is not None:
        short = [t for t in many if t is not None and len(t) <= 1024]
        if any(re.fullmatch(rule.matches, t) for t in short):
            found.append(YES)
        else:
            found.append(UNKNOWN if len(short) < len(many) else NO)
    if rule.present is not None:
        found.append(float((given is not None) == rule.present))
    return min(found)


def _text(given: object) -> str | None:
    if given is True or given is False:
        return str(given).lower()
    return str(given) if isinstance(given, str | int | float) else None


def _recent(limit: float, auth_time: int | None, now: float) -> float:
    if auth_time is None or auth_time - now > 300:
        return UNKNOWN
    return float(now - auth_time <= limit)


def _network(rule: Rule, client: str) -> float:
    try:
        address = ip_address(client.removeprefix("::ffff:"))
    except ValueError:
        return UNKNOWN
    return float(any(address in network for network in rule.networks))


def could_sign_in_better(rules: list[Rule], someone: Identity, asked: Asked) -> bool:
    """Would some sign-in that ``rules`` ask for let them in?"""
    stronger = {someone.acr, *(v for rule in rules for v in _asked_for(rule, "acr_values"))}
    fresh = any(each for rule in rules for each in _asked_for(rule, "max_age"))
    times = [someone.auth_time, int(asked.now)] if fresh else [someone.auth_time]
    return any(
        allowed(rules, replace(someone, acr=acr, auth_time=when), asked)
        for acr in stronger
        for when in times
    )


def _asked_for(rule: Rule, option: str) -> list[Any]:
    given = getattr(rule, option)
    found = [given] if isinstance(given, float | int) else list(given)
    for inner in (*rule.any, *rule.all):
        found += _asked_for(inner, option)
    return found


# Random ones


@dataclass(frozen=True, slots=True)
class Scene:
    """Some people and some requests before the same rules, the global one first."""

    everywhere: AccessRules
    own: Rule
    people: list[Identity]
    requests: list[Asked]

    @property
    def rules(self) -> list[Rule]:
        return [self.everywhere, self.own]

    def compiled(self, *, of_requests: bool = True) -> Rules:
        return Rules.compile(
            self.everywhere, self.own, Listed(), "route /x", of_requests=of_requests
        )

    def __iter__(self) -> Iterator[tuple[Identity, Asked]]:
        return product(self.people, self.requests)


_NAMES = st.sampled_from(["g", "h", "i"])
_FEW = st.lists(_NAMES, min_size=1, max_size=2)
_CLASSES = st.sampled_from(["a1", "a2", "a3"])
_METHODS = st.sampled_from(["GET", "HEAD", "POST"])
_AGES = st.sampled_from([60, 300, 3600])
_DOMAINS = st.sampled_from(["a.fr", "b.a.fr", "xa.fr", "c.fr", "*", ".a.fr", "*.a.fr", "a.fr.", ""])
_NETWORKS = st.sampled_from(["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "10.1.2.3"])
_CLAIM_RULES = st.builds(
    lambda claim, parts: {"claim": claim, **parts},
    st.sampled_from(["c", "d"]),
    st.dictionaries(
        st.sampled_from(["any_of", "in", "all_of", "equals", "matches", "present"]),
        st.none(),
        min_size=1,
        max_size=2,
    ).flatmap(lambda chosen: st.fixed_dictionaries({name: _CLAIM_PARTS[name] for name in chosen})),
)
_CLAIM_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "any_of": _FEW,
    "in": _FEW,
    "all_of": _FEW,
    "equals": _NAMES,
    "matches": st.sampled_from(["g", "[gh]+", ".*", "(g|h)x?"]),
    "present": st.booleans(),
}
_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "email_domains": st.lists(_DOMAINS, min_size=1, max_size=2),
    "emails": st.lists(st.sampled_from(["y@c.fr", "x@a.fr"]), min_size=1, max_size=1),
    "emails_file": st.sampled_from(list(LISTED)),
    "groups": st.fixed_dictionaries({}, optional={"any": _FEW, "all": _FEW}),
    "roles": _FEW,
    "claims": st.lists(_CLAIM_RULES, min_size=1, max_size=2),
    "providers": _FEW,
    "acr_values": st.lists(_CLASSES, min_size=1, max_size=2),
    "amr": _FEW,
    "max_age": _AGES,
    "methods": st.lists(_METHODS, min_size=1, max_size=2),
    "networks": st.lists(_NETWORKS, min_size=1, max_size=2),
}
_CONDITIONS = st.sets(st.sampled_from(list(_KINDS)), max_size=2).flatmap(
    lambda chosen: st.fixed_dictionaries({name: _KINDS[name] for name in sorted(chosen)})
)


def _combined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(inner, min_size=1, max_size=2)
    ways = st.fixed_dictionaries({}, optional={"any": some, "all": some, "not": some})
    return st.builds(lambda conditions, way: {**conditions, **way}, _CONDITIONS, ways)


_TREES = st.recursive(_CONDITIONS, _combined, max_leaves=6)
RULES = _TREES.map(Rule.model_validate)
WHOLES = st.builds(
    lambda tree, policy: AccessRules.model_validate({**tree, "email_verified": policy}),
    _TREES,
    st.sampled_from(EmailVerified),
)

_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, "g", "h", "gh", 7, True, {"g": 1}, "g" * 1025, "", []]
)
PEOPLE = st.builds(
    person,
    user=st.sampled_from(["jean", "jean", "jean", ""]),
    email=st.sampled_from(["", "x@a.fr", "x@b.a.fr", "x@xa.fr", "y@c.fr", "x@a.fr@c.fr", "@a.fr"]),
    email_verified=st.none() | st.booleans(),
    groups=st.lists(_NAMES, max_size=2).map(tuple),
    groups_partial=st.booleans(),
    roles=st.lists(_NAMES, max_size=2).map(tuple),
    claims=st.dictionaries(
        st.sampled_from(["c", "d"]), _VALUES | st.lists(_VALUES, max_size=2), max_size=2
    ),
    acr=_CLASSES | st.just(""),
    amr=st.lists(_NAMES, max_size=2).map(tuple),
    auth_time=st.none()
    | st.sampled_from([0, 59, 60, 61, 300, 301, 4000, -1000]).map(lambda ago: int(NOW) - ago),
    provider=_NAMES | st.just(""),
)
ASKED = st.builds(
    Asked,
    st.sampled_from([NOW, NOW + 0.5]),
    _METHODS | st.just(""),
    st.sampled_from(["", "unix:", "x", "10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8::1"]),
)
SCENES = st.builds(
    Scene,
    WHOLES,
    RULES,
    st.lists(PEOPLE, min_size=3, max_size=3),
    st.lists(ASKED, min_size=2, max_size=2),
)
