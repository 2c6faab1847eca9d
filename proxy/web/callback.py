"""The browser's return from the provider: proven, judged, and made into a session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web

from proxy.errors import AccessDenied, LoginError, ProxyError, Reason, StoreError
from proxy.model import Identity, Session, SetCookie, Tokens
from proxy.oidc.attempt import Attempt, Callback, check_callback, cookie_tag
from proxy.oidc.told import Told
from proxy.session.cookies import single
from proxy.session.register import Register
from proxy.web.admission import Admissions, Judged
from proxy.web.answers import Answers
from proxy.web.attempts import Attempts
from proxy.web.audit import Audit
from proxy.web.auth import asked_by, deny
from proxy.web.findings import Findings
from proxy.web.login import Login
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.runtime import Runtime
from proxy.web.sessions import Sessions
from proxy.web.visit import Visit


class Shows(Protocol):
    """Shows what a sign-in has found: ``web.debug``."""

    async def page(self, visit: Visit) -> web.StreamResponse: ...

    async def shown(
        self, visit: Visit, attempt: Attempt, findings: Findings
    ) -> web.StreamResponse: ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Return:
    """A return that belongs to an attempt of this browser's, and what removes its cookie."""

    idp: IdentityProvider
    callback: Callback
    cleared: list[SetCookie]

    @property
    def attempt(self) -> Attempt:
        return self.callback.attempt


