"""A rule of the settings, compiled to a tree."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from proxy.config.access import Rule
from proxy.config.address import DomainList, normalise_email
from proxy.config.types import Network, show_duration
from proxy.rules.claim import ClaimHolds
from proxy.rules.conditions import (
    AllGroups,
    AnyGroup,
    AnyRole,
    ByMethod,
    Condition,
    Email,
    FromNetwork,
    FromProvider,
    Left,
    ListedEmail,
    Recent,
    Strong,
    Used,
)
from proxy.rules.judged import Lists
from proxy.rules.tree import Either, Every, Neither, Node

_SHOWN: Final = 8
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Compiler:
    """``of_requests`` False leaves to each request what only a request can tell."""

    lists: Lists
    of_requests: bool = True

    def rule(self, rule: Rule, words: str, *, negated: bool = False) -> Every:
        """Raises re.error for a claim rule with a pattern that is none."""
        steps: list[str] = []
        parts: list[Node] = []
        for condition in _conditions(rule, self.lists):
            steps.append(condition.kind)
            parts.append(condition if self.of_requests else _left(condition, negated))
        for number, inner in enumerate(rule.all):
            steps.append(f"all.{number}")
            parts.append(self._inner(inner, negated))
        if rule.any:
            steps.append("any")
            parts.append(Either("one of these", tuple(self._inner(r, negated) for r in rule.any)))
        if rule.not_:
            steps.append("not")
            inside = tuple(self._inner(r, not negated) for r in rule.not_)
            parts.append(Neither("none of these", inside))
        words = f"{words} ({rule.name})" if rule.name else words
        return Every(words, rule.name, rule.remedy, tuple(steps), tuple(parts))

    def _inner(self, rule: Rule, negated: bool) -> Every:
        return self.rule(rule, "all of these", negated=negated)


def _left(condition: Condition, negated: bool) -> Condition:
    if condition.steady or isinstance(condition, ListedEmail):
        return condition
    return Left(f"{condition.words}: left to each request", condition, not negated)


def _conditions(rule: Rule, lists: Lists) -> Iterator[Condition]:
    yield from _emails(rule, lists)
    if rule.groups.any:
        yield AnyGroup(f"groups: {_some(rule.groups.any)}", frozenset(rule.groups.any))
    if rule.groups.all:
        yield AllGroups(f"groups: {_each(rule.groups.all)}", frozenset(rule.groups.all))
    if rule.roles:
        yield AnyRole(f"roles: {_some(rule.roles)}", frozenset(rule.roles))
    yield from map(ClaimHolds.compile, rule.claims)
    if rule.providers:
        yield FromProvider(f"providers: {_some(rule.providers)}", frozenset(rule.providers))
    if rule.methods:
        yield ByMethod(f"methods: {_some(rule.methods)}", with_head(rule.methods))
    if rule.networks:
        networks = tuple(map(_plain, rule.networks))
        yield FromNetwork(f"networks: {_some(map(str, networks))}", networks)
    if rule.amr:
        yield Used(f"amr: {_each(rule.amr)}", frozenset(rule.amr))
    if rule.acr_values:
        yield Strong(f"acr_values: {_some(rule.acr_values)}", rule.acr_values)
    if rule.max_age:
        words = f"max_age: signed in {show_duration(rule.max_age)} ago at most"
        yield Recent(words, rule.max_age)


def _emails(rule: Rule, lists: Lists) -> Iterator[Condition]:
    if not (rule.email_domains or rule.emails or rule.emails_file):
        return
    named = (*rule.email_domains, *rule.emails, *filter(None, [rule.emails_file]))
    words = f"email: {_some(named)}"
    addresses = frozenset(filter(None, map(normalise_email, rule.emails)))
    email = Email(words, DomainList.compile(rule.email_domains), addresses)
    yield ListedEmail(words, email, rule.emails_file, lists) if rule.emails_file else email


def with_head(methods: Iterable[str]) -> frozenset[str]:
    """HEAD goes where GET goes: servers answer it with the same handler (RFC 9110 9.3.2)."""
    named = frozenset(method.upper() for method in methods)
    return named | {"HEAD"} if "GET" in named else named


def _plain(network: Network) -> Network:
    """IPv4 in IPv6's clothes (RFC 4291 section 2.5.5.2) is IPv4."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((address, network.prefixlen - 96))
    return network


def _some(wanted: Iterable[str]) -> str:
    return _listed(list(wanted), " or ")


def _each(wanted: Iterable[str]) -> str:
    return _listed(list(wanted), " and ")


def _listed(wanted: Collection[str], last: str) -> str:
    shown = list(wanted)[:_SHOWN]
    if len(wanted) > _SHOWN:
        shown.append(f"{len(wanted) - _SHOWN} more")
    return last.join(filter(None, (", ".join(shown[:-1]), shown[-1])))
