"""Bearer tokens: which of them are ours to judge, and the session that each stands for.

RFC 6750. The order is fixed: a token of our own, then a JWT of an issuer that is trusted, then,
where there is no session, whatever else the issuers know. All others are the app's business.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from proxy.config.programs import Tokens as TokenSettings
from proxy.crypto.token import kind_of, looks_like, pattern
from proxy.errors import BearerRefused, Reason
from proxy.model import Grant, Identity, Session, Tokens
from proxy.session.keeping import Keeping
from proxy.session.tokens import Token
from proxy.web.limits import Failures, TooMany
from proxy.web.runtime import Runtime, has_tokens
from proxy.web.sessions import Opened, Sessions
from proxy.web.visit import Visit

if TYPE_CHECKING:
    from proxy.web.issuers import Issuers

_ASKED_AGAIN: Final = 10.0
"""Seconds after which a token of ours and its person are looked up again."""
_KINDS: Final[Mapping[str, Literal["personal", "terminal", "service"]]] = MappingProxyType(
    {"p": "personal", "t": "terminal", "s": "service"}
)
"""What opens anything, by its letter: a terminal's refresh token does not."""
_NOBODY: Final = Tokens("")
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Presented:
    """A token in Authorization that is ours to judge; ``is_ours``: we made it, so that no
    upstream may see it; ``is_opaque``: an issuer is asked about it. ``key`` is what stands for it
    in memory."""

    text: str = field(repr=False)
    is_ours: bool
    key: bytes = field(repr=False)
    is_opaque: bool = False


class Bearers:
    """Judges bearer tokens."""

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        sessions: Sessions,
        issuers: Issuers | None,
        failures: Failures,
        clock: Callable[[], float],
    ) -> None:
        self._settings = runtime.settings.tokens
        self._runtime = runtime
        self._keeping = keeping
        self._sessions = sessions
        self._issuers = issuers
        self._failures = failures
        self._clock = clock
        self._has_tokens = has_tokens(runtime.settings)
        self._ours = re.compile(pattern(self._settings.prefix).replace(r"\b", ""))
        self._sources = {
            path
            for provider in runtime.providers
            for path in (*provider.claims.groups, *provider.claims.roles)
        }
        self._kinds = _accepted(self._settings) if self._has_tokens else frozenset()
        self.takes_any = self._has_tokens or issuers is not None
        """Is there any token that could be good?"""

    def presented(self, visit: Visit) -> Presented | None:
        """The token of ours or of an issuer's that a request carries.

        Raises BearerRefused for several of them.
        """
        if not self.takes_any:
            return None
        lines = [v for n, v in visit.request.headers if n.lower() == b"authorization"]
        found = [one for line in lines if (one := self._read(line)) is not None]
        if found and len(lines) > 1:
            raise BearerRefused("several Authorization headers", "invalid_request", status=400)
        return found[0] if found else None

    def opaque(self, visit: Visit) -> Presented | None:
        """Any other bearer token that an issuer can be asked about."""
        if self._issuers is None or not self._issuers.introspects:
            return None
        scheme, _, text = visit.header("Authorization").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            return None
        return replace(_presented(text.strip(), is_ours=False), is_opaque=True)

    def _read(self, line: bytes) -> Presented | None:
        whole, prefix = line.decode("latin-1"), self._settings.prefix
        scheme, _, rest = whole.partition(" ")
        scheme, text = scheme.lower(), rest.strip()
        if scheme == "basic":
            text = next((one for one in _basic(text) if looks_like(one, prefix)), "")
        if scheme in ("basic", "bearer") and looks_like(text, prefix):
            return _presented(text, is_ours=True)
        if self._ours.search(whole) or self._ours.search(_lax_basic(whole)):
            # Good for nothing as it is written, and yet some app might read it.
            return _presented(whole, is_ours=True)
        if scheme == "bearer" and self._issuers and self._issuers.claims_issuer(text):
            return _presented(text, is_ours=False)
        return None

    async def find(self, presented: Presented, visit: Visit) -> Opened:
        """The session that the token stands for.

        Raises BearerRefused, TooMany after many wrong ones from one address, StoreError,
        ProviderError.
        """
        known = self._sessions.at_hand(presented.key, visit.now)
        if known is not None:
            return known
        wait = self._failures.allow(visit.goal.client, visit.now)
        if wait and presented.is_opaque:
            raise TooMany(wait)  # rather than ask an issuer about every guess
        try:
            if presented.is_ours:
                return await self._own(presented, visit.now)
            return await self._trusted(presented, visit.now)
        except BearerRefused:
            if wait:  # only whoever is wrong waits, and nobody beside them
                raise TooMany(wait) from None
            self._failures.failed(visit.goal.client, visit.now)
            raise

    async def _own(self, presented: Presented, now: float) -> Opened:
        trust, endings = self._sessions.trust, self._sessions.endings
        kind = _KINDS.get(kind_of(presented.text, self._settings.prefix))
        if kind is None or kind not in self._kinds:
            raise BearerRefused("no token that is accepted here")
        token = await self._keeping.tokens.find(presented.text, now)
        if token is None or token.kind != kind or token.expires_at <= now:
            raise BearerRefused("unknown, revoked or expired")
        person, end = await self._owner(token, now)
        session = _session(f"token:{token.id}", person, min(token.expires_at, end))
        await self._keeping.tokens.touch(token, now)
        if self._sessions.has_ended(session.id):
            raise BearerRefused("revoked")
        grant = Grant(kind, token.id, token.name, token.routes)
        # Where an end may have been missed meanwhile, it is asked about the next time.
        until = now + min(trust, _ASKED_AGAIN) if endings == self._sessions.endings else now
        return self._sessions.lend(presented.key, session, grant, until)

    async def _owner(self, token: Token, now: float) -> tuple[Identity, float]:
        """Whose token it is, as last known, with no more than the token has; and until when."""
        if token.identity is not None:
            return token.identity, token.expires_at
        known = await self._keeping.people.known(token.issuer, token.subject, now)
        if known is None:
            raise BearerRefused("nobody knows its owner: they must sign in again")
        person, seen_at = known
        if not self._runtime.vouched_for(person):
            raise BearerRefused("its owner's provider is not configured any more")
        end = seen_at + self._settings.identity_max_age
        if end <= now:
            raise BearerRefused("its owner has not signed in for too long")
        # When its owner signed in last says nothing of who holds the token now.
        return self._narrowed(replace(person, auth_time=None), token), end

    def _narrowed(self, person: Identity, token: Token) -> Identity:
        """The person with no more than the token has, and no more than they have themselves.

        Raises BearerRefused for a token whose scopes are given no more.
        """
        scopes = self._settings.scopes or (person.scope or self._runtime.assertion.scope).split()
        scope = " ".join(one for one in token.scopes if one in scopes)
        if token.scopes and not scope:
            raise BearerRefused("none of its scopes is given any more")
        if token.groups is None:
            return replace(person, scope=scope or person.scope)
        groups = tuple(group for group in person.groups if group in token.groups)
        _, roles, _ = self._runtime.roles.roles_of(
            (),
            frozenset(groups),
            person.email,
            person.email_verified,
            person.subject,
            person.issuer,
            person.provider,
        )
        roles = tuple(role for role in person.roles if role in roles)
        return replace(
            person,
            groups=groups,
            groups_partial=person.groups_partial or groups != person.groups,
            role=roles[0] if roles else "",
            roles=roles,
            scope=scope or person.scope,
            # What groups and roles were read from would say more than the token may.
            claims={n: v for n, v in person.claims.items() if n not in self._sources},
        )

    async def _trusted(self, presented: Presented, now: float) -> Opened:
        if self._issuers is None:
            raise BearerRefused("no issuer is trusted here")
        found = await self._issuers.identity(presented.text, now)
        session = _session(f"bearer:{found.id}", found.identity, found.expires_at)
        grant = Grant("issuer", found.id)
        return self._sessions.lend(presented.key, session, grant, found.until)


