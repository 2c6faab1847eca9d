"""GitHub as a provider: OAuth 2.0 for the sign-in, its API for what OpenID Connect would tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from proxy.config.programs import Exchange
from proxy.config.provider import Provider as ProviderSettings
from proxy.errors import BadRequest, LoginError, ProviderError, Reason
from proxy.model import Session, Tokens
from proxy.oidc.attempt import Attempt, Callback, authorization_request, authorization_url
from proxy.oidc.exchange import Exchanged
from proxy.oidc.github import (
    PER_PAGE,
    api_url,
    check_granted,
    github_metadata,
    read_email,
    read_organisations,
    read_page,
    read_person,
    read_teams,
    refresh_refused,
    revocation,
    wants_groups,
)
from proxy.oidc.logout_token import LogoutRequest
from proxy.oidc.metadata import Metadata
from proxy.oidc.tokens import read_tokens, refresh_is_over, refresh_request, token_request
from proxy.oidc.told import Told
from proxy.web.cached import again
from proxy.web.calls import Calls, Reply
from proxy.web.providers import RefreshOver

_DEADLINE: Final = 30.0
"""Seconds for all that is asked about one person."""
_PAGES: Final = 20
"""Pages of one list that are read: twice as many groups as an identity can hold."""


class GitHub:
    """One GitHub, as this relying party sees it; promises what ``IdentityProvider`` says."""

    keeps_access_token = True
    """It is what a refresh asks with: an OAuth app gets no refresh token."""

    def __init__(
        self, settings: ProviderSettings, calls: Calls, clock: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.failure: ProviderError | None = None
        self.seen = False
        self._calls = calls
        self._clock = clock
        self._metadata: Metadata | None = None

    @property
    def name(self) -> str:
        return self.settings.name

    async def metadata(self) -> Metadata:
        if self._metadata is None:
            self._metadata = github_metadata(self.settings)
        return self._metadata

    async def check(self) -> None:
        """Asks what costs nothing of the API's rate limit. Any answer but a fault will do: a
        server that wants to know us, or no more of us for now, is there."""
        try:
            await self.metadata()
            reply = await self._calls.make(
                "metadata", "GET", f"{api_url(self.settings)}/rate_limit"
            )
            if reply.status >= 500:
                raise ProviderError(Reason.PROVIDER_ERROR, f"the API: status {reply.status}")
        except ProviderError as exc:
            self.failure = exc
            raise again(exc) from None
        self.failure, self.seen = None, True

    async def authorization(
        self, attempt: Attempt, redirect_uri: str, passed: Mapping[str, str]
    ) -> str:
        metadata = await self.metadata()
        params = authorization_request(metadata, self.settings, attempt, redirect_uri, passed)
        return authorization_url(metadata, params)

    async def redeem(self, callback: Callback, redirect_uri: str) -> Tokens:
        request = token_request(await self.metadata(), self.settings, callback, redirect_uri)
        reply = await self._calls.make(
            "token", "POST", request.url, dict(request.headers), request.body
        )
        tokens = read_tokens(reply.status, reply.body, self._clock())
        check_granted(reply.body, self.settings)
        return tokens

    async def told(self, tokens: Tokens, nonce: str) -> tuple[Told, str]:
        try:
            return await self._told(tokens), ""
        except _Refused as exc:
            raise ProviderError(Reason.PROVIDER_ERROR, str(exc)) from None

    async def _told(self, tokens: Tokens) -> Told:
        """Raises LoginError, ProviderError; _Refused where the API does not tell who it is."""
        try:
            async with asyncio.timeout(_DEADLINE):
                return await self._asked(tokens.access_token)
        except TimeoutError:
            detail = f"the API took more than {_DEADLINE:.0f} s"
            raise ProviderError(Reason.PROVIDER_TIMEOUT, detail, status=504) from None

    async def _asked(self, token: str) -> Told:
        metadata = await self.metadata()
        reply = await self._get("userinfo", metadata.userinfo_endpoint, token)
        if reply.status != 200:
            raise _Refused("/user", reply)
        claims = {"iss": metadata.issuer, **read_person(reply.body)}
        notes: list[str] = []
        claims |= await self._email(token, notes)
        known = len(notes)
        groups = await self._groups(token, notes) if wants_groups(self.settings) else None
        return Told(
            metadata.issuer,
            claims,
            groups=groups,
            groups_partial=len(notes) > known,
            notes=tuple(notes),
        )

    async def _email(self, token: str, notes: list[str]) -> dict[str, object]:
        try:
            return read_email(await self._list("userinfo", "/user/emails", token, notes))
        except _Refused as exc:
            if exc.reply.status in (403, 404) and not _limited(exc.reply):
                notes.append(f"no address: {exc}")
                return {}
            raise ProviderError(Reason.PROVIDER_ERROR, str(exc)) from None

    async def _groups(self, token: str, notes: list[str]) -> tuple[str, ...]:
        """Organisations, then teams. Not to know them is not to be in none."""
        try:
            organisations = await self._list("groups", "/user/orgs", token, notes)
            teams = []
            if self.settings.github.teams:
                teams = await self._list("groups", "/user/teams", token, notes)
        except _Refused as exc:
            raise ProviderError(Reason.GROUPS_UNAVAILABLE, str(exc)) from None
        except ProviderError as exc:
            raise ProviderError(Reason.GROUPS_UNAVAILABLE, exc.detail, status=exc.status) from None
        names = read_organisations(organisations) + read_teams(teams)
        return tuple(dict.fromkeys(names))

    async def _list(
        self, call: str, path: str, token: str, notes: list[str]
    ) -> list[Mapping[str, object]]:
        """All entries of a list. Raises _Refused, ProviderError."""
        url = f"{api_url(self.settings)}{path}?per_page={PER_PAGE}"
        found: list[Mapping[str, object]] = []
        for _ in range(_PAGES):
            reply = await self._get(call, url, token)
            if reply.status != 200:
                raise _Refused(path, reply)
            try:
                page = read_page(reply.body, reply.headers.get("Link", ""), url)
            except ValueError as exc:
                raise ProviderError(Reason.PROVIDER_ERROR, f"{path}: {exc}") from None
            found += page.entries
            if not page.next:
                return found
            url = page.next
        notes.append(f"{path} cut after {_PAGES} pages")
        return found

    async def _get(self, call: str, url: str, token: str) -> Reply:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return await self._calls.make(call, "GET", url, headers)

    def refreshes(self, tokens: Tokens) -> bool:
        return bool(tokens.refresh_token or tokens.access_token)

    async def refreshed(self, session: Session) -> tuple[Tokens, Told | None]:
        tokens, fresh = session.tokens, False
        if tokens.refresh_token:
            tokens, fresh = await self._exchanged(tokens.refresh_token), True
        try:
            told = await self._told(tokens)
        except (_Refused, ProviderError) as exc:
            if fresh:  # the old ones are used up
                return tokens, None
            if not isinstance(exc, _Refused):
                raise
            if exc.reply.status == 401:
                raise RefreshOver(Reason.TOKEN_REFUSED, str(exc)) from None
            raise ProviderError(Reason.PROVIDER_ERROR, str(exc)) from None
        if told.id_token["sub"] != session.identity.subject:
            raise LoginError(Reason.USERINFO_SUBJECT_MISMATCH, "the token is somebody else's now")
        return tokens, told

    async def _exchanged(self, refresh_token: str) -> Tokens:
        """New tokens of a GitHub App. Raises RefreshOver, ProviderError."""
        request = refresh_request(await self.metadata(), self.settings, refresh_token)
        reply = await self._calls.make(
            "refresh", "POST", request.url, dict(request.headers), request.body
        )
        if refresh_is_over(reply.status, reply.body) or refresh_refused(reply.body):
            raise RefreshOver(Reason.TOKEN_REFUSED, "the refresh token is over")
        return read_tokens(reply.status, reply.body, self._clock())

    def speaks_for(self, issuer: str) -> bool | None:
        return issuer == self.settings.issuer_url

    async def logout_request(self, token: str) -> LogoutRequest:
        raise BadRequest(Reason.LOGOUT_REQUEST_INVALID, "GitHub sends no logout tokens")

    async def exchanged(self, token: str, wanted: Exchange) -> Exchanged:
        raise ProviderError(Reason.PROVIDER_ERROR, "GitHub exchanges no tokens")

    async def revoke(self, tokens: Tokens) -> None:
        """A token that is gone already is no problem."""
        if not tokens.access_token:
            return
        request = revocation(self.settings, tokens.access_token)
        reply = await self._calls.make(
            "revoke", "DELETE", request.url, dict(request.headers), request.body
        )
        if reply.status not in (204, 404, 422):
            raise ProviderError(Reason.PROVIDER_ERROR, f"revoke: {_status(reply)}")


class _Refused(Exception):
    """The API answered with another status than 200."""

    def __init__(self, path: str, reply: Reply) -> None:
        super().__init__(f"{path}: {_status(reply)}")
        self.reply = reply


def _limited(reply: Reply) -> bool:
    """Is it the rate limit, and not us, that was refused? (REST API, "Rate limits")"""
    spent = reply.headers.get("X-RateLimit-Remaining") == "0"
    return reply.status == 429 or (
        reply.status == 403 and (spent or "Retry-After" in reply.headers)
    )


def _status(reply: Reply) -> str:
    return f"status {reply.status}" + (" (its rate limit)" if _limited(reply) else "")
