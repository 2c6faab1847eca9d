"""The conditions of a rule, one class a kind: each holds, does not hold, or nobody knows.

Three values (Kleene): what is asked about somebody who never said it is unknown (None), which is
neither a yes nor, below a ``not``, a no.
"""

from __future__ import annotations

import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

from proxy.config.access import EmailVerified
from proxy.config.address import DomainList
from proxy.config.types import Network
from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.judged import Asked, Lists

CLOCKS_APART: Final = 300.0
"""Seconds that a sign-in may lie in the future, by our clock, before it means nothing."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Condition(ABC):
    """One kind of condition; ``words`` say what it asks for.

    ``kind`` is the name of its option, ``steady`` says that it is about the person alone.
    """

    kind: ClassVar[str]
    reason: ClassVar[Reason]
    steady: ClassVar[bool] = True
    words: str

    @abstractmethod
    def holds(self, person: Identity, asked: Asked) -> bool | None:
        """None: nobody knows."""

    def why_not(self, person: Identity) -> Reason:
        """The reason code for ``person``, of whom it does not hold."""
        return self.reason


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Identified(Condition):
    """Nobody passes without an id (B13: one is never made up)."""

    kind: ClassVar[str] = "identity"
    reason: ClassVar[Reason] = Reason.IDENTITY_INCOMPLETE

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return True if person.subject and person.user else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Verified(Condition):
    """What the provider must say of the address."""

    kind: ClassVar[str] = "email_verified"
    reason: ClassVar[Reason] = Reason.EMAIL_UNVERIFIED
    policy: EmailVerified

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        if self.policy is EmailVerified.REQUIRE:
            return person.email_verified if person.email else None
        return person.email_verified is not False

    def why_not(self, person: Identity) -> Reason:
        return self.reason if person.email else Reason.EMAIL_MISSING


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Email(Condition):
    """One of the addresses, or of one of the domains."""

    kind: ClassVar[str] = "email"
    reason: ClassVar[Reason] = Reason.EMAIL_NOT_ALLOWED
    domains: DomainList
    addresses: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        email = person.email
        # Exactly one '@' (oauth2-proxy GHSA-c5c4-8r6x-56w3: a@good.example@evil.example).
        local, _, domain = email.partition("@")
        if not local or not domain or "@" in domain:
            return None
        return email in self.addresses or self.domains.has(domain)

    def why_not(self, person: Identity) -> Reason:
        return self.reason if person.email else Reason.EMAIL_MISSING


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ListedEmail(Condition):
    """The same, or in a file, which may change at any time."""

    kind: ClassVar[str] = "email"
    reason: ClassVar[Reason] = Reason.EMAIL_NOT_ALLOWED
    steady: ClassVar[bool] = False
    written: Email
    path: str
    lists: Lists

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        known = self.written.holds(person, asked)
        if known is not False:
            return known
        if person.email in self.lists.addresses(self.path):
            return True
        return False if self.lists.are_all(self.path) else None

    def why_not(self, person: Identity) -> Reason:
        return self.written.why_not(person)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnyGroup(Condition):
    """Of somebody without any group, or with as many as are kept, nobody knows the rest."""

    kind: ClassVar[str] = "groups"
    reason: ClassVar[Reason] = Reason.GROUP_NOT_ALLOWED
    wanted: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        groups = person.groups
        if not self.wanted.isdisjoint(groups):
            return True
        return False if groups and not person.groups_partial else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AllGroups(AnyGroup):
    def holds(self, person: Identity, asked: Asked) -> bool | None:
        groups = person.groups
        if self.wanted.issubset(groups):
            return True
        return False if groups and not person.groups_partial else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AnyRole(Condition):
    kind: ClassVar[str] = "roles"
    reason: ClassVar[Reason] = Reason.ROLE_NOT_ALLOWED
    wanted: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        if not self.wanted.isdisjoint(person.roles):
            return True
        # A group that was not told may have brought the role.
        return False if person.roles and not person.groups_partial else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FromProvider(Condition):
    kind: ClassVar[str] = "providers"
    reason: ClassVar[Reason] = Reason.PROVIDER_NOT_ALLOWED
    wanted: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return person.provider in self.wanted if person.provider else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ByMethod(Condition):
    kind: ClassVar[str] = "methods"
    reason: ClassVar[Reason] = Reason.METHOD_NOT_PERMITTED
    steady: ClassVar[bool] = False
    wanted: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return asked.method in self.wanted if asked.method else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FromNetwork(Condition):
    kind: ClassVar[str] = "networks"
    reason: ClassVar[Reason] = Reason.NETWORK_NOT_ALLOWED
    steady: ClassVar[bool] = False
    networks: tuple[Network, ...]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        try:
            address = _plain(ipaddress.ip_address(asked.client))
        except ValueError:
            return None  # the client of a unix socket has no address
        return any(address in network for network in self.networks)


def _plain(address: Address) -> Address:
    """IPv4 in IPv6's clothes (RFC 4291 section 2.5.5.2) is IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Used(Condition):
    """Every one of these authentication methods (RFC 8176)."""

    kind: ClassVar[str] = "amr"
    reason: ClassVar[Reason] = Reason.AMR_NOT_ALLOWED
    wanted: frozenset[str]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return self.wanted.issubset(person.amr) if person.amr else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Strong(Condition):
    """One of these context classes; a stronger sign-in may bring it."""

    kind: ClassVar[str] = "acr_values"
    reason: ClassVar[Reason] = Reason.ACR_NOT_ALLOWED
    wanted: tuple[str, ...]

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return person.acr in self.wanted if person.acr else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Recent(Condition):
    """Signed in so many seconds ago at most; a fresh sign-in may bring it."""

    kind: ClassVar[str] = "max_age"
    reason: ClassVar[Reason] = Reason.SIGN_IN_TOO_OLD
    steady: ClassVar[bool] = False
    seconds: float

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        signed_in = person.auth_time
        if signed_in is None or signed_in > asked.now + CLOCKS_APART:
            return None  # a time in milliseconds would be fresh for ever
        return asked.now - signed_in <= self.seconds


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Left(Condition):
    """A condition on the request, where there is none yet: left to each request."""

    steady: ClassVar[bool] = True
    condition: Condition
    assumed: bool

    def holds(self, person: Identity, asked: Asked) -> bool | None:
        return self.assumed

    def why_not(self, person: Identity) -> Reason:
        return self.condition.why_not(person)
