"""How an app behind the proxy knows who is there: it trusts the proxy's JWKS and nothing else.

docs/headers.md says the same in ten lines; this is the version with a cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDictProxy

from proxy.crypto import jwt
from proxy.crypto.strict_json import read_object
from proxy.model import Json

ALGORITHMS = ("ES256", "RS256", "EdDSA")
LEEWAY = 30.0
KEYS_LIFE = 300.0
REFETCH_PAUSE = 10.0
"""Seconds between two fetches that an unknown key may cause: a stranger can send any ``kid``."""
_LARGEST_JWKS = 256 * 1024


class Untrusted(Exception):
    """A request whose identity is not proven; the message may be shown."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What an identity must say."""

    issuer: str
    audience: str


def check_claims(claims: Mapping[str, Json], expected: Expected, now: float) -> None:
    """Judge the claims of a token whose signature is good. Raises Untrusted."""
    if claims.get("iss") != expected.issuer:
        raise Untrusted("iss is not the proxy's")
    audience = claims.get("aud")
    if expected.audience not in (audience if isinstance(audience, list) else [audience]):
        raise Untrusted("aud does not name this app")
    for name in ("sub", "jti"):
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            raise Untrusted(f"{name} is missing")
    if _number(claims, "exp") <= now - LEEWAY:
        raise Untrusted("the identity has expired")
    if _number(claims, "iat") > now + LEEWAY:
        raise Untrusted("the identity is from the future")


def _number(claims: Mapping[str, Json], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Untrusted(f"{name} is missing")
    return value


class IdentityVerifier:
    """Verifies the identity header of requests; keeps the JWKS for five minutes."""

    def __init__(
        self,
        jwks_url: str,
        expected: Expected,
        header: str,
        session: aiohttp.ClientSession,
        clock: Callable[[], float],
    ) -> None:
        self._jwks_url = jwks_url
        self._expected = expected
        self._header = header
        self._session = session
        self._clock = clock
        self._keys: jwt.VerificationKeys | None = None
        self._fetched_at = 0.0
        self._refetched_at = float("-inf")
        self._lock = asyncio.Lock()

    async def verify(self, headers: CIMultiDictProxy[str]) -> jwt.Verified:
        """Header and claims of the one identity header, judged. Raises Untrusted."""
        tokens = headers.getall(self._header, [])
        if len(tokens) != 1:
            raise Untrusted(f"{self._header} must come exactly once")
        verified = await self._signature(tokens[0])
        check_claims(verified.claims, self._expected, self._clock())
        return verified

    async def _signature(self, token: str) -> jwt.Verified:
        keys = await self._current_keys()
        try:
            try:
                return jwt.verify(token, keys, ALGORITHMS)
            except jwt.UnknownKey:
                # The proxy may sign with a new key: look once more.
                return jwt.verify(token, await self._newer_keys(keys), ALGORITHMS)
        except jwt.JwtInvalid as exc:
            raise Untrusted(f"the identity cannot be believed: {exc}") from None

    async def _current_keys(self) -> jwt.VerificationKeys:
        async with self._lock:
            if self._keys is None or self._clock() - self._fetched_at > KEYS_LIFE:
                await self._fetch()
            return self._known()

    async def _newer_keys(self, seen: jwt.VerificationKeys) -> jwt.VerificationKeys:
        async with self._lock:
            pause_over = self._clock() - self._refetched_at >= REFETCH_PAUSE
            if self._keys is seen and pause_over:
                self._refetched_at = self._clock()
                await self._fetch()
            return self._known()

    def _known(self) -> jwt.VerificationKeys:
        if self._keys is None:
            raise Untrusted("the proxy's keys cannot be read")
        return self._keys

    async def _fetch(self) -> None:
        """Read the JWKS; when that fails the keys at hand stay."""
        try:
            async with self._session.get(
                self._jwks_url,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=5),
            ) as response:
                if response.status != 200:
                    return
                body = await response.read()
            self._keys = jwt.parse_jwks(read_object(body, _LARGEST_JWKS))
            self._fetched_at = self._clock()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return
