"""Identity → the claims of the identity JWT that upstreams verify (requirements C2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxy.model import UNREADABLE_CLAIM, Identity, Session

PROTECTED = frozenset(
    {"iss", "aud", "exp", "iat", "nbf", "jti", "sub", "sid", "scope"}
    | {"idp_iss", "idp_sub", "groups_truncated", "omitted_claims"}
)
"""Claims that no provider's claim may overwrite (a signed identity must say who signed it)."""


_LARGEST_CLAIM = 1024  # bytes of JSON
_LARGEST_GROUPS = 3000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Assertion:
    """What every identity JWT of this proxy says; ``ttl`` in seconds."""

    issuer: str
    scope: str
    ttl: float
    claims: tuple[str, ...]
    max_groups: int

    def claims_for(
        self, session: Session, audience: Sequence[str], jti: str, sid: str, now: float
    ) -> dict[str, Any] | None:
        """The claims of one JWT, or None when the session has no whole second left.

        ``sub`` and ``jti`` are texts (PyJWT and python-jose refuse anything else); one
        audience is a text, several are a list (RFC 7519 section 4.1.3).
        """
        issued = int(now)
        expires = min(issued + int(self.ttl), int(session.expires_at))
        if expires <= issued:
            return None
        person = session.identity
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "sub": person.user,
            "jti": jti,
            "sid": sid,
            "scope": person.scope or self.scope,
            "iat": issued,
            "exp": expires,
            "idp_iss": person.issuer,
        }
        if person.user != person.subject:
            claims["idp_sub"] = person.subject
        claims.update(self._optional(person))
        return claims

    def _optional(self, person: Identity) -> dict[str, Any]:
        known: dict[str, object] = {
            "email": person.email or None,
            "email_verified": person.email_verified,
            "name": person.name or None,
            "preferred_username": person.preferred_username or None,
            "groups": fitting_groups(person, self.max_groups),
            "acr": person.acr or None,
            "amr": list(person.amr) or None,
            "auth_time": person.auth_time,
            "role": person.role or None,
            "roles": list(person.roles) or None,
            "provider": person.provider or None,
            "given_name": person.first_name or None,
            "family_name": person.last_name or None,
            "picture": person.picture or None,
        }
        chosen: dict[str, Any] = {}
        for name in self.claims:
            value = known[name] if name in known else person.claims.get(name)
            if value is None or value == UNREADABLE_CLAIM or name in PROTECTED:
                continue
            if name != "groups" and len(json.dumps(value)) > _LARGEST_CLAIM:
                chosen.setdefault("omitted_claims", []).append(name)
            else:
                chosen[name] = value
        if "groups" in chosen and len(chosen["groups"]) < len(person.groups):
            chosen["groups_truncated"] = True
        return chosen


def fitting_groups(person: Identity, most: int) -> list[str]:
    """The first groups: at most ``most`` and 3,000 bytes of them, none cut in the middle.

    Servers refuse headers beyond some 8 kB, and with them every request of that person.
    """
    fitting, size = [], 0
    for group in person.groups[:most]:
        size += len(group.encode("utf-8", "replace")) + 3
        if size > _LARGEST_GROUPS:
            break
        fitting.append(group)
    return fitting
