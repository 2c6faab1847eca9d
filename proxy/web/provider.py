"""What we know of the provider and ask of it: metadata, keys, tokens, userinfo."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from proxy.config.settings import Claims
from proxy.config.settings import Provider as ProviderSettings
from proxy.crypto.jwk import VerificationKeys, parse_jwks
from proxy.crypto.jwt import UnknownKey
from proxy.crypto.strict_json import read_object
from proxy.errors import BadRequest, LoginError, ProviderError, ProxyError, Reason
from proxy.model import Identity, Session, Tokens
from proxy.oidc.attempt import Callback
from proxy.oidc.claims import identity
from proxy.oidc.idtoken import verify_id_token, verify_refreshed
from proxy.oidc.logout_token import LogoutRequest, verify_logout_token
from proxy.oidc.metadata import Metadata, metadata_url, read_metadata, static_metadata
from proxy.oidc.revocation import revocation_problem, revocation_requests
from proxy.oidc.tokens import (
    read_tokens,
    refresh_is_over,
    refresh_request,
    token_request,
)
from proxy.oidc.userinfo import Userinfo, merge, read_userinfo
from proxy.web.cached import Cached, again
from proxy.web.calls import LARGEST_ANSWER, Calls, Reply

_COOL_DOWN: Final = 60.0
"""Seconds between two re-reads of the keys for an unknown kid (security.md 1.2)."""

T = TypeVar("T")


class RefreshOver(ProxyError):
    """The provider says that a session's refresh token is no good any more."""

    status = 401


