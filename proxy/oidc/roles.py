"""Which roles a person has, by the operator's table, and which of them comes first."""

from __future__ import annotations

import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.address import normalise_email
from proxy.config.person import Role

# ASCII alone: Unicode's rules make further letters into ASCII ones (the Kelvin sign into k)
_LOWER: Mapping[int, int] = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class _Row:
    """A role, and everybody whom the table gives it."""

    name: str
    groups: tuple[str, ...]
    emails: frozenset[str]
    subjects: frozenset[str]
    providers: frozenset[str]

    def is_of(self, provider: str) -> bool:
        """May what this provider says give the role?"""
        return not self.providers or provider in self.providers

    def reason(self, groups: Collection[str], email: str, subject: str, issuer: str) -> str:
        """Why the person has the role, ``""`` if they do not; ``email`` is empty if unverified."""
        for group in self.groups:
            if group in groups:
                return f"group {quoted(group)}"
        if email and email in self.emails:
            return "roles.emails"
        # a sub made up to look like another issuer's person is nobody's: only issuer#sub fits it
        front, mark, _ = subject.partition("#")
        bare = "" if mark and "://" in front else subject
        if {bare, f"{issuer}#{subject}"} & self.subjects:
            return "roles.subjects"
        return ""


@dataclass(frozen=True, slots=True)
class RoleTable:
    """The roles of the settings in order of privilege, and the default."""

    rows: tuple[_Row, ...] = ()
    default: str = ""

    @classmethod
    def compile(cls, roles: Sequence[Role], default_role: str = "") -> RoleTable:
        rows = (
            _Row(
                role.name,
                role.groups,
                frozenset(filter(None, map(normalise_email, role.emails))),
                frozenset(filter(None, role.subjects)),
                frozenset(role.providers),
            )
            for role in roles
        )
        return cls(tuple(rows), default_role)

    def roles_of(
        self,
        claimed: Sequence[str],
        groups: Collection[str],
        email: str,
        email_verified: bool | None,
        subject: str,
        issuer: str,
        provider: str = "",
    ) -> tuple[str, tuple[str, ...], str]:
        """The role, all roles in order of privilege, and why it is that one, in words; ``provider``
        is the name of the one that says all this.

        The table is asked first, then what the provider ``claimed``, and last of all comes the
        default (requirements R072). Without a table nothing puts several claimed roles in
        order: none of them is then the role.
        """
        proven = email if email_verified is True else ""
        given: dict[str, str] = {}
        rows = [row for row in self.rows if row.is_of(provider)]
        for row in rows:
            if why := row.reason(groups, proven, subject, issuer):
                given.setdefault(row.name, why)
        given = given or self._claimed(claimed, rows)
        if given:
            first, *others = given
            if others and not self.rows:
                return "", tuple(given), "several were claimed, and roles does not order them"
            return first, tuple(given), given[first]
        if self.default:
            return self.default, (self.default,), "default_role"
        return "", (), "nothing gives one"

    def unknown(self, claimed: Sequence[str]) -> tuple[str, ...]:
        """Those of ``claimed`` that the table does not have."""
        known = {_lower(row.name) for row in self.rows}
        return tuple(role for role in claimed if _lower(role) not in known) if known else ()

    def _claimed(self, claimed: Sequence[str], rows: Sequence[_Row]) -> dict[str, str]:
        names = list(claimed)
        if self.rows:
            wanted = set(map(_lower, claimed))
            names = [row.name for row in rows if _lower(row.name) in wanted]
        return dict.fromkeys(names, "role claim")


def quoted(text: str) -> str:
    """``text`` for the log and for explanations: ASCII, and no more of it than helps."""
    return ascii(text)[:80]


def _lower(role: str) -> str:
    return role.translate(_LOWER)
