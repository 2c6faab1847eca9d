"""One issuer whose bearer tokens are good here: a provider, or one of ``bearer.issuers``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from proxy.config.programs import Issuer as IssuerSettings
from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwk import VerificationKeys
from proxy.errors import BearerRefused, LoginError, ProviderError, Reason
from proxy.oidc.bearer import Believed, Terms, verify_bearer
from proxy.oidc.client_auth import NO_PROOF, Proof
from proxy.oidc.introspection import introspection_request, read_introspection
from proxy.oidc.issuer import is_issuer
from proxy.oidc.metadata import Metadata, issuer_metadata, metadata_url, read_issuer
from proxy.web.cached import Cached, again
from proxy.web.calls import Calls
from proxy.web.keys import Keys, read_json
from proxy.web.metrics import Metrics
from proxy.web.source import Source

_COOL_DOWN: Final = 5.0
"""Seconds until an issuer whose metadata or keys were not to be had is asked again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an issuer's counts: JWTs on these ``terms`` (``jwts``), and its word on opaque
    tokens (``introspects``), asked at ``introspection_endpoint`` or where its metadata say."""

    terms: Terms
    jwts: bool = True
    introspects: bool = False
    introspection_endpoint: str = ""


class Issuer:
    """Judges the tokens of one issuer; ``settings`` are how it is read."""

    def __init__(self, source: Source, wanted: Wanted, clock: Callable[[], float]) -> None:
        # There is no userinfo here: the token is all that is told.
        self.settings = source.settings.model_copy(update={"claims_source": "id_token"})
        self.name = source.settings.name
        self.wanted = wanted
        self._source = source
        self._clock = clock
        self._fault: ProviderError | None = None
        self._fault_until = 0.0

    def may_judge(self, issuer: str) -> bool:
        """Could a JWT that names this issuer be good here? Yes also while that is not known."""
        return self.wanted.jwts and self._source.speaks_for(issuer) is not False

    async def verified(self, token: str) -> Believed:
        """A JWT. Raises BearerRefused, ProviderError."""
        if self._fault is not None and self._clock() < self._fault_until:
            raise again(self._fault)  # strangers can ask without end
        try:
            return await self._verified(token)
        except ProviderError as exc:  # of metadata and keys: no token brings it about
            self._fault, self._fault_until = exc, self._clock() + _COOL_DOWN
            raise

    async def _verified(self, token: str) -> Believed:
        metadata = await self._source.metadata()

        def verify(keys: VerificationKeys) -> Believed:
            return verify_bearer(
                token,
                keys,
                provider=self.settings,
                metadata=metadata,
                terms=self.wanted.terms,
                now=self._clock(),
            )

        try:
            return await self._source.keys.using(verify, Reason.TOKEN_INVALID, stranger=True)
        except LoginError as exc:
            raise BearerRefused(exc.detail) from exc

    async def asked(self, token: str) -> Believed | None:
        """What it says of an opaque token, now; None for none that it knows.

        Raises BearerRefused, ProviderError.
        """
        metadata = await self._where()
        if not metadata.introspection_endpoint:
            return None
        proof = await self._source.proof()
        request = introspection_request(metadata, self._source.settings, token, proof)
        reply = await self._source.calls.make(
            "introspect", "POST", request.url, dict(request.headers), request.body
        )
        return read_introspection(
            reply.status,
            reply.body,
            provider=self.settings,
            metadata=metadata,
            terms=self.wanted.terms,
            now=self._clock(),
        )

    async def _where(self) -> Metadata:
        """An endpoint in the settings needs no metadata document."""
        endpoint = self.wanted.introspection_endpoint
        if not endpoint:
            return await self._source.metadata()
        return replace(issuer_metadata(self.settings), introspection_endpoint=endpoint)


def open_issuer(
    settings: ProviderSettings,
    written: IssuerSettings,
    http: aiohttp.ClientSession,
    metrics: Metrics,
    clock: Callable[[], float],
) -> Issuer:
    """One of ``bearer.issuers``: ``settings`` are what ``written`` makes of a provider.

    Raises ConfigError for files that cannot be used.
    """
    calls = Calls(settings, http, metrics)

    async def fetch() -> Metadata:
        if settings.jwks_uri:
            return issuer_metadata(settings, settings.jwks_uri)
        reply = await calls.make("metadata", "GET", metadata_url(settings))
        return read_issuer(read_json(reply, "metadata"), settings)

    async def proof() -> Proof:
        return NO_PROOF

    def speaks_for(issuer: str) -> bool:
        return is_issuer(settings.issuer_url or "", issuer)

    metadata = Cached(fetch, settings.metadata_ttl, clock)
    keys = Keys(settings, calls, clock, metadata.get)
    wanted = Wanted(
        Terms(written.audiences, written.required_scopes),
        introspects=bool(written.client_id),
        introspection_endpoint=written.introspection_endpoint or "",
    )
    return Issuer(Source(settings, calls, keys, metadata.get, proof, speaks_for), wanted, clock)