class Callbacks:
    """``{prefix}/callback``."""

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        login: Login,
        admissions: Admissions,
        sessions: Sessions,
        register: Register,
        answers: Answers,
        audit: Audit,
        debug: Shows | None,
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._login = login
        self._admissions = admissions
        self._sessions = sessions
        self._register = register
        self._answers = answers
        self._audit = audit
        self._debug = debug
        self._attempts = Attempts(runtime)

    async def callback(self, visit: Visit) -> web.StreamResponse:
        """The browser returns from the provider.

        Whatever goes wrong is answered here: the URL holds the code, so that no link may
        repeat it.
        """
        if not self._runtime.settings.login.enabled:
            return self._login.disabled(visit)
        params = parse_qsl(visit.goal.query, keep_blank_values=True)
        state = next((value for name, value in params if name == "state"), "")
        attempt = self._attempts.of_state(visit, state) if state else None
        cleared = self._attempts.forget(attempt)
        try:
            back = await self._proven(visit, params, attempt, cleared)
            if back.attempt.debug:
                return await self._show(visit, back, self._debug)
            return await self._complete(visit, back)
        except ProxyError as exc:
            return self._failed(visit, attempt, exc, cleared)

    def _failed(
        self, visit: Visit, attempt: Attempt | None, exc: ProxyError, cleared: list[SetCookie]
    ) -> web.StreamResponse:
        self._audit.refused(visit, exc.reason, exc.detail)
        if isinstance(exc, StoreError):
            cleared = []  # an attempt that could not be marked as used is as good as before
        if isinstance(exc, AccessDenied):
            return self._answers.refuse(
                visit, exc.status, exc.reason, remedy=exc.message, cookies=cleared
            )
        return_to = attempt.return_to if attempt else self._attempts.newest_return(visit)
        retry = self._runtime.start_path(return_to, attempt.provider if attempt else "")
        return self._answers.refuse(visit, exc.status, exc.reason, retry_url=retry, cookies=cleared)

    async def _proven(
        self,
        visit: Visit,
        params: list[tuple[str, str]],
        attempt: Attempt | None,
        cleared: list[SetCookie],
    ) -> Return:
        """Belongs to an attempt of this browser's, at the provider whose path this is."""
        idp = self._providers.named(self._runtime.callbacks[visit.goal.path])
        assert idp is not None  # noqa: S101  # paths and providers are of one configuration
        if attempt is not None and attempt.provider != idp.name:
            # One provider's answer is never taken to another (mix-up, RFC 9700 section 4.4).
            raise LoginError(Reason.ATTEMPT_MISSING, "the attempt was begun at another provider")
        ttl = self._runtime.settings.login.attempt_ttl
        callback = check_callback(params, attempt, await idp.metadata(), visit.now, ttl)
        await self._claim(callback)
        return Return(idp, callback, cleared)

    async def _claim(self, callback: Callback) -> None:
        """An attempt is used once, also by two callbacks that arrive together, anywhere."""
        tag = cookie_tag(callback.attempt.state)
        until = callback.attempt.created_at + self._runtime.settings.login.attempt_ttl
        if not await self._register.claim("attempt", tag, until):
            raise LoginError(Reason.ATTEMPT_MISSING, "the attempt has been used already")

    async def _told(self, back: Return) -> tuple[Tokens, Told, str]:
        """Redeem and verify: what the provider vouches for, and the name of its session."""
        tokens = await back.idp.redeem(back.callback, self._runtime.redirect_uri(back.idp.name))
        told, sid = await back.idp.told(tokens, back.attempt.nonce)
        return tokens, told, sid

    async def _complete(self, visit: Visit, back: Return) -> web.StreamResponse:
        tokens, told, sid = await self._told(back)
        judged = await self._admissions.judge(back.idp, told, visit.now, "sign_in")
        for note in judged.person.notes:
            self._audit.note(note)
        if judged.denial is not None:
            await self._admissions.forget(judged.identity)
            return self._denied(visit, back, judged)
        self._check_strength(visit, judged.identity, back.attempt)
        session = Session(
            id=self._sessions.new_id(),
            identity=judged.identity,
            tokens=self._kept_tokens(back.idp, tokens),
            created_at=visit.now,
            expires_at=judged.first_end(self._runtime, visit.now),
            seen_at=visit.now,
            provider_sid=sid,
            refresh_at=self._refresh_at(back.idp, tokens, visit.now),
        )
        session = await self._admissions.provisioned(session, visit.now, visit.id)
        return await self._begin(visit, back, session)

    async def _begin(self, visit: Visit, back: Return, session: Session) -> web.StreamResponse:
        await self._admissions.remember(session.identity, visit.now)
        cookies = await self._sessions.begin(session, visit)
        came_back = await self._end_previous(visit)
        self._audit.signed_in(visit, session.identity)
        return_to = self._runtime.redirects.check(back.attempt.return_to)
        cookies += [
            *back.cleared,
            self._login.count_bounce(visit, came_back),
            *self._sign_out_over(visit),
        ]
        return self._answers.redirect(visit, 303, return_to, cookies)

    def _denied(self, visit: Visit, back: Return, judged: Judged) -> web.StreamResponse:
        denial, person = judged.denial, judged.identity
        assert denial is not None  # noqa: S101  # as the caller has seen
        visit.carry(*back.cleared)
        return deny(visit, denial, person, self._answers, self._audit)

    def _check_strength(self, visit: Visit, person: Identity, attempt: Attempt) -> None:
        """A stronger sign-in that was asked for must be proven, else it would be asked for again
        and again. The session that the person has goes on meanwhile. Raises LoginError.
        """
        if not attempt.wanted_acr and attempt.wanted_age is None:
            return
        route = self._runtime.routes.match(unquote(urlsplit(attempt.return_to).path), "GET")
        denial = route.rules.denied(person, asked_by(visit)) if route else None
        if denial is not None and denial.step_up is not None:
            detail = f"acr {ascii(person.acr)[:80]}, auth_time {person.auth_time}"
            raise LoginError(denial.reason, detail)

    async def _show(self, visit: Visit, back: Return, debug: Shows | None) -> web.StreamResponse:
        """A debug sign-in is shown, whatever became of it, and begins nothing."""
        if debug is None:
            raise LoginError(Reason.ATTEMPT_MISSING, "debugging has been switched off")
        told, judged, error = None, None, None
        asked = asked_by(visit)
        try:
            _, told, _ = await self._told(back)
            judged = await self._admissions.judge(back.idp, told, visit.now, "sign_in")
        except ProxyError as exc:
            error = exc
        findings = Findings.of(back.idp.name, told, judged, error, self._runtime, asked)
        visit.carry(*back.cleared)
        return await debug.shown(visit, back.attempt, findings)

    def _kept_tokens(self, idp: IdentityProvider, tokens: Tokens) -> Tokens:
        """Only what is used later: the ID token for sign-out, others if an upstream gets them."""
        settings = self._runtime.settings
        every = settings.session.refresh_every
        wanted = self._runtime.keeps_access_token or (bool(every) and idp.keeps_access_token)
        return replace(
            tokens,
            access_token=tokens.access_token if wanted else "",
            refresh_token=tokens.refresh_token if every else "",
        )

    def _refresh_at(self, idp: IdentityProvider, tokens: Tokens, now: float) -> float | None:
        every = self._runtime.settings.session.refresh_every
        due = every and idp.refreshes(tokens)
        return self._runtime.refresh_at(tokens, now) if due else None

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
