"""Bearer tokens of trusted issuers: whose a token is, and the person that it stands for."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from proxy.config.providers import issuers_of
from proxy.errors import AccessDenied, BearerRefused, LoginError, ProviderError
from proxy.model import Identity
from proxy.oidc.bearer import Believed, Terms, claimed_issuer
from proxy.oidc.graph import asked as asks_graph
from proxy.oidc.told import Told
from proxy.web.admission import Admissions
from proxy.web.issuer import Issuer, Wanted, open_issuer
from proxy.web.lru import Lru
from proxy.web.metrics import Metrics
from proxy.web.provider import Provider
from proxy.web.providers import Providers
from proxy.web.questions import Questions
from proxy.web.runtime import Runtime

_MOST_KEPT: Final = 4096
_VERIFIED_AGAIN: Final = 300.0
"""Seconds after which a JWT is verified again, so that a key that was removed counts no more."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whom a good token stands for. ``id`` is its public name, which tells nothing of the token.

    It must not be used from ``expires_at`` on, and must be judged again at ``until`` (Unix
    seconds): then its issuer may think otherwise.
    """

    identity: Identity
    expires_at: float
    id: str
    scopes: tuple[str, ...]
    until: float = field(compare=False)


class Issuers:
    """All of them: providers where ``bearer`` says so, then ``bearer.issuers``, in order.

    ``admissions`` ask the hook about people, as at their sign-in; without it there is none.
    Raises ConfigError for files that cannot be used.
    """

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        http: aiohttp.ClientSession,
        metrics: Metrics,
        clock: Callable[[], float],
        admissions: Admissions | None = None,
    ) -> None:
        bearer = runtime.settings.bearer
        self._admissions = admissions or Admissions(runtime)
        self._runtime = runtime
        self._cache = bearer.cache
        self._kept: Lru[bytes, tuple[str, Trusted]] = Lru(_MOST_KEPT)
        self._questions = Questions(bearer.cache, clock)
        wanted = Wanted(Terms(bearer.audiences), bool(bearer.audiences), bearer.introspect)
        found = [one.source() for one in providers.all if isinstance(one, Provider)]
        own = [Issuer(source, wanted, clock) for source in found if bearer.audiences]
        pairs = zip(issuers_of(runtime.settings), bearer.issuers, strict=True)
        further = [open_issuer(*pair, http, metrics, clock) for pair in pairs]
        self.all = (*own, *further)
        self.introspects = any(one.wanted.introspects for one in self.all)
        """Can anybody be asked about tokens that say nothing by themselves?"""

    def claims_issuer(self, text: str) -> str:
        """The issuer that a JWT names, unverified, if one of ours could be it; else ``""``."""
        if text.count(".") != 2:
            return ""
        kept = self._kept.get(_digest(text))
        if kept is not None:
            return kept[0]
        issuer = claimed_issuer(text)
        return issuer if issuer and self._judges(issuer) else ""

    async def identity(self, text: str, now: float) -> Trusted:
        """The person whom a token stands for.

        Raises BearerRefused, ProviderError, and what a hook does: AccessDenied, or
        ProxyError(HOOK_FAILED).
        """
        digest = _digest(text)
        kept = self._kept.get(digest)
        if kept is not None and now < kept[1].until:
            return kept[1]
        self._kept.pop(digest)
        if issuer := claimed_issuer(text):
            found = await _first(self._verified(one, text, now) for one in self._judges(issuer))
        else:
            asked = (one for one in self.all if one.wanted.introspects)
            found = await _first(self._asked(one, text, now) for one in asked)
        if found is None:
            raise BearerRefused("its issuer is none of ours" if issuer else "nobody knows it")
        self._kept.put(digest, (issuer, found))
        return found

    def _judges(self, issuer: str) -> list[Issuer]:
        return [one for one in self.all if one.may_judge(issuer)]

    async def _verified(self, issuer: Issuer, text: str, now: float) -> Trusted:
        found = await issuer.verified(text)
        return await self._trusted(issuer, found, text, now, _VERIFIED_AGAIN)

    async def _asked(self, issuer: Issuer, text: str, now: float) -> Trusted | None:
        key = issuer.name, _digest(text)
        found = await self._questions.ask(key, lambda: issuer.asked(text))
        if found is None:
            return None
        return await self._trusted(issuer, found, text, now, self._cache)

    async def _trusted(
        self, issuer: Issuer, found: Believed, text: str, now: float, life: float
    ) -> Trusted:
        settings, claims = issuer.settings, found.claims
        # Entra's groups may be elsewhere, and only a sign-in can ask for them.
        partial = settings.preset == "entra" and asks_graph(settings.entra, claims)
        told = Told(found.issuer, claims, groups_partial=partial)
        try:
            judged = await self._admissions.judge(issuer, told, now, "sign_in", by_token=True)
            end = min(found.expires_at, judged.end(self._runtime, now))
        except LoginError as exc:
            raise BearerRefused(exc.detail, reason=exc.reason) from exc
        if judged.denial is not None and self._runtime.settings.hooks.post_login:
            # The rules may change their mind, and nobody would have asked the hook.
            raise AccessDenied("", judged.denial.reason)
        if end <= now:
            raise BearerRefused("it is over")
        name, until = _public_name(found, text), min(end, now + life)
        return Trusted(judged.identity, end, name, found.scopes, until)


async def _first(attempts: Iterable[Awaitable[Trusted | None]]) -> Trusted | None:
    """The first that succeeds. Where none does, a fault counts more than a refusal: whoever had
    the fault may be the one that knows the token."""
    refused: BearerRefused | ProviderError | None = None
    for attempt in attempts:
        try:
            found = await attempt
        except ProviderError as exc:
            refused = exc
        except BearerRefused as exc:
            refused = refused or exc
        else:
            if found is not None:
                return found
    if refused is not None:
        raise refused
    return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _public_name(found: Believed, text: str) -> str:
    """16 hexadecimal digits: of issuer and jti, which stays the same when a token is shown anew;
    else of the token."""
    jti = found.claims.get("jti")
    if not isinstance(jti, str) or not jti:
        return _digest(text).hex()[:16]
    return _digest(f"{len(found.issuer)}:{found.issuer}{jti}").hex()[:16]
