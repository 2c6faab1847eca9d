"""Rules about who is let in: conditions at any depth, roles, and names that must be known."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from proxy.config.access import Rule
from proxy.config.address import normalise_email
from proxy.config.checks_provider import is_domain, not_a_domain
from proxy.config.providers import names_of
from proxy.config.section import Section
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
        if wrong := _pattern(claim.matches or ""):
            yield f"{place}.claims.{number}.matches", wrong


def _pattern(pattern: str) -> str:
    """What is wrong with a regular expression, in words."""
    try:
        re.compile(pattern)
        repeats = _repeats_repeats(_parser.parse(pattern))
    except (re.error, OverflowError, RecursionError) as exc:
        return f"is not a regular expression: {exc}"
    if not repeats:
        return ""
    # Two times as long for each further character of what people may write themselves.
    return "repeats what is repeated, which takes for ever on some texts: write ++ or *+ inside"


def _repeats_repeats(tokens: Iterable[Any], *, inside: bool = False) -> bool:
    """Is there a repeat without an end in another? What gives nothing back is none."""
    for kind, parts in tokens:
        if kind in (_constants.ATOMIC_GROUP, _constants.POSSESSIVE_REPEAT):
            deeper = False
        else:
            is_repeat = kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
            endless = is_repeat and parts[1] == _constants.MAXREPEAT
            if endless and inside:
                return True
            deeper = inside or endless
        if any(_repeats_repeats(inner, inside=deeper) for inner in _patterns_in(parts)):
            return True
    return False


def _patterns_in(parts: Any) -> Iterator[Iterable[Any]]:
    if isinstance(parts, _parser.SubPattern):
        yield parts
    elif isinstance(parts, tuple | list):
        for part in parts:
            yield from _patterns_in(part)


def _empty_lists(settings: Settings) -> Found:
    for place, rule in _every_rule(settings):
        yield from _empty(place, rule)


def _empty(place: str, rule: Rule) -> Found:
    """What is written and holds nothing asks for nothing: it would let everybody in."""
    parts: list[tuple[str, Section]] = [(place, rule), (f"{place}.groups", rule.groups)]
    parts += [(f"{place}.claims.{number}", claim) for number, claim in enumerate(rule.claims)]
    for where, part in parts:
        for name in sorted(part.model_fields_set):
            if getattr(part, name) == () or (name == "emails_file" and not rule.emails_file):
                yield f"{where}.{name.rstrip('_')}", "is empty: leave it out, or say who"


def _emails(place: str, emails: Iterable[str]) -> Found:
    for email in emails:
        if not normalise_email(email):
            yield place, f"{email!r} is not an e-mail address"


def _something(place: str, rule: Rule) -> Found:
    """A rule without a condition would hold for everybody."""
    silent = rule.model_copy(update={"name": "", "remedy": ""}) == Rule()
    if silent and not list(_empty(place, rule)):
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


def _roles_by_provider(settings: Settings) -> Found:
    """Each of several providers gives out ids of its own: a bare one could be anybody's."""
    known = names_of(settings)
    for number, role in enumerate(settings.roles):
        for name in role.providers:
            if name not in known:
                yield f"roles.{number}.providers", _unknown(name, "provider", known)
        for subject in role.subjects if len(known) > 1 and len(role.providers) != 1 else ():
            if "://" not in subject.partition("#")[0] or "#" not in subject:
                words = "is not issuer#sub: with several providers, any of them could name it"
                yield f"roles.{number}.subjects", f"{subject!r} {words}"


_RULES = ("access.any", "access.all", "access.not", "routes")

ACCESS: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("access.email_domains", "access.emails", "access.methods", "access.claims"), _people),
    (("access.any", "access.all", "access.not"), _people_below),
    (("routes",), _people_of_routes),
    (_RULES, _empty_lists),
    (("providers.*.name", "provider.name", *_RULES), _known_providers),
    (("roles",), _roles),
    (("providers.*.name", "provider.name", "roles"), _roles_by_provider),
    (("roles.*.name", "default_role", "debug.roles", *_RULES), _known_roles),
)
