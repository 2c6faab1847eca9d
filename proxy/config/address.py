"""E-mail addresses and domains, in the one form that rules and headers compare."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# the characters of an RFC 5322 atom and the dot, or anything non-ASCII (RFC 6531): no spaces,
# quotes, brackets or commas, which let one address look like another, or like two; a text, which
# ``re`` compiles at the first sign-in: half as long as all other patterns that are ours together
_LOCAL = r"[a-z0-9.!#$%&'*+/=?^_`{|}~\-\u00a1-\ud7ff\uf900-\ufffd\U00010000-\U000effff]+"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
_LONGEST = 254
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def normalise_email(value: object) -> str:
    """``value`` as a lower-case address with an A-label domain, or ``""`` when it is none.

    Exactly one ``@``. In the local part only ASCII letters change case: Unicode's rules turn
    further letters into ASCII ones (the Kelvin sign into ``k``), hence strangers into friends.
    """
    if not isinstance(value, str) or len(value) > _LONGEST or value.count("@") != 1:
        return ""
    local, _, domain = value.strip(" ").partition("@")
    local = local.translate(_LOWER)
    if not re.fullmatch(_LOCAL, local) or _INVISIBLE.search(local):
        return ""
    ascii_domain = normalise_domain(domain)
    address = f"{local}@{ascii_domain}"
    return address if ascii_domain and len(address) <= _LONGEST else ""


def normalise_domain(domain: str) -> str:
    """``domain`` in lower case and as A-labels (``xn--``), or ``""`` when it is not one.

    A domain that IDNA 2003 would replace by another (``straße`` by ``strasse``, full-width
    letters by plain ones) is refused: IDNA 2008 may give that name to someone else.
    """
    lowered = domain.lower()
    try:
        encoded = lowered.encode("idna")
        same = lowered.isascii() or encoded.decode("idna") == lowered
        labels = encoded.decode("ascii").split(".")
    except UnicodeError:
        return ""
    return ".".join(labels) if same and all(map(_LABEL.fullmatch, labels)) else ""


@dataclass(frozen=True, slots=True)
class DomainList:
    """Domains as ``email_domains`` has them: ``example.org`` exactly, ``.example.org`` for its
    subdomains, ``*`` for any.
    """

    every: bool = False
    exact: frozenset[str] = frozenset()
    above: tuple[str, ...] = ()

    @classmethod
    def compile(cls, entries: Iterable[str]) -> DomainList:
        """An entry that is no domain opens nothing."""
        lowered = [entry.strip().lower() for entry in entries]
        plain = {entry for entry in lowered if not entry.startswith((".", "*"))}
        parents = [entry.removeprefix("*") for entry in lowered if entry not in plain]
        above = [normalise_domain(parent[1:]) for parent in parents if parent[:1] == "."]
        return cls(
            every="*" in lowered,
            exact=frozenset(filter(None, map(normalise_domain, plain))),
            above=tuple(f".{parent}" for parent in above if parent),
        )

    def holds(self, email: str) -> bool:
        """Is this normalised address of one of the domains?"""
        # Exactly one '@' (oauth2-proxy GHSA-c5c4-8r6x-56w3: a@good.example@evil.example).
        local, _, domain = email.partition("@")
        return bool(local and domain and "@" not in domain) and self.has(domain)

    def has(self, domain: str) -> bool:
        """Is this normalised domain one of them?"""
        if self.every or domain in self.exact:
            return True
        # Label by label: notlyon.fr is no subdomain of lyon.fr.
        return any(domain.endswith(parent) and domain != parent for parent in self.above)
