"""The providers that people sign in with: what each can be asked, and which one is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from proxy.config.programs import Exchange
from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwk import decode_base64url
from proxy.crypto.jwt import LONGEST_TOKEN
from proxy.crypto.strict_json import read_object
from proxy.errors import BadRequest, ProviderError, ProxyError, Reason
from proxy.model import Identity, Session, Tokens
from proxy.oidc.attempt import Attempt, Callback
from proxy.oidc.exchange import Exchanged
from proxy.oidc.logout_token import LogoutRequest
from proxy.oidc.metadata import Metadata
from proxy.oidc.told import Told


class RefreshOver(ProxyError):
    """The provider says that a session's refresh token is no good any more."""

    status = 401


class IdentityProvider(Protocol):
    """One provider, OpenID or GitHub, as this relying party sees it.

    All that asks it raises ProviderError for a fault of its own.
    """

    @property
    def settings(self) -> ProviderSettings:
        """Resolved: with preset and claims folded in, and named."""

    @property
    def name(self) -> str:
        """What it is called in links, logs and rules."""

    @property
    def failure(self) -> ProviderError | None:
        """Why the last look at it failed, if it did."""

    @property
    def seen(self) -> bool:
        """Has it ever answered with all that sign-ins need?"""

    @property
    def keeps_access_token(self) -> bool:
        """Do refreshes need the access token of the sign-in, so that sessions must keep it?"""

    async def metadata(self) -> Metadata:
        """Endpoints and abilities; the last good ones while it cannot be asked."""

    async def check(self) -> None:
        """Ask whether it is well, now: ``failure`` tells afterwards, too."""

    async def authorization(
        self, attempt: Attempt, redirect_uri: str, passed: Mapping[str, str]
    ) -> str:
        """Where to send the browser for ``attempt``; ``passed`` came with the link."""

    async def redeem(self, callback: Callback, redirect_uri: str) -> Tokens:
        """Code → tokens, unverified. Raises LoginError."""

    async def told(self, tokens: Tokens, nonce: str) -> tuple[Told, str]:
        """All that the sign-in brought, verified, and the provider's sid or "". LoginError."""

    def refreshes(self, tokens: Tokens) -> bool:
        """Can sessions with these tokens be refreshed?"""

    async def refreshed(self, session: Session) -> tuple[Tokens, Told | None]:
        """New tokens, and what is told of the same person now; None when that did not come.

        Raises RefreshOver when the provider ends it, LoginError for what cannot be believed.
        """

    def speaks_for(self, issuer: str) -> bool | None:
        """Are tokens of this issuer its own? None while that is not known."""

    async def logout_request(self, token: str) -> LogoutRequest:
        """What a logout token asks for. Raises BadRequest."""

    async def exchanged(self, token: str, wanted: Exchange) -> Exchanged:
        """A person's access token → one for an upstream (RFC 8693)."""

    async def revoke(self, tokens: Tokens) -> None:
        """Give the kept tokens back, where the provider takes them (RFC 7009)."""


class Providers:
    """All of them, in the order of the configuration, which names the default first."""

    def __init__(self, found: Sequence[IdentityProvider]) -> None:
        self.all = tuple(found)
        self._by_name = {provider.name: provider for provider in self.all}

    @property
    def first(self) -> IdentityProvider:
        """The one that nobody chose."""
        return self.all[0]

    def named(self, name: str) -> IdentityProvider | None:
        """The one of this name; the first for ""."""
        return self._by_name.get(name) if name else self.first

    def of(self, identity: Identity) -> IdentityProvider | None:
        """Who vouched for this person; None if the configuration has changed since then."""
        provider = self.named(identity.provider)
        if provider is None or provider.speaks_for(identity.issuer) is False:
            return None
        return provider

    async def issued_by(self, issuer: str) -> list[IdentityProvider]:
        """Those whose tokens this issuer signs.

        Raises ProviderError when there is none, and one that could not be asked may be it.
        """
        found, unknown = [], None
        for provider in self.all:
            known = provider.speaks_for(issuer)
            if known is None:
                try:
                    await provider.metadata()
                    known = provider.speaks_for(issuer)
                except ProviderError as exc:
                    unknown = exc
            if known:
                found.append(provider)
        if not found and unknown is not None:
            raise unknown
        return found

    async def logout_request(self, token: str) -> LogoutRequest:
        """What a logout token asks for, of the provider that it names.

        Raises BadRequest, and ProviderError where the one that can tell is not to be had.
        """
        refused, fault = _refused("its issuer is none of ours"), None
        for provider in await self.issued_by(_named_issuer(token)):
            try:
                return await provider.logout_request(token)
            except BadRequest as exc:
                refused = exc
            except ProviderError as exc:
                fault = exc
        raise fault or refused


def _named_issuer(token: str) -> str:
    """The iss of a token that nobody has verified: it only tells whom to ask. BadRequest."""
    parts = token.split(".", 3)
    if len(token) > LONGEST_TOKEN or len(parts) != 3:
        raise _refused("it is no signed JWT")
    try:
        issuer = read_object(decode_base64url(parts[1]), LONGEST_TOKEN).get("iss")
    except ValueError as exc:
        raise _refused(f"it cannot be read: {exc}") from None
    if not isinstance(issuer, str) or not issuer:
        raise _refused("it names no issuer")
    return issuer


def _refused(detail: str) -> BadRequest:
    return BadRequest(Reason.LOGOUT_REQUEST_INVALID, detail)