def _accepted(settings: TokenSettings) -> frozenset[str]:
    """The kinds that are switched on; service tokens need nothing but a place."""
    wanted = {"personal": settings.personal, "terminal": settings.terminal, "service": True}
    return frozenset(kind for kind, is_on in wanted.items() if is_on)


def is_bound_elsewhere(grant: Grant | None, path: str) -> bool:
    """Is the token bound to routes, and this path on none of them?"""
    if grant is None or not (grant.routes or grant.kind == "service"):
        return False
    return not any(_covers(route, path) for route in grant.routes)


def not_allowed(detail: str) -> BearerRefused:
    """A good token in the wrong place."""
    return BearerRefused(detail, "insufficient_scope", Reason.TOKEN_NOT_ALLOWED, status=403)


def _covers(route: str, path: str) -> bool:
    base = route.removesuffix("/*")
    return path == base or (base != route and path.startswith(base + "/"))


def _session(session_id: str, person: Identity, end: float) -> Session:
    # Endings of people and of everybody are about sign-ins: no token begins before them.
    return Session(session_id, person, _NOBODY, _NEVER, end, seen_at=end)


def _presented(text: str, *, is_ours: bool) -> Presented:
    # Of a kind of its own: sessions of cookies are in the same memory, and no cookie may name it.
    data = text.encode("utf-8", "surrogatepass")
    key = hashlib.blake2b(data, digest_size=16, person=b"bearer")
    return Presented(text, is_ours, key.digest())


def _basic(text: str) -> list[str]:
    """Password and user of Basic credentials: what git and old clients send (RFC 7617)."""
    try:
        user, _, password = base64.b64decode(text, validate=True).decode("latin-1").partition(":")
    except ValueError:
        return []
    return [password, user]


def _lax_basic(line: str) -> str:
    """What the laxest reader finds in Basic credentials."""
    if line[:5].lower() != "basic":
        return ""
    kept = re.sub(r"[^A-Za-z0-9+/]", "", line[5:].replace("-", "+").replace("_", "/"))
    kept = kept[: len(kept) - (len(kept) % 4 == 1)]  # a digit that is left over
    return base64.b64decode(kept + "=" * (-len(kept) % 4)).decode("latin-1")