class Provider:
    """One OpenID provider, as this relying party sees it."""

    def __init__(
        self,
        settings: ProviderSettings,
        calls: Calls,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._clock = clock
        self._metadata = Cached(self._fetch_metadata, settings.metadata_ttl, clock)
        self._keys = Cached(self._fetch_keys, settings.metadata_ttl, clock)
        self._keyless = False
        self._forced_at: dict[bool, float] = {}

    async def metadata(self) -> Metadata:
        """Endpoints and abilities. Raises ProviderError while there never was an answer."""
        return await self._metadata.get()

    @property
    def failure(self) -> ProviderError | None:
        """Why the last look at metadata or keys failed, if it did."""
        return self._metadata.failure or self._keys.failure

    @property
    def seen(self) -> bool:
        """Has the provider ever answered with metadata and keys?"""
        return self._metadata.known and (self._keys.known or self._keyless)

    async def check(self) -> None:
        """Make sure that metadata and keys are in hand. Raises ProviderError."""
        metadata = await self.metadata()
        self._keyless = not metadata.jwks_uri
        if metadata.jwks_uri:
            await self._keys.get()
        if self.failure is not None:
            raise again(self.failure)

    async def redeem(self, callback: Callback, redirect_uri: str) -> Tokens:
        """Code → tokens, unverified. Raises LoginError, ProviderError."""
        request = token_request(await self.metadata(), self._settings, callback, redirect_uri)
        reply = await self._calls.make(
            "token", "POST", request.url, dict(request.headers), request.body
        )
        return read_tokens(reply.status, reply.body, self._clock())

    async def refreshed(
        self, session: Session, mapping: Claims, keep: Iterable[str]
    ) -> tuple[Tokens, Identity | None]:
        """New tokens for a session, and the identity as the provider tells it now.

        None for the identity: userinfo did not answer, and the tokens (the old ones may be
        used up) are all that is new.
        Raises RefreshOver when the provider ends it, LoginError for what cannot be believed,
        ProviderError for a fault.
        """
        metadata = await self.metadata()
        request = refresh_request(metadata, self._settings, session.tokens.refresh_token)
        reply = await self._calls.make(
            "refresh", "POST", request.url, dict(request.headers), request.body
        )
        if refresh_is_over(reply.status, reply.body):
            raise RefreshOver(Reason.TOKEN_REFUSED, "invalid_grant")
        tokens = read_tokens(reply.status, reply.body, self._clock())
        subject = session.identity.subject
        proven: Mapping[str, object] = {"iss": metadata.issuer, "sub": subject}
        if tokens.id_token:
            proven = await self._with_keys(
                metadata,
                lambda keys: verify_refreshed(
                    tokens.id_token,
                    keys,
                    provider=self._settings,
                    metadata=metadata,
                    subject=subject,
                    now=self._clock(),
                    access_token=tokens.access_token,
                ),
                Reason.ID_TOKEN_INVALID,
            )
        told = await self.userinfo(tokens, subject)
        if (told is not None and told.problem) or (told is None and not tokens.id_token):
            return tokens, None
        claims = merge(proven, told, self._settings.claims_source)
        person = identity(claims, mapping, metadata.issuer, keep=keep)
        # An answer without these does not take back what the sign-in proved.
        return tokens, replace(
            person,
            acr=person.acr or session.identity.acr,
            amr=person.amr or session.identity.amr,
            auth_time=person.auth_time or session.identity.auth_time,
        )

    async def id_token_claims(self, tokens: Tokens, nonce: str) -> Mapping[str, object]:
        """The verified claims of the ID token. Raises LoginError, ProviderError."""
        metadata = await self.metadata()

        def verify(keys: VerificationKeys) -> Mapping[str, object]:
            return verify_id_token(
                tokens.id_token,
                keys,
                provider=self._settings,
                metadata=metadata,
                nonce=nonce,
                now=self._clock(),
                access_token=tokens.access_token,
            )

        return await self._with_keys(metadata, verify, Reason.ID_TOKEN_INVALID)

    async def userinfo(self, tokens: Tokens, subject: str) -> Userinfo | None:
        """What userinfo says of ``subject``; None when there is nothing to ask.

        Raises LoginError for an answer about somebody else. An answer that is no answer is a
        Userinfo with its reason: the caller decides whether the ID token is enough.
        """
        metadata = await self.metadata()
        if not metadata.userinfo_endpoint or self._settings.claims_source == "id_token":
            return None
        if not tokens.access_token:
            return None
        headers = {
            "Authorization": f"Bearer {tokens.access_token}",
            "Accept": "application/json, application/jwt",
        }
        try:
            reply = await self._calls.make("userinfo", "GET", metadata.userinfo_endpoint, headers)
        except ProviderError as exc:
            return Userinfo(problem=exc.detail)

        def read(keys: VerificationKeys) -> Userinfo:
            return read_userinfo(
                reply.status,
                reply.content_type,
                reply.body,
                keys=keys,
                provider=self._settings,
                metadata=metadata,
                subject=subject,
                now=self._clock(),
            )

        return await self._with_keys(metadata, read, Reason.USERINFO_INVALID)

    async def logout_request(self, token: str) -> LogoutRequest:
        """What a logout token asks for. Raises BadRequest, ProviderError."""
        metadata = await self.metadata()

        def verify(keys: VerificationKeys) -> LogoutRequest:
            return verify_logout_token(
                token, keys, provider=self._settings, metadata=metadata, now=self._clock()
            )

        reason = Reason.LOGOUT_REQUEST_INVALID
        try:
            return await self._with_keys(metadata, verify, reason, stranger=True)
        except LoginError as exc:
            raise BadRequest(reason, exc.detail) from exc

    async def revoke(self, tokens: Tokens) -> None:
        """Give the kept tokens back, where the provider takes them (RFC 7009).

        Raises ProviderError for any that it does not revoke; the others are asked for even so.
        """
        metadata, problems = await self.metadata(), []
        for request in revocation_requests(metadata, self._settings, tokens):
            reply = await self._calls.make(
                "revoke", "POST", request.url, dict(request.headers), request.body
            )
            problems.append(revocation_problem(reply.status, reply.body))
        if any(problems):
            detail = "revoke: " + " and ".join(filter(None, problems))
            raise ProviderError(Reason.PROVIDER_ERROR, detail)

    async def _with_keys(
        self,
        metadata: Metadata,
        use: Callable[[VerificationKeys], T],
        refusal: Reason,
        *,
        stranger: bool = False,
    ) -> T:
        """Run ``use`` with the keys; on an unknown kid once more with fresh ones (OIDC 10.1.1).

        ``stranger``: anybody may have sent what is to be verified. Raises LoginError(``refusal``)
        when no key is known even then.
        """
        known = await self._keys.get() if metadata.jwks_uri else VerificationKeys()
        seen = self._keys.version
        try:
            return use(known)
        except UnknownKey as exc:
            if not metadata.jwks_uri or not self._may_reread(seen, stranger):
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

    async def _fetch_metadata(self) -> Metadata:
        if not self._settings.discovery:
            return static_metadata(self._settings)
        reply = await self._calls.make("metadata", "GET", metadata_url(self._settings))
        return read_metadata(_json(reply, "metadata"), self._settings)

    async def _fetch_keys(self) -> VerificationKeys:
        reply = await self._calls.make("keys", "GET", (await self.metadata()).jwks_uri)
        try:
            return parse_jwks(_json(reply, "keys"))
        except ValueError as exc:
            raise ProviderError(Reason.PROVIDER_METADATA_INVALID, f"keys: {exc}") from exc


def _json(reply: Reply, what: str) -> object:
    if reply.status != 200:
        raise ProviderError(Reason.PROVIDER_ERROR, f"{what}: status {reply.status}")
    try:
        return read_object(reply.body, LARGEST_ANSWER)
    except ValueError as exc:
        raise ProviderError(Reason.PROVIDER_METADATA_INVALID, f"{what}: {exc}") from exc
