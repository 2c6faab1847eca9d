"""Signing in: the start, the callback, and the page that explains a loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote

from aiohttp import web

from proxy.errors import LoginError, ProxyError, Reason, StoreError
from proxy.model import Identity, Kind, Session, SetCookie, Tokens
from proxy.oidc.attempt import (
    Attempt,
    Callback,
    authorization_url,
    begin,
    check_callback,
    cookie_tag,
    dump,
    load,
)
from proxy.oidc.claims import identity
from proxy.oidc.userinfo import merge
from proxy.rules.target import public_hosts
from proxy.session.cookies import single
from proxy.session.register import Register
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.provider import Provider
from proxy.web.runtime import Runtime
from proxy.web.sessions import Sessions
from proxy.web.visit import Visit

_KEPT_LONGER = 3600
"""Seconds that an attempt stays readable after its end: the page about that knows the way."""
_BOUNCE_WINDOW = 120
_TAG = re.compile(r"[0-9a-f]{16}")


class Login:
    """The sign-in flow of one provider. ``token``: () → random text of 256 bits and more."""

    def __init__(
        self,
        runtime: Runtime,
        provider: Provider,
        sessions: Sessions,
        register: Register,
        answers: Answers,
        audit: Audit,
        token: Callable[[], str],
    ) -> None:
        self._runtime = runtime
        self._provider = provider
        self._sessions = sessions
        self._register = register
        self._answers = answers
        self._audit = audit
        self._token = token

    async def start(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/start``: to the provider, and back to ``rd`` afterwards."""
        params = dict(parse_qsl(visit.goal.query, keep_blank_values=True))
        return_to = self._runtime.redirects.check(params.pop("rd", ""))
        return await self.begin(visit, return_to, params)

    async def sign_in_page(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/sign_in``: a page with one button."""
        params = dict(parse_qsl(visit.goal.query))
        return_to = self._runtime.redirects.check(params.get("rd", ""))
        start = f"{self._runtime.paths.start}?rd={quote(return_to, safe='/')}"
        return self._answers.page(visit, 200, "sign_in", start_url=start)

    async def begin(
        self, visit: Visit, return_to: str, passed: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """302 to the provider, with the attempt sealed in a cookie of its own."""
        settings = self._runtime.settings
        if not settings.login.enabled:
            return self._disabled(visit)
        if not settings.cookie.domain and not self._at_home(visit):
            # The provider returns to public_url, where a cookie of this host would be missing.
            return self._answers.redirect(visit, 302, self._runtime.public(visit.goal.raw))
        if self._bounces(visit) >= settings.login.max_bounces:
            return self._loop(visit, return_to)
        metadata = await self._provider.metadata()
        attempt = begin(return_to, visit.now, self._token)
        url = authorization_url(
            metadata, settings.provider, attempt, self._redirect_uri, passed or {}
        )
        return self._answers.redirect(visit, 302, url, self._keep(visit, attempt))

    def _at_home(self, visit: Visit) -> bool:
        hosts = public_hosts(self._runtime.settings.public_url, ())
        return hosts is None or visit.goal.host in hosts

    async def callback(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/callback``: the browser returns from the provider.

        Whatever goes wrong is answered here: the URL holds the code, so that no link may
        repeat it.
        """
        if not self._runtime.settings.login.enabled:
            return self._disabled(visit)
        params = parse_qsl(visit.goal.query, keep_blank_values=True)
        state = next((value for name, value in params if name == "state"), "")
        attempt = self._attempt(visit, cookie_tag(state)) if state else None
        return_to = attempt.return_to if attempt else self._newest_return(visit)
        cleared = self._forget(attempt)
        try:
            return await self._complete(visit, params, attempt, cleared)
        except ProxyError as exc:
            self._audit.refused(visit, exc.reason, exc.detail)
            retry = f"{self._runtime.paths.start}?rd={quote(return_to, safe='/')}"
            if isinstance(exc, StoreError):
                cleared = []  # an attempt that could not be marked as used is as good as before
            return self._answers.refuse(
                visit, exc.status, exc.reason, retry_url=retry, cookies=cleared
            )

    async def _complete(
        self,
        visit: Visit,
        params: list[tuple[str, str]],
        attempt: Attempt | None,
        cleared: list[SetCookie],
    ) -> web.StreamResponse:
        runtime = self._runtime
        metadata = await self._provider.metadata()
        ttl = runtime.settings.login.attempt_ttl
        callback = check_callback(params, attempt, metadata, visit.now, ttl)
        await self._claim(callback)
        tokens, person, sid = await self._person(callback)
        if reason := runtime.access.denied(person):
            self._audit.denied(visit, reason, person)
            return self._answers.refuse(visit, 403, reason, email=person.email, cookies=cleared)
        session = Session(
            id=self._sessions.new_id(),
            identity=person,
            tokens=self._kept_tokens(tokens),
            created_at=visit.now,
            expires_at=self._end(person, visit.now),
            seen_at=visit.now,
            provider_sid=sid,
            refresh_at=self._refresh_at(tokens, visit.now),
        )
        cookies = await self._sessions.begin(session, visit)
        came_back = await self._end_previous(visit)
        self._audit.signed_in(visit, person)
        return_to = runtime.redirects.check(callback.attempt.return_to)
        cookies += [*cleared, self._count_bounce(visit, came_back), *self._sign_out_over(visit)]
        return self._answers.redirect(visit, 303, return_to, cookies)

    async def _person(self, callback: Callback) -> tuple[Tokens, Identity, str]:
        """Redeem, verify, merge: the identity that the provider vouches for."""
        settings = self._runtime.settings
        tokens = await self._provider.redeem(callback, self._redirect_uri)
        proven = await self._provider.id_token_claims(tokens, callback.attempt.nonce)
        userinfo = await self._provider.userinfo(tokens, str(proven["sub"]))
        if userinfo is not None and userinfo.problem:
            self._audit.note(f"userinfo said nothing: {userinfo.problem}")
        claims = merge(proven, userinfo, settings.provider.claims_source)
        metadata = await self._provider.metadata()
        person = identity(claims, settings.claims, metadata.issuer, keep=self._runtime.kept_claims)
        sid = proven.get("sid")
        return tokens, person, sid if isinstance(sid, str) else ""

    def _kept_tokens(self, tokens: Tokens) -> Tokens:
        """Only what is used later: the ID token for sign-out, others if an upstream gets them."""
        wanted = self._runtime.settings.headers.access_token
        every = self._runtime.settings.session.refresh_every
        return replace(
            tokens,
            access_token=tokens.access_token if wanted else "",
            refresh_token=tokens.refresh_token if every else "",
        )

    def _refresh_at(self, tokens: Tokens, now: float) -> float | None:
        every = self._runtime.settings.session.refresh_every
        return now + every if every and tokens.refresh_token else None

    async def _end_previous(self, visit: Visit) -> bool:
        """A sign-in replaces the session that this browser had (oauth2-proxy GHSA-f24x).

        Returns whether it had one.
        """
        previous = await self._sessions.find(visit.pairs, visit.now)
        if previous is not None:
            await self._sessions.end(previous, visit.now)
        return previous is not None

    def _sign_out_over(self, visit: Visit) -> list[SetCookie]:
        """A sign-out that did not return from the provider must not show its page later."""
        name = self._runtime.names.sign_out
        return [self._runtime.jar.remove(name)] if single(visit.pairs, name) is not None else []

    async def _claim(self, callback: Callback) -> None:
        """An attempt is used once, also by two callbacks that arrive together, anywhere."""
        tag = cookie_tag(callback.attempt.state)
        until = callback.attempt.created_at + self._runtime.settings.login.attempt_ttl
        if not await self._register.claim("attempt", tag, until):
            raise LoginError(Reason.ATTEMPT_MISSING, "the attempt has been used already")

    def _end(self, person: Identity, now: float) -> float:
        end = self._runtime.session_end(person, now)
        if end <= now:
            raise LoginError(Reason.IDENTITY_INCOMPLETE, "the provider's session is over already")
        return end

    @property
    def _redirect_uri(self) -> str:
        return self._runtime.public(self._runtime.paths.callback)

    def _attempt(self, visit: Visit, tag: str) -> Attempt | None:
        return self._open(single(visit.pairs, self._runtime.names.attempt(tag)), visit.now)

    def _open(self, sealed: str | None, now: float) -> Attempt | None:
        ttl = self._runtime.settings.login.attempt_ttl
        data = self._runtime.attempts.open(sealed, now, ttl + _KEPT_LONGER) if sealed else None
        try:
            return load(data) if data is not None else None
        except ValueError:
            return None

    def _outstanding(self, visit: Visit) -> list[tuple[str, Attempt | None]]:
        """This browser's attempts by cookie name, oldest first, unreadable ones before all."""
        prefix = self._runtime.names.attempt("")
        names = [name.decode("latin-1") for name, _ in visit.pairs]
        mine = {n for n in names if n.startswith(prefix) and _TAG.fullmatch(n[len(prefix) :])}
        found = [(name, self._open(single(visit.pairs, name), visit.now)) for name in mine]
        return sorted(found, key=lambda item: item[1].created_at if item[1] else 0.0)

    def _newest_return(self, visit: Visit) -> str:
        for _, attempt in reversed(self._outstanding(visit)):
            if attempt is not None:
                return self._runtime.redirects.check(attempt.return_to)
        return "/"

    def _keep(self, visit: Visit, attempt: Attempt) -> Iterable[SetCookie]:
        """The attempt's cookie; the oldest ones beyond the limit make room."""
        jar, login = self._runtime.jar, self._runtime.settings.login
        outstanding = self._outstanding(visit)
        surplus = max(0, len(outstanding) - login.max_attempts + 1)
        ttl = int(login.attempt_ttl)
        kept = [(n, a) for n, a in outstanding[surplus:] if a and visit.now - a.created_at <= ttl]
        stale = {name for name, _ in outstanding} - {name for name, _ in kept}
        sealed = self._runtime.attempts.seal(dump(attempt), visit.now)
        name = self._runtime.names.attempt(cookie_tag(attempt.state))
        # Lax, whatever the session's own setting: Strict is withheld on the return.
        cookie = replace(jar.make(name, sealed, ttl), same_site="Lax")
        return [cookie, *(jar.remove(name) for name in sorted(stale))]

    def _forget(self, attempt: Attempt | None) -> list[SetCookie]:
        if attempt is None:
            return []
        tag = cookie_tag(attempt.state)
        return [self._runtime.jar.remove(self._runtime.names.attempt(tag))]

    def _bounces(self, visit: Visit) -> int:
        value = single(visit.pairs, self._runtime.names.bounces) or ""
        return int(value) if value.isdigit() and len(value) < 3 else 0

    def _count_bounce(self, visit: Visit, came_back: bool) -> SetCookie:
        """Counts sign-ins that no request with a session has followed yet.

        ``came_back``: this very request brought a session, so that its browser keeps them.
        """
        count = 1 if came_back else self._bounces(visit) + 1
        cookie = self._runtime.jar.make(self._runtime.names.bounces, str(count), _BOUNCE_WINDOW)
        return replace(cookie, same_site="Lax")  # a Strict one would never be counted

    def _disabled(self, visit: Visit) -> web.StreamResponse:
        """503: a page for people, JSON for programs (R010)."""
        visit.reason = Reason.LOGIN_DISABLED
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 503, Reason.LOGIN_DISABLED)
        return self._answers.page(visit, 503, "disabled")

    def _loop(self, visit: Visit, return_to: str) -> web.StreamResponse:
        self._audit.refused(visit, Reason.LOGIN_LOOP, "")
        jar = self._runtime.jar
        fields = {
            "sign_in_url": f"{self._runtime.paths.start}?rd={quote(return_to, safe='/')}",
            "public_url": self._runtime.settings.public_url,
        }
        again = [jar.remove(self._runtime.names.bounces)]
        visit.reason = Reason.LOGIN_LOOP
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 403, Reason.LOGIN_LOOP, cookies=again)
        return self._answers.page(visit, 403, "loop", again, **fields)
