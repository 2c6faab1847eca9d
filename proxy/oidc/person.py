"""What a sign-in brought becomes a person: identity, groups by source, role, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proxy.config.address import DomainList, normalise_domain, normalise_email
from proxy.config.person import Claims as ClaimsMap
from proxy.config.provider import Provider
from proxy.crypto.jwk import decode_base64url
from proxy.crypto.jwt import LONGEST_TOKEN
from proxy.crypto.strict_json import read_object
from proxy.errors import LoginError, Reason
from proxy.model import MOST_GROUPS, Identity
from proxy.oidc.claims import (
    as_id,
    as_list,
    as_text,
    as_url,
    as_whole,
    is_verified,
    kept,
    lookup,
)
from proxy.oidc.facts import Claims, shown
from proxy.oidc.issuer import TEMPLATE
from proxy.oidc.roles import RoleTable, quoted
from proxy.oidc.told import Told
from proxy.oidc.userinfo import merge, of_the_person


@dataclass(frozen=True, slots=True)
class Person:
    """Who it is, and how that was found: the merged ``claims``, ``groups`` by source ("id_token",
    "userinfo", "access_token", "api"), why this role, and words for the log."""

    identity: Identity
    claims: Claims = field(repr=False)
    groups: Mapping[str, tuple[str, ...]] = field(repr=False)
    role_source: str
    notes: tuple[str, ...] = ()


def person(told: Told, provider: Provider, roles: RoleTable, keep: Iterable[str] = ()) -> Person:
    """The person that ``told`` describes, by the claims map of the resolved ``provider``.

    ``keep`` names further claims, besides those of ``claims.extra``, that rules and headers
    need. A claim of the wrong type or with control characters counts as absent.

    Raises LoginError: IDENTITY_INCOMPLETE without a subject or an id (one is never made up from
    names), EMAIL_MISSING, EMAIL_NOT_ALLOWED and TENANT_NOT_ALLOWED for people for whom the provider
    may not speak, NO_CLAIMS as ``merge`` does, ACCESS_TOKEN_INVALID for another issuer's access
    token.
    """
    mapping = provider.claims
    claims = merge(told.id_token, told.userinfo, provider.claims_source)
    further = _of_access_token(told, mapping)
    _check_tenant(told.issuer, provider)
    _check_hosted_domain(told.id_token, provider.hosted_domains)
    email = normalise_email(lookup(claims, mapping.email))
    verified = is_verified(claims, mapping, email)
    subject, user = _ids(claims, mapping, email, verified)
    _check_email(email, provider.email_domains)
    notes = list(told.notes)
    by_source, is_odd = _groups(told, provider, further, notes)
    groups = tuple(dict.fromkeys(group for found in by_source.values() for group in found))
    if len(groups) > MOST_GROUPS:
        notes.append(f"{len(groups)} groups: {MOST_GROUPS} are kept")
    claimed, are_all = _claimed_roles((claims, further), mapping, roles, notes)
    methods, unread = as_list(claims.get("amr"), " ")
    role, all_roles, why = roles.roles_of(
        claimed, frozenset(groups), email, verified, subject, told.issuer, provider.name
    )
    identity = Identity(
        issuer=told.issuer,
        subject=subject,
        user=user,
        email=email,
        email_verified=verified,
        groups=groups[:MOST_GROUPS],
        groups_partial=told.groups_partial or len(groups) >= MOST_GROUPS or is_odd or not are_all,
        acr=as_text(claims.get("acr")),
        amr=() if unread else methods,  # a method left out is not one that was not used
        auth_time=as_whole(claims.get("auth_time")) or None,  # some send 0 for "not known"
        claims=kept(claims, (*mapping.extra, *keep)),
        provider=provider.name,
        role=role,
        roles=all_roles,
        **_names(claims, mapping, email),
    )
    return Person(identity, claims, by_source, why, tuple(notes))


def _of_access_token(told: Told, mapping: ClaimsMap) -> Claims:
    """What of the access token may count: nothing, unless the operator asks for it."""
    if not mapping.from_access_token or not told.access_token:
        return {}
    # where many tenants share one provider, it must be the same tenant's
    if told.access_token.get("iss") != told.issuer:
        raise LoginError(Reason.ACCESS_TOKEN_INVALID, "its issuer is not the ID token's")
    return of_the_person(told.access_token)


def _check_tenant(issuer: str, provider: Provider) -> None:
    """Of many tenants, one that is allowed now: a refresh may bring no token that says so."""
    template = provider.issuer_url or ""
    allowed = {template.replace(TEMPLATE, one.lower()) for one in provider.entra.allowed_tenants}
    if TEMPLATE in template and issuer not in allowed:
        raise LoginError(Reason.TENANT_NOT_ALLOWED, f"iss is {shown(issuer)}")


def _check_hosted_domain(id_claims: Claims, hosted: tuple[str, ...]) -> None:
    """hd of the ID token, which Google alone can write (developers.google.com, ID token claims)."""
    allowed = set(filter(None, map(normalise_domain, hosted)))
    given = id_claims.get("hd")
    if hosted and (not isinstance(given, str) or normalise_domain(given) not in allowed):
        raise LoginError(Reason.EMAIL_NOT_ALLOWED, f"hd is {shown(given)}")


def _check_email(email: str, domains: tuple[str, ...]) -> None:
    """The provider may speak for these domains alone."""
    if not domains:
        return
    if not email:
        raise LoginError(Reason.EMAIL_MISSING, "provider.email_domains needs an address")
    if not DomainList.compile(domains).holds(email):
        raise LoginError(Reason.EMAIL_NOT_ALLOWED, "provider.email_domains")


def _ids(claims: Claims, mapping: ClaimsMap, email: str, verified: bool | None) -> tuple[str, str]:
    """The subject and the person's id. Raises LoginError where one is missing."""
    subject, user = as_id(claims.get("sub")), _user(claims, mapping, email, verified)
    if not subject or not user:
        missing = mapping.user if subject else "sub"
        raise LoginError(Reason.IDENTITY_INCOMPLETE, f"no usable claim {missing}")
    return subject, user


