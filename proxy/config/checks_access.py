"""Rules about who is let in: conditions at any depth, roles, and names that must be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from proxy.config.access import Rule
from proxy.config.address import normalise_email
from proxy.config.checks_provider import is_domain, not_a_domain
from proxy.config.providers import names_of
from proxy.config.settings import Settings

Found = Iterator[tuple[str, str]]

_METHOD = r"[!#$%&'*+.^_`|~0-9A-Z-]+"  # RFC 9110 section 5.6.2; case counts
_NESTED = ("any", "all", "not_")


def _people(settings: Settings) -> Found:
    yield from _conditions("access", settings.access)


def _people_below(settings: Settings) -> Found:
    for place, rule in _below("access", settings.access):
        yield from _conditions(place, rule)
        yield from _something(place, rule)


def _people_of_routes(settings: Settings) -> Found:
    for place, top in _rules_of_routes(settings):
        yield from _conditions(place, top)
        for inner, rule in _below(place, top):
            yield from _conditions(inner, rule)
            yield from _something(inner, rule)


def _below(place: str, rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Every rule that ``rule`` holds, at any depth, and its place."""
    for kind in _NESTED:
        for number, inner in enumerate(getattr(rule, kind)):
            where = f"{place}.{kind.rstrip('_')}.{number}"
            yield where, inner
            yield from _below(where, inner)


def _every_rule(settings: Settings) -> Iterator[tuple[str, Rule]]:
    for place, rule in [("access", settings.access), *_rules_of_routes(settings)]:
        yield place, rule
        yield from _below(place, rule)


def _rules_of_routes(settings: Settings) -> Iterator[tuple[str, Rule]]:
    for number, route in enumerate(settings.routes):
        yield f"routes.{number}.rule", route.rule


def _conditions(place: str, rule: Rule) -> Found:
    """Each condition of one rule is of the right form."""
    for domain in rule.email_domains:
        if not is_domain(domain):
            yield f"{place}.email_domains", not_a_domain(domain)
    yield from _emails(f"{place}.emails", rule.emails)
    for method in rule.methods:
        if not re.fullmatch(_METHOD, method):
            yield f"{place}.methods", f"{method!r} is not a method such as GET"
    for number, claim in enumerate(rule.claims):
        try:
            re.compile(claim.matches or "")
        except (re.error, OverflowError, RecursionError) as exc:
            yield f"{place}.claims.{number}.matches", f"is not a regular expression: {exc}"


def _emails(place: str, emails: Iterable[str]) -> Found:
    for email in emails:
        if not normalise_email(email):
            yield place, f"{email!r} is not an e-mail address"


def _something(place: str, rule: Rule) -> Found:
    """A rule without a condition would hold for everybody."""
    if rule.model_copy(update={"name": "", "remedy": ""}) == Rule():
        yield place, "says nothing: a rule needs a condition, such as groups or emails"


def _known_providers(settings: Settings) -> Found:
    known = names_of(settings)
    for number, route in enumerate(settings.routes):
        if route.provider and route.provider not in known:
            yield f"routes.{number}.provider", _unknown(route.provider, "provider", known)
    for place, rule in _every_rule(settings):
        for name in rule.providers:
            if name not in known:
                yield f"{place}.providers", _unknown(name, "provider", known)


def _unknown(name: str, what: str, known: Iterable[str]) -> str:
    return f"{name!r} is the name of no {what}; known: {', '.join(known)}"


def _roles(settings: Settings) -> Found:
    first: dict[str, int] = {}
    for number, role in enumerate(settings.roles):
        if first.setdefault(role.name, number) != number:
            yield f"roles.{number}.name", f"{role.name!r} is already roles.{first[role.name]}"
        yield from _emails(f"roles.{number}.emails", role.emails)


def _known_roles(settings: Settings) -> Found:
    """With a table of roles there are no others."""
    known = list(dict.fromkeys(role.name for role in settings.roles))
    if not known:
        return
    if settings.default_role and settings.default_role not in known:
        yield "default_role", _unknown(settings.default_role, "role", known)
    for place, rule in _every_rule(settings):
        for name in rule.roles:
            if name not in known:
                yield f"{place}.roles", _unknown(name, "role", known)
    for name in settings.debug.roles:
        if name not in known:
            yield "debug.roles", _unknown(name, "role", known)


_RULES = ("access.any", "access.all", "access.not", "routes")

ACCESS: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("access.email_domains", "access.emails", "access.methods", "access.claims"), _people),
    (("access.any", "access.all", "access.not"), _people_below),
    (("routes",), _people_of_routes),
    (("providers.*.name", "provider.name", *_RULES), _known_providers),
    (("roles",), _roles),
    (("roles.*.name", "default_role", "debug.roles", *_RULES), _known_roles),
)
