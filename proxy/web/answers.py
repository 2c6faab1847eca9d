"""Answers of our own: pages for people, JSON for programs, redirects. All uncacheable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final

from aiohttp import web

from proxy.config.settings import Settings
from proxy.errors import Reason
from proxy.model import Kind, SetCookie
from proxy.rules.judged import StepUp
from proxy.session.cookies import write
from proxy.web.challenge import (
    PASSWORD,
    bearer_challenge,
    stronger_challenge,
    takes_password,
)
from proxy.web.pages.render import STATIC_HEADERS, Pages, choose_language, page_headers, static
from proxy.web.problems import problem, words
from proxy.web.runtime import Runtime, takes_bearers
from proxy.web.visit import Visit

_SOON: Final = 5
_NO_STORE: Final = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


class Answers:
    """Makes the answers; ``runtime`` says where our pages are."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings: Settings = runtime.settings
        self._pages = Pages(runtime.paths.static)
        takes_any = takes_bearers(runtime.settings)
        self._resource = runtime.public(runtime.paths.resource) if takes_any else ""

    def finish(
        self,
        visit: Visit,
        status: int,
        body: bytes,
        headers: Iterable[tuple[str, str]],
        cookies: Iterable[SetCookie] = (),
    ) -> web.Response:
        """A response with the cookies of the visit and its request id."""
        response = web.Response(status=status, body=body)
        response.headers["Server"] = "auth-proxy"
        response.headers["X-Request-Id"] = visit.id
        for name, value in headers:
            response.headers[name] = value
        for cookie in (*visit.cookies, *cookies):
            response.headers.add("Set-Cookie", write(cookie))
        return response

    def json(
        self,
        visit: Visit,
        status: int,
        document: Mapping[str, object],
        headers: Iterable[tuple[str, str]] = (),
        cookies: Iterable[SetCookie] = (),
    ) -> web.Response:
        body = json.dumps(document, ensure_ascii=False).encode()
        kind = ("Content-Type", "application/json; charset=utf-8")
        return self.finish(visit, status, body, (*_NO_STORE, kind, *headers), cookies)

    def redirect(
        self, visit: Visit, status: int, location: str, cookies: Iterable[SetCookie] = ()
    ) -> web.Response:
        return self.finish(visit, status, b"", (*_NO_STORE, ("Location", location)), cookies)

    def page(
        self,
        visit: Visit,
        status: int,
        name: str,
        cookies: Iterable[SetCookie] = (),
        /,
        **fields: object,
    ) -> web.Response:
        """One of our pages, in the person's language."""
        language = choose_language(visit.language_wish)
        access = self._settings.access
        body = self._pages.render(
            name,
            language,
            request_id=visit.id,
            help_url=access.help_url or "",
            support_email=access.support_email,
            **fields,
        )
        return self.finish(visit, status, body, page_headers(language), cookies)

    def refuse(
        self,
        visit: Visit,
        status: int,
        reason: Reason,
        *,
        retry_url: str = "",
        email: str = "",
        remedy: str = "",
        step_up: StepUp | None = None,
        cookies: Iterable[SetCookie] = (),
    ) -> web.Response:
        """A refusal in the form that this client can use: a page, or what programs read.

        ``remedy``: the operator's words about what to do. ``step_up``: what sign-in would do,
        for programs, who get 401 then (RFC 9470).
        """
        visit.reason = reason
        # A browser that should sign in is redirected: 401 is for programs, whoever asks.
        if visit.kind is not Kind.NAVIGATION or status == 401:
            return self._refuse_program(visit, status, reason, cookies, remedy, step_up)
        if status == 403 and reason in DENIALS:
            return self.page(
                visit, status, "denied", cookies,
                reason=reason, email=email, remedy=remedy,
                sign_out_url=self._runtime.paths.sign_out,
            )  # fmt: skip
        fields = {"reason": reason, "status": status, "retry_url": retry_url}
        response = self.page(visit, status, "error", cookies, **fields)
        response.headers.update(_again(visit, status))
        return response

    def _refuse_program(
        self,
        visit: Visit,
        status: int,
        reason: Reason,
        cookies: Iterable[SetCookie],
        remedy: str,
        step_up: StepUp | None,
    ) -> web.Response:
        more: dict[str, object] = {"remedy": remedy} if remedy else {}
        headers = _again(visit, status)
        if status == 401:
            more["login_url"] = self.start_url("")
        if status == 401 or visit.bearer_error:
            headers.append(("WWW-Authenticate", self._challenge(visit, step_up)))
        if status == 405:
            path, paths = visit.target.path if visit.target else "", self._runtime.paths
            special = {
                paths.sign_out: "GET, HEAD, POST",
                paths.sign_in: "GET, HEAD, POST",
                paths.sessions: "GET, HEAD, POST",
                paths.debug: "GET, HEAD, POST",
                paths.tokens: "GET, HEAD, POST",
                paths.device: "GET, HEAD, POST",
                paths.device_authorize: "POST",
                paths.device_token: "POST",
                paths.device_revoke: "POST",
                paths.cli_start: "POST",
                paths.backchannel_logout: "POST",
            }
            headers.append(("Allow", special.get(path, "GET, HEAD")))
        said = words(status, reason)
        kind, body = problem(visit, visit.errors, status, reason, said, more)
        given = (*_NO_STORE, ("Content-Type", kind), *headers)
        response = self.finish(visit, status, body, given, cookies)
        if status == 401 and self._resource and takes_password(visit.header("User-Agent")):
            response.headers.add("WWW-Authenticate", PASSWORD)
        return response

    def _challenge(self, visit: Visit, step_up: StepUp | None) -> str:
        if step_up is not None:
            return stronger_challenge(step_up)
        return bearer_challenge(visit.bearer_error, visit.missing_scope, self._resource)

    def start_url(self, return_to: str) -> str:
        """The absolute URL that begins a sign-in and comes back to ``return_to``."""
        runtime = self._runtime
        return runtime.public(runtime.start_path(return_to) if return_to else runtime.paths.start)

    def file(self, visit: Visit, name: str) -> web.Response | None:
        """A static file of our pages."""
        found = static(name)
        if found is None:
            return None
        kind, body = found
        return self.finish(visit, 200, body, (*STATIC_HEADERS, ("Content-Type", kind)))


def _again(visit: Visit, status: int) -> list[tuple[str, str]]:
    """When it may be tried again, in whole seconds."""
    wait = visit.retry_after or (_SOON if status == 503 else 0)
    return [("Retry-After", str(wait))] if wait and status in (429, 503) else []


DENIALS: Final = frozenset(
    {
        Reason.IDENTITY_INCOMPLETE,
        Reason.EMAIL_MISSING,
        Reason.EMAIL_UNVERIFIED,
        Reason.EMAIL_NOT_ALLOWED,
        Reason.GROUP_NOT_ALLOWED,
        Reason.CLAIM_NOT_ALLOWED,
        Reason.ACR_NOT_ALLOWED,
        Reason.AMR_NOT_ALLOWED,
        Reason.SIGN_IN_TOO_OLD,
        Reason.ROLE_NOT_ALLOWED,
        Reason.PROVIDER_NOT_ALLOWED,
        Reason.METHOD_NOT_PERMITTED,
        Reason.NETWORK_NOT_ALLOWED,
        Reason.RULE_NOT_MET,
        Reason.TENANT_NOT_ALLOWED,
        Reason.DENIED_BY_HOOK,
        Reason.DENIED_BY_UPSTREAM,
        Reason.CREDENTIAL_MISSING,
    }
)
"""Reasons that are about the person: they see the page with a way out."""
