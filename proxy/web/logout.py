"""Signing out: here first, then at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web

from proxy.config.access import Access
from proxy.errors import ProviderError, Reason
from proxy.model import Kind, SetCookie
from proxy.oidc.logout import end_session_url
from proxy.session.cookies import single
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.log import Log
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.revocation import Revocations
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened, Sessions
from proxy.web.visit import Visit

_RETURN_WITHIN = 600
_HERE = frozenset({"same-origin", "same-site", "none"})


class Logout:
    """Ends sessions at a person's wish. ``token``: () → random text of 256 bits and more."""

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers | None,
        sessions: Sessions,
        answers: Answers,
        audit: Audit,
        log: Log,
        token: Callable[[], str],
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._sessions = sessions
        self._answers = answers
        self._audit = audit
        self._log = log
        self._token = token
        self._revocations = Revocations(log)

    async def close(self) -> None:
        """Let the provider hear of the last sign-outs, for a moment."""
        await self._revocations.close()

    async def sign_out(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/sign_out``: a POST, or a GET that started on our own site.

        A GET from elsewhere gets a page with a button, so that no foreign page signs anybody
        out by a link or an image.
        """
        if not self._wanted(visit):
            if visit.goal.method == "POST":
                return self._answers.refuse(visit, 403, Reason.CROSS_SITE)
            path = self._runtime.paths.sign_out
            return self._answers.page(visit, 200, "sign_out", sign_out_url=path)
        opened = None
        # All of them: a cookie planted beside ours must not keep ours from ending.
        for opened in await self._sessions.all(visit.pairs, visit.now):
            await self._sessions.end(opened, visit.now)
            self._audit.signed_out(visit, opened.session.identity)
            idp = self._provider_of(opened)
            if idp is not None:
                self._revocations.begin(idp, opened.session.tokens)
        return_to = self._runtime.redirects.check(self._param(visit, "rd"))
        state = self._token()
        url = await self._provider_url(opened, state)
        if url is None:
            return self._goodbye(visit, return_to, self._cleared(visit), provider=False)
        memo = json.dumps([state, return_to]).encode()
        sealed = self._runtime.returns.seal(memo, visit.now)
        name = self._runtime.names.sign_out
        # Lax, whatever the session's own setting: Strict is withheld on the return.
        kept = replace(self._runtime.jar.make(name, sealed, _RETURN_WITHIN), same_site="Lax")
        return self._answers.redirect(visit, 303, url, [*self._cleared(visit, name), kept])

    async def signed_out(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/signed_out``: the provider sent the browser back (or somebody came here).

        The session is gone already; the state only says whether this is the return of our own
        request (some providers send none, or call twice).
        """
        expected, return_to = self._remembered(visit)
        state = self._param(visit, "state")
        matches = bool(expected) and hmac.compare_digest(expected.encode(), state.encode())
        if expected and not matches:
            fields: dict[str, object] = {"request_id": visit.id}
            self._log.event("warning", str(Reason.LOGOUT_STATE_MISMATCH), fields)
        cookies = [self._runtime.jar.remove(self._runtime.names.sign_out)]
        return self._goodbye(visit, return_to if matches else "/", cookies, provider=matches)

    def _goodbye(
        self, visit: Visit, return_to: str, cookies: list[SetCookie], *, provider: bool
    ) -> web.StreamResponse:
        """A page that does not sign in again by itself; or ``rd`` where that would not either."""
        if self._open_to_all(return_to):
            return self._answers.redirect(visit, 303, return_to, cookies)
        if visit.kind is not Kind.NAVIGATION and visit.goal.method != "POST":
            return self._answers.json(visit, 200, {"signed_out": True}, cookies=cookies)
        start = self._runtime.start_path(return_to)
        return self._answers.page(
            visit, 200, "signed_out", cookies, sign_in_url=start, provider_signed_out=provider
        )

    def _open_to_all(self, return_to: str) -> bool:
        if not return_to.startswith("/"):
            return True  # another host, which the redirect check has let pass
        route = self._runtime.routes.match(unquote(urlsplit(return_to).path), "GET")
        return route is not None and route.access is not Access.REQUIRED

    def _wanted(self, visit: Visit) -> bool:
        """Did the person ask for this on our own site? (Fetch Metadata, else Origin, Referer)"""
        if "prefetch" in visit.header("Sec-Purpose") + visit.header("Purpose"):
            return False  # the browser guesses that the person will
        site = visit.header("Sec-Fetch-Site")
        if site:
            return site in _HERE
        origin = visit.header("Origin")
        if origin:
            return origin.lower() == self._runtime.settings.public_url
        referer = visit.header("Referer")
        if referer:
            return (referer + "/").startswith(self._runtime.settings.public_url + "/")
        # A program, or an old browser's POST, which comes without our Lax cookie if cross-site.
        return visit.goal.method == "POST"

    async def _provider_url(self, opened: Opened | None, state: str) -> str | None:
        idp = self._provider_of(opened)
        if idp is None:
            return None
        try:
            metadata = await idp.metadata()
        except ProviderError:
            return None  # signed out here at least; the provider's own session outlives its fault
        return end_session_url(
            metadata,
            idp.settings.client_id,
            opened.session.tokens.id_token if opened else "",
            self._runtime.public(self._runtime.paths.signed_out),
            state,
        )

    def _provider_of(self, opened: Opened | None) -> IdentityProvider | None:
        """Who vouched for the session; without one, the only provider there is."""
        if self._providers is None:
            return None
        if opened is not None:
            return self._providers.of(opened.session.identity)
        return self._providers.first if len(self._providers.all) == 1 else None

    def _cleared(self, visit: Visit, kept: str = "") -> list[SetCookie]:
        """Remove every cookie of ours that the browser sent, whatever it holds, but ``kept``."""
        jar, names = self._runtime.jar, self._runtime.names
        cookies = jar.clear_session(visit.pairs)
        done = {kept, *(cookie.name for cookie in cookies)}
        for raw, _ in visit.pairs:
            name = raw.decode("latin-1")
            if names.ours(raw) and name not in done and name.isascii() and name.isprintable():
                done.add(name)
                if all(char.isalnum() or char in "._-" for char in name):
                    cookies.append(jar.remove(name))
        return cookies

    def _remembered(self, visit: Visit) -> tuple[str, str]:
        sealed = single(visit.pairs, self._runtime.names.sign_out)
        data = self._runtime.returns.open(sealed, visit.now, _RETURN_WITHIN) if sealed else None
        try:
            state, return_to = json.loads(data) if data is not None else ("", "/")
        except (ValueError, TypeError):
            return "", "/"
        if not isinstance(state, str) or not isinstance(return_to, str):
            return "", "/"
        return state, self._runtime.redirects.check(return_to)

    def _param(self, visit: Visit, name: str) -> str:
        found = [value for key, value in parse_qsl(visit.goal.query) if key == name]
        return found[0] if len(found) == 1 else ""