def _user(claims: Claims, mapping: ClaimsMap, email: str, verified: bool | None) -> str:
    if mapping.user == mapping.email:
        return email
    given = lookup(claims, mapping.user)
    if mapping.user_fallback == "email" and given in (None, ""):
        return email if verified is True else ""
    return as_id(given)


def _names(claims: Claims, mapping: ClaimsMap, email: str) -> dict[str, str]:
    """What the person is called; nothing of it identifies them."""
    username = as_text(lookup(claims, mapping.preferred_username))
    parts = (as_text(lookup(claims, path)) for path in mapping.name)
    return {
        "name": " ".join(filter(None, parts)) or username or email,
        "preferred_username": username,
        "first_name": as_text(lookup(claims, mapping.first_name)),
        "last_name": as_text(lookup(claims, mapping.last_name)),
        "picture": as_url(lookup(claims, mapping.picture)),
    }


def _groups(
    told: Told, provider: Provider, further: Claims, notes: list[str]
) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Groups by source; each source has each of its groups once, in the order of the provider.
    And whether some could not be read."""
    found: dict[str, tuple[str, ...]] = {}
    is_odd = False
    for source, claims in _sources(told, provider, further).items():
        mapping, groups = provider.claims, dict[str, None]()
        for path in mapping.groups:
            value = lookup(claims, path)
            texts, problem = as_list(value, mapping.groups_separator, mapping.group_object_key)
            groups |= dict.fromkeys(texts)
            if problem:
                is_odd = True
                notes.append(f"groups in {path} ({source}): {problem}")
        if groups:
            found[source] = tuple(groups)
    if told.groups:
        found["api"] = tuple(dict.fromkeys(told.groups))
    return found, is_odd


def _sources(told: Told, provider: Provider, further: Claims) -> dict[str, Claims]:
    """The claims that may name groups, in the order in which they count."""
    entra = provider.entra
    if provider.preset == "entra" and (told.groups is not None or entra.service_principal_id):
        # Graph's answer stands for the tokens' groups: those that count with our application
        return {}
    sources: dict[str, Claims] = {}
    if provider.claims_source != "userinfo":
        sources["id_token"] = told.id_token
    if provider.claims_source != "id_token" and told.userinfo is not None:
        sources["userinfo"] = of_the_person(told.userinfo.claims)
    return sources | {"access_token": further}


def names_groups(token: str, provider: Provider) -> bool:
    """May an ID token that was believed at the sign-in, and kept since, have told of groups, or of
    roles?"""
    if provider.claims_source == "userinfo":
        return False
    try:
        claims = read_object(decode_base64url(token.split(".")[1]), LONGEST_TOKEN)
    except (IndexError, ValueError):
        return True
    mapping = provider.claims
    paths = (*mapping.groups, *mapping.roles, "_claim_names", "hasgroups")
    return any(lookup(claims, path) is not None for path in paths)


def _claimed_roles(
    sources: Iterable[Claims], mapping: ClaimsMap, table: RoleTable, notes: list[str]
) -> tuple[tuple[str, ...], bool]:
    """What the provider calls the person; a role's name may hold separators, and is not split.
    And whether these are all."""
    found: dict[str, None] = {}
    are_all = True
    for claims in sources:
        for path in mapping.roles:
            texts, problem = as_list(lookup(claims, path))
            found |= dict.fromkeys(texts)
            if problem:
                are_all = False
                notes.append(f"roles in {path}: {problem}")
    if unknown := table.unknown(tuple(found)):
        notes.append(f"not among roles: {', '.join(map(quoted, unknown[:5]))}")
    return tuple(found)[:MOST_GROUPS], are_all and len(found) <= MOST_GROUPS
