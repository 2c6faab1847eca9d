"""A person against the rules: allowed, or why not. The one function that every flow asks."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.settings import AccessRules, ClaimRule, EmailVerified, Rule
from proxy.errors import Reason
from proxy.model import Identity


@dataclass(frozen=True, slots=True)
class Condition:
    """One compiled rule; each kind that was given must hold.

    ``restricts_email`` says that domains or addresses were given, usable ones or not.
    """

    restricts_email: bool = False
    any_domain: bool = False
    domains: frozenset[str] = frozenset()
    subdomains: tuple[str, ...] = ()
    emails: frozenset[str] = frozenset()
    groups_any: frozenset[str] = frozenset()
    groups_all: frozenset[str] = frozenset()
    claims: tuple[ClaimRule, ...] = ()
    acr: frozenset[str] = frozenset()

    @classmethod
    def compile(cls, rule: Rule) -> Condition:
        domains = [entry.strip().lower() for entry in rule.email_domains]
        plain = [domain for domain in domains if not domain.startswith((".", "*"))]
        above = [domain.removeprefix("*") for domain in domains if domain not in plain]
        return cls(
            restricts_email=bool(rule.email_domains or rule.emails),
            any_domain="*" in domains,
            domains=frozenset(map(_ascii, plain)),
            subdomains=tuple("." + _ascii(d[1:]) for d in above if d[:1] == "." and d[1:]),
            emails=frozenset(map(_ascii_address, rule.emails)),
            groups_any=frozenset(rule.groups.any),
            groups_all=frozenset(rule.groups.all),
            claims=rule.claims,
            acr=frozenset(rule.acr_values),
        )

    def denied(self, person: Identity) -> Reason | None:
        """The first kind of condition that does not hold; None when all do."""
        if self.restricts_email and not self._email_allowed(person.email):
            return Reason.EMAIL_NOT_ALLOWED if person.email else Reason.EMAIL_MISSING
        if self.groups_any and self.groups_any.isdisjoint(person.groups):
            return Reason.GROUP_NOT_ALLOWED
        if self.groups_all and not self.groups_all.issubset(person.groups):
            return Reason.GROUP_NOT_ALLOWED
        if self.claims and not all(_holds(rule, person) for rule in self.claims):
            return Reason.CLAIM_NOT_ALLOWED
        if self.acr and person.acr not in self.acr:
            return Reason.ACR_NOT_ALLOWED
        return None

    def _email_allowed(self, email: str) -> bool:
        # Exactly one '@' (oauth2-proxy GHSA-c5c4-8r6x-56w3: a@good.example@evil.example).
        local, at, domain = email.partition("@")
        if not local or not at or not domain or "@" in domain:
            return False
        if self.any_domain or email in self.emails or domain in self.domains:
            return True
        # Label by label: notlyon.fr is no subdomain of lyon.fr.
        return any(domain.endswith(parent) and domain != parent for parent in self.subdomains)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Rules:
    """The global conditions and a route's own; both must hold."""

    conditions: tuple[Condition, ...] = ()
    email_verified: EmailVerified = EmailVerified.IGNORE

    @classmethod
    def compile(cls, everywhere: AccessRules, route: Rule | None = None) -> Rules:
        given = [Condition.compile(rule) for rule in (everywhere, route) if rule is not None]
        return cls(tuple(c for c in given if c != _NO_CONDITION), everywhere.email_verified)

    @property
    def lets_in_everyone(self) -> bool:
        """Is there no condition at all, but for ``email_verified``?"""
        return not self.conditions

    def denied(self, person: Identity) -> Reason | None:
        """Why ``person`` may not pass, or None if they may."""
        if not person.subject or not person.user:
            return Reason.IDENTITY_INCOMPLETE
        if self._unverified(person):
            return Reason.EMAIL_UNVERIFIED if person.email else Reason.EMAIL_MISSING
        for condition in self.conditions:
            if reason := condition.denied(person):
                return reason
        return None

    def _unverified(self, person: Identity) -> bool:
        if self.email_verified is EmailVerified.REQUIRE:
            return not person.email or person.email_verified is not True
        if self.email_verified is EmailVerified.IF_PRESENT:
            return person.email_verified is False
        return False


_NO_CONDITION = Condition()
ANYONE = Rules()
"""No conditions at all: what a public route has."""


def _holds(rule: ClaimRule, person: Identity) -> bool:
    """An absent claim holds nothing; a list holds each of its values."""
    value = person.claims.get(rule.claim)
    several = isinstance(value, list | tuple)
    values = set(map(_text, value if isinstance(value, list | tuple) else [value]))
    values.discard(None)
    if rule.any_of and not values & set(rule.any_of):
        return False
    if not set(rule.all_of) <= values:
        return False
    return rule.equals is None or (not several and rule.equals in values)


def _text(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _ascii(domain: str) -> str:
    """A domain in the form that addresses are compared in (IDNA A-labels).

    One that IDNA 2003 would replace by another (``straße`` by ``strasse``) stays as it is, and
    so is nobody's.
    """
    try:
        encoded = domain.encode("idna")
        return encoded.decode() if encoded.decode("idna") == domain else domain
    except UnicodeError:
        return domain


def _ascii_address(email: str) -> str:
    local, at, domain = email.strip().lower().partition("@")
    return local + at + _ascii(domain)


def claim_paths(settings_access: AccessRules, routes: tuple[Rule, ...]) -> frozenset[str]:
    """The claims that any rule looks at: what a session must keep."""
    return frozenset(claim.claim for rule in (settings_access, *routes) for claim in rule.claims)
