"""Signing in: the choice of a provider, the way to it, and the page that explains a loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from aiohttp import web

from proxy.config.address import DomainList, normalise_email
from proxy.errors import BadRequest, Reason
from proxy.model import Kind, SetCookie
from proxy.oidc.attempt import begin
from proxy.rules.judged import StepUp
from proxy.rules.target import public_hosts
from proxy.session.cookies import single
from proxy.web.answers import Answers
from proxy.web.attempts import Attempts
from proxy.web.audit import Audit
from proxy.web.forms import only, read_form
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit

_BOUNCE_WINDOW: Final = 120
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Login:
    """The way to the provider. ``token``: () → random text of 256 bits and more."""

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        answers: Answers,
        audit: Audit,
        token: Callable[[], str],
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._answers = answers
        self._audit = audit
        self._token = token
        self._attempts = Attempts(runtime)
        self._domains = [
            (provider.name, DomainList.compile(provider.settings.email_domains))
            for provider in providers.all
            if provider.settings.email_domains
        ]

    async def start(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/start``: to the provider, and back to ``rd`` afterwards."""
        params = dict(parse_qsl(visit.goal.query, keep_blank_values=True))
        return_to = self._runtime.redirects.check(params.pop("rd", ""))
        name = params.pop("provider", "") or self._preferred(return_to)
        if not name and len(self._providers.all) > 1:
            return self._choose(visit, return_to)
        return await self.begin(visit, return_to, params, provider=name)

    async def sign_in_page(self, visit: Visit) -> web.StreamResponse:
        """``{prefix}/sign_in``: a button for each provider. A POST brings an e-mail address,
        whose domain says which of them it is."""
        if visit.goal.method == "POST":
            return await self._by_email(visit)
        params = dict(parse_qsl(visit.goal.query))
        return self._page(visit, self._runtime.redirects.check(params.get("rd", "")))

    async def wanted(self, visit: Visit, return_to: str, provider: str = "") -> web.StreamResponse:
        """Somebody without a session asked for a page: to the provider, or to the choice."""
        if not provider and len(self._providers.all) > 1:
            return self._choose(visit, return_to)
        return await self.begin(visit, return_to, provider=provider)

    async def begin(
        self,
        visit: Visit,
        return_to: str,
        passed: Mapping[str, str] = _NOTHING,
        *,
        provider: str = "",
        step_up: StepUp | None = None,
        debug: bool = False,
    ) -> web.StreamResponse:
        """302 (303 after a form) to the provider, with the attempt sealed in its own cookie.

        ``provider`` names it, empty for the first. ``step_up``: what the answer must prove
        besides. Raises BadRequest for an unknown provider, ProviderError.
        """
        settings = self._runtime.settings
        if not settings.login.enabled:
            return self.disabled(visit)
        if not settings.cookie.domain and not self._at_home(visit):
            # The provider returns to public_url, where a cookie of this host would be missing.
            return self._answers.redirect(visit, 302, self._runtime.public(visit.goal.raw))
        if self.bounces(visit) >= settings.login.max_bounces:
            return self._loop(visit, return_to)
        idp = self._named(provider)
        attempt = begin(
            return_to,
            visit.now,
            self._token,
            idp.name,
            wanted_acr=step_up.acr_values if step_up else (),
            wanted_age=step_up.max_age if step_up else None,
            debug=debug,
        )
        url = await idp.authorization(attempt, self._runtime.redirect_uri(idp.name), passed)
        status = 303 if visit.goal.method == "POST" else 302
        return self._answers.redirect(visit, status, url, self._attempts.keep(visit, attempt))

    def knows(self, name: str) -> bool:
        """Is there such a provider, still?"""
        return self._providers.named(name) is not None

    def _named(self, name: str) -> IdentityProvider:
        found = self._providers.named(name)
        if found is None:
            raise BadRequest(Reason.UNKNOWN_PROVIDER, f"provider {ascii(name)[:60]}", status=404)
        return found

    def _preferred(self, return_to: str) -> str:
        """The provider of the route that the person comes from, if it names one."""
        if not return_to.startswith("/"):
            return ""
        route = self._runtime.routes.match(unquote(urlsplit(return_to).path), "GET")
        return route.provider if route else ""

    def _choose(self, visit: Visit, return_to: str) -> web.StreamResponse:
        if not self._runtime.settings.login.enabled:
            return self.disabled(visit)
        url = f"{self._runtime.paths.sign_in}?{urlencode({'rd': return_to})}"
        return self._answers.redirect(visit, 302, url)

    def _page(self, visit: Visit, return_to: str, *, unknown: bool = False) -> web.StreamResponse:
        return self._answers.page(
            visit,
            200,
            "sign_in",
            providers=self._links(return_to),
            sign_in_url=self._runtime.paths.sign_in,
            return_to=return_to,
            asks_email=bool(self._domains),
            is_unknown=unknown,
        )

    def _links(self, return_to: str) -> Sequence[tuple[str, str]]:
        """Each provider's name for people, and the way to it."""
        several = len(self._providers.all) > 1
        return [
            (
                idp.settings.label or (idp.name if several else ""),
                self._runtime.start_path(return_to, idp.name if several else ""),
            )
            for idp in self._providers.all
        ]

    async def _by_email(self, visit: Visit) -> web.StreamResponse:
        fields = await read_form(visit)
        return_to = self._runtime.redirects.check(only(fields, "rd"))
        email = normalise_email(only(fields, "email"))
        for name, domains in self._domains:
            if email and domains.holds(email):
                return await self.begin(visit, return_to, {"login_hint": email}, provider=name)
        return self._page(visit, return_to, unknown=True)

    def _at_home(self, visit: Visit) -> bool:
        hosts = public_hosts(self._runtime.settings.public_url, ())
        return hosts is None or visit.goal.host in hosts

    def bounces(self, visit: Visit) -> int:
        """Sign-ins that no request with a session has followed yet."""
        value = single(visit.pairs, self._runtime.names.bounces) or ""
        return int(value) if value.isdigit() and len(value) < 3 else 0

    def count_bounce(self, visit: Visit, came_back: bool) -> SetCookie:
        """One more of them; ``came_back``: this very request brought a session, so that its
        browser keeps them."""
        count = 1 if came_back else self.bounces(visit) + 1
        cookie = self._runtime.jar.make(self._runtime.names.bounces, str(count), _BOUNCE_WINDOW)
        return replace(cookie, same_site="Lax")  # a Strict one would never be counted

    def disabled(self, visit: Visit) -> web.StreamResponse:
        """503: a page for people, JSON for programs (R010)."""
        visit.reason = Reason.LOGIN_DISABLED
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 503, Reason.LOGIN_DISABLED)
        return self._answers.page(visit, 503, "disabled")

    def _loop(self, visit: Visit, return_to: str) -> web.StreamResponse:
        self._audit.refused(visit, Reason.LOGIN_LOOP, "")
        jar = self._runtime.jar
        fields = {
            "sign_in_url": self._runtime.start_path(return_to),
            "public_url": self._runtime.settings.public_url,
        }
        again = [jar.remove(self._runtime.names.bounces)]
        visit.reason = Reason.LOGIN_LOOP
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 403, Reason.LOGIN_LOOP, cookies=again)
        return self._answers.page(visit, 403, "loop", again, **fields)
