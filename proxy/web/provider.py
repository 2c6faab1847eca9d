"""What we know of an OpenID provider and ask of it: metadata, keys, tokens, userinfo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from proxy.config.programs import Exchange
from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwk import VerificationKeys
from proxy.errors import BadRequest, LoginError, ProviderError, Reason
from proxy.model import Session, Tokens
from proxy.oidc.access_token import verify_access_token
from proxy.oidc.attempt import Attempt, Callback, authorization_request, authorization_url
from proxy.oidc.client_auth import TokenRequest
from proxy.oidc.exchange import Exchanged, exchange_request, read_exchanged
from proxy.oidc.facts import Claims
from proxy.oidc.graph import overage
from proxy.oidc.idtoken import verify_id_token, verify_refreshed
from proxy.oidc.issuer import is_issuer
from proxy.oidc.logout_token import LogoutRequest, verify_logout_token
from proxy.oidc.metadata import Metadata, metadata_url, read_metadata, static_metadata
from proxy.oidc.person import names_groups
from proxy.oidc.pushed import carried, is_pushed, push_request, read_pushed
from proxy.oidc.revocation import revocation_problem, revocation_requests
from proxy.oidc.tokens import read_tokens, refresh_is_over, refresh_request, token_request
from proxy.oidc.told import Told
from proxy.oidc.userinfo import Userinfo, read_userinfo
from proxy.web.cached import Cached, again
from proxy.web.calls import Calls, Reply
from proxy.web.credentials import Credentials
from proxy.web.graph import Graph
from proxy.web.keys import Keys, read_json
from proxy.web.providers import RefreshOver
from proxy.web.source import Source

_NOTHING: Claims = {}


class Provider:
    """One OpenID provider, as this relying party sees it: see ``IdentityProvider``.

    ``token``: () → random text of 256 bits and more. Raises ConfigError for unusable key files.
    """

    keeps_access_token = False
    """A refresh brings a new one, for all that it is needed for."""

    def __init__(
        self,
        settings: ProviderSettings,
        calls: Calls,
        clock: Callable[[], float],
        token: Callable[[], str],
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._calls = calls
        self._clock = clock
        self._credentials = Credentials(settings, clock, token)
        self._metadata = Cached(self._fetch_metadata, settings.metadata_ttl, clock)
        self._keys = Keys(settings, calls, clock, self._metadata.get)
        self._graph = Graph(settings.entra, calls) if settings.preset == "entra" else None
        self._trouble: ProviderError | None = None

    async def metadata(self) -> Metadata:
        """Endpoints and abilities. Raises ProviderError while there never was an answer."""
        return await self._metadata.get()

    @property
    def failure(self) -> ProviderError | None:
        """Why it could not be used at the last look, if so."""
        return self._metadata.failure or self._keys.failure or self._trouble

    @property
    def seen(self) -> bool:
        """Has the provider ever answered with metadata and keys?"""
        return self._metadata.known and self._keys.seen

    def speaks_for(self, issuer: str) -> bool | None:
        """Are tokens of this issuer its own? None while that is not known."""
        known = self._metadata.value
        if known is not None:
            return is_issuer(known.issuer, issuer)
        written = self.settings.issuer_url
        if not written or "/.well-known/" in written:
            return None
        return is_issuer(written, issuer)

    def source(self) -> Source:
        """For whoever judges bearer tokens by the same keys."""
        proof = self._credentials.proof
        return Source(self.settings, self._calls, self._keys, self.metadata, proof, self.speaks_for)

    async def check(self) -> None:
        """Ask for metadata and keys, and see whether we could sign in: whatever is older than
        half of ``check_every``, or was not to be had. What is known goes on being used.
        """
        age = self.settings.check_every / 2
        await self._metadata.renew(age)
        await self._keys.renew(age)
        try:
            is_pushed(await self.metadata(), self.settings)
            await self._credentials.proof()
            self._trouble = None
        except ProviderError as exc:
            self._trouble = exc
        if self.failure is not None:
            raise again(self.failure)

    async def authorization(
        self, attempt: Attempt, redirect_uri: str, passed: Mapping[str, str]
    ) -> str:
        """Where to send the browser; the request is pushed first where that is done (RFC 9126).

        Raises ProviderError when it was not taken: the browser never carries one in its place.
        """
        metadata, settings = await self.metadata(), self.settings
        params = authorization_request(metadata, settings, attempt, redirect_uri, passed)
        if is_pushed(metadata, settings):
            proof = await self._credentials.proof()
            reply = await self._send("push", push_request(metadata, settings, params, proof))
            params = carried(settings, read_pushed(reply.status, reply.body))
        return authorization_url(metadata, params)

    async def redeem(self, callback: Callback, redirect_uri: str) -> Tokens:
        """Code → tokens, unverified. Raises LoginError, ProviderError."""
        metadata, proof = await self.metadata(), await self._credentials.proof()
        request = token_request(metadata, self.settings, callback, redirect_uri, proof)
        reply = await self._send("token", request)
        return read_tokens(reply.status, reply.body, self._clock())

    async def told(self, tokens: Tokens, nonce: str) -> tuple[Told, str]:
        """All that the sign-in brought, verified, and the provider's name for its session.

        Raises LoginError, ProviderError.
        """
        metadata = await self.metadata()

        def verify(keys: VerificationKeys) -> Claims:
            return verify_id_token(
                tokens.id_token,
                keys,
                provider=self.settings,
                metadata=metadata,
                nonce=nonce,
                now=self._clock(),
                access_token=tokens.access_token,
            )

        claims = await self._keys.using(verify, Reason.ID_TOKEN_INVALID)
        userinfo = await self._userinfo(metadata, tokens, str(claims["sub"]))
        sid = claims.get("sid")
        return (
            await self._all(metadata, tokens, claims, userinfo),
            sid if isinstance(sid, str) else "",
        )

    def refreshes(self, tokens: Tokens) -> bool:
        return bool(tokens.refresh_token)

    async def refreshed(self, session: Session) -> tuple[Tokens, Told | None]:
        """New tokens for a session, and what the provider tells of the same person now.

        None for the latter: it did not tell, and the tokens (the old ones may be used up) are
        all that is new. Raises RefreshOver when the provider ends the session, LoginError for
        what cannot be believed, ProviderError for a fault.
        """
        metadata, person = await self.metadata(), session.identity
        if not is_issuer(metadata.issuer, person.issuer):
            raise LoginError(Reason.ISSUER_MISMATCH, "the session is of another issuer")
        proof = await self._credentials.proof()
        refresh_token = session.tokens.refresh_token
        request = refresh_request(metadata, self.settings, refresh_token, proof)
        reply = await self._send("refresh", request)
        if refresh_is_over(reply.status, reply.body):
            raise RefreshOver(Reason.TOKEN_REFUSED, "invalid_grant")
        tokens = read_tokens(reply.status, reply.body, self._clock())
        try:
            return tokens, await self._told_again(metadata, tokens, session)
        except ProviderError:
            return tokens, None  # rather than to lose what is in hand

    async def _told_again(
        self, metadata: Metadata, tokens: Tokens, session: Session
    ) -> Told | None:
        person = session.identity
        claims: Claims = {"iss": person.issuer, "sub": person.subject}
        if tokens.id_token:
            claims = await self._refreshed_claims(metadata, tokens, session)
        userinfo = await self._userinfo(metadata, tokens, person.subject)
        if userinfo is None and not tokens.id_token:
            return None
        if userinfo is not None and userinfo.problem:
            return None
        told = await self._all(metadata, tokens, claims, userinfo)
        if tokens.id_token or not names_groups(session.tokens.id_token, self.settings):
            return told
        # Those of the ID token may hold still, or not: nobody knows.
        return replace(told, groups_partial=True)

    async def _refreshed_claims(
        self, metadata: Metadata, tokens: Tokens, session: Session
    ) -> Claims:
        def verify(keys: VerificationKeys) -> Claims:
            return verify_refreshed(
                tokens.id_token,
                keys,
                provider=self.settings,
                metadata=metadata,
                issuer=session.identity.issuer,
                subject=session.identity.subject,
                now=self._clock(),
                access_token=tokens.access_token,
            )

        return await self._keys.using(verify, Reason.ID_TOKEN_INVALID)

    async def _all(
        self, metadata: Metadata, tokens: Tokens, claims: Claims, userinfo: Userinfo | None
    ) -> Told:
        """With what the access token says, and what it opens."""
        notes, groups, partial = [], None, False
        if userinfo is not None and userinfo.problem:
            notes.append(f"userinfo said nothing: {userinfo.problem}")
        said = await self._access_token(metadata, tokens, str(claims["sub"]))
        found = await self._graph.groups(tokens, claims) if self._graph else None
        if found is not None:
            groups, partial = found.groups, found.is_partial
            notes += [found.note] if found.note else []
        elif overage(claims) or (userinfo is not None and overage(userinfo.claims)):
            partial = True  # they are somewhere else, where nobody asks
        return Told(
            issuer=str(claims["iss"]),
            id_token=claims,
            userinfo=userinfo,
            access_token=said,
            groups=groups,
            groups_partial=partial,
            notes=tuple(notes),
        )

    async def _access_token(self, metadata: Metadata, tokens: Tokens, subject: str) -> Claims:
        """What it says, where the configuration asks for that; an opaque one says nothing."""
        if not self.settings.claims.from_access_token or not tokens.access_token:
            return _NOTHING

        def verify(keys: VerificationKeys) -> Claims:
            return verify_access_token(
                tokens.access_token,
                keys,
                provider=self.settings,
                metadata=metadata,
                subject=subject,
                now=self._clock(),
            )

        return await self._keys.using(verify, Reason.ACCESS_TOKEN_INVALID)

    async def _userinfo(self, metadata: Metadata, tokens: Tokens, subject: str) -> Userinfo | None:
        """What userinfo says of ``subject``; None when there is nothing to ask.

        Raises LoginError for an answer about somebody else. An answer that is no answer is a
        Userinfo with its reason: whoever reads it decides whether the ID token is enough.
        """
        if not metadata.userinfo_endpoint or self.settings.claims_source == "id_token":
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
                provider=self.settings,
                metadata=metadata,
                subject=subject,
                now=self._clock(),
            )

        return await self._keys.using(read, Reason.USERINFO_INVALID)

    async def logout_request(self, token: str) -> LogoutRequest:
        """What a logout token asks for. Raises BadRequest, ProviderError."""
        metadata = await self.metadata()

        def verify(keys: VerificationKeys) -> LogoutRequest:
            return verify_logout_token(
                token, keys, provider=self.settings, metadata=metadata, now=self._clock()
            )

        reason = Reason.LOGOUT_REQUEST_INVALID
        try:
            return await self._keys.using(verify, reason, stranger=True)
        except LoginError as exc:
            raise BadRequest(reason, exc.detail) from exc

    async def exchanged(self, token: str, wanted: Exchange) -> Exchanged:
        """A person's access token → one for an upstream (RFC 8693). Raises ProviderError."""
        metadata, proof = await self.metadata(), await self._credentials.proof()
        request = exchange_request(metadata, self.settings, token, wanted, proof)
        reply = await self._send("exchange", request)
        return read_exchanged(reply.status, reply.body, self._clock())

    async def revoke(self, tokens: Tokens) -> None:
        """Give the kept tokens back, where the provider takes them (RFC 7009).

        Raises ProviderError for any that it does not revoke; the others are asked for even so.
        """
        metadata, problems = await self.metadata(), []
        proofs = [await self._credentials.proof() for _ in range(2)]
        for request in revocation_requests(metadata, self.settings, tokens, proofs):
            reply = await self._send("revoke", request)
            problems.append(revocation_problem(reply.status, reply.body))
        if any(problems):
            detail = "revoke: " + " and ".join(filter(None, problems))
            raise ProviderError(Reason.PROVIDER_ERROR, detail)

    async def _send(self, call: str, request: TokenRequest) -> Reply:
        headers = dict(request.headers)
        return await self._calls.make(call, "POST", request.url, headers, request.body)

    async def _fetch_metadata(self) -> Metadata:
        if not self.settings.discovery:
            return static_metadata(self.settings)
        reply = await self._calls.make("metadata", "GET", metadata_url(self.settings))
        return read_metadata(read_json(reply, "metadata"), self.settings)
