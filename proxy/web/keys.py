"""A provider's keys: read when needed, and again for a key that nobody knows, but not too often."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwk import VerificationKeys, parse_jwks
from proxy.crypto.jwt import UnknownKey
from proxy.crypto.strict_json import read_object
from proxy.errors import LoginError, ProviderError, Reason
from proxy.oidc.metadata import Metadata
from proxy.web.cached import Cached
from proxy.web.calls import LARGEST_ANSWER, Calls, Reply

_COOL_DOWN: Final = 60.0
"""Seconds between two re-reads of the keys for an unknown kid (security.md 1.2)."""

T = TypeVar("T")


class Keys:
    """The signature keys at ``jwks_uri``; a provider without one has none."""

    def __init__(
        self,
        settings: ProviderSettings,
        calls: Calls,
        clock: Callable[[], float],
        metadata: Callable[[], Awaitable[Metadata]],
    ) -> None:
        self._calls = calls
        self._clock = clock
        self._metadata = metadata
        self._keys = Cached(self._fetch, settings.metadata_ttl, clock)
        self._forced_at: dict[bool, float] = {}
        self._needless = False

    @property
    def failure(self) -> ProviderError | None:
        """Why the last read failed, if it did."""
        return self._keys.failure

    @property
    def seen(self) -> bool:
        """Are they in hand, or not needed?"""
        return self._keys.known or self._needless

    async def renew(self, age: float) -> None:
        """Read them again if they are ``age`` seconds old. Raises ProviderError."""
        self._needless = not (await self._metadata()).jwks_uri
        if not self._needless:
            await self._keys.renew(age)

    async def using(
        self, use: Callable[[VerificationKeys], T], refusal: Reason, *, stranger: bool = False
    ) -> T:
        """Run ``use`` with the keys; on an unknown kid once more with fresh ones (OIDC 10.1.1).

        ``stranger``: anybody may have sent what is to be verified. Raises LoginError(``refusal``)
        when no key is known even then.
        """
        there = (await self._metadata()).jwks_uri
        known = await self._keys.get() if there else VerificationKeys()
        seen = self._keys.version
        try:
            return use(known)
        except UnknownKey as exc:
            if not there or not self._may_reread(seen, stranger):
                raise LoginError(refusal, f"{exc}; keys re-read lately") from exc
        try:
            return use(await self._keys.refresh(seen))
        except UnknownKey as exc:
            raise LoginError(refusal, f"{exc}, also after a re-read") from exc

    def _may_reread(self, seen: int, stranger: bool) -> bool:
        """Once per cool-down; joining a re-read that others have begun or ended is free.

        Strangers have a cool-down of their own: else they could use up the one that sign-ins
        need after a rotation.
        """
        if self._keys.flying or self._keys.version != seen:
            return True
        now = self._clock()
        if now - self._forced_at.get(stranger, float("-inf")) < _COOL_DOWN:
            return False
        self._forced_at[stranger] = now
        return True

    async def _fetch(self) -> VerificationKeys:
        """A document without a key that we could use is no better than none."""
        metadata = await self._metadata()
        reply = await self._calls.make("keys", "GET", metadata.jwks_uri)
        try:
            keys = parse_jwks(read_json(reply, "keys"))
        except ValueError as exc:
            raise ProviderError(Reason.PROVIDER_METADATA_INVALID, f"keys: {exc}") from exc
        if not keys.keys and not all(name[:2] == "HS" for name in metadata.id_token_algorithms):
            raise ProviderError(Reason.PROVIDER_METADATA_INVALID, "keys: none that can be used")
        return keys


def read_json(reply: Reply, what: str) -> dict[str, object]:
    """The object in an answer of the provider's. Raises ProviderError."""
    if reply.status != 200:
        raise ProviderError(Reason.PROVIDER_ERROR, f"{what}: status {reply.status}")
    try:
        return read_object(reply.body, LARGEST_ANSWER)
    except ValueError as exc:
        raise ProviderError(Reason.PROVIDER_METADATA_INVALID, f"{what}: {exc}") from exc
