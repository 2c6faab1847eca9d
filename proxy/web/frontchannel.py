"""The provider signs a browser out, in an iframe on its own page (Front-Channel Logout 1.0)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from proxy.errors import BadRequest, ProviderError, Reason
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.providers import Providers
from proxy.web.runtime import Runtime
from proxy.web.sessions import Sessions
from proxy.web.visit import Visit

_PAGE: Final = b"<!doctype html><title>Sign-out</title>"
_HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?")


class FrontChannel:
    """``{prefix}/frontchannel_logout?iss=…&sid=…``, which the browser asks with its cookies."""

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        sessions: Sessions,
        answers: Answers,
        audit: Audit,
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._sessions = sessions
        self._answers = answers
        self._audit = audit

    async def logout(self, visit: Visit) -> web.StreamResponse:
        """Ends this browser's own session, if it is the one of the provider's that is meant.

        No other: whoever learns a sid could sign its owner out (security.md 4, no. 30). Whether
        there was one is nobody's business: the page is the same. Raises BadRequest, StoreError.
        """
        issuer, sid = self._asked(visit)
        for opened in await self._sessions.all(visit.pairs, visit.now):
            session = opened.session
            if (session.identity.issuer, session.provider_sid) != (issuer, sid):
                continue
            await self._sessions.end(opened, visit.now)
            visit.carry(*self._runtime.jar.clear_session(visit.pairs))
            self._audit.signed_out_by_provider(visit, issuer, session.identity.subject, 1)
        return self._answers.finish(visit, 200, _PAGE, (*_HEADERS, await self._policy()))

    def _asked(self, visit: Visit) -> tuple[str, str]:
        """Issuer and session: both, each once, neither empty."""
        query = parse_qsl(visit.goal.query, keep_blank_values=True)
        named = {name: [v for n, v in query if n == name] for name in ("iss", "sid")}
        if any(len(values) != 1 or not values[0] for values in named.values()):
            detail = "iss and sid are needed, each once"
            raise BadRequest(Reason.LOGOUT_REQUEST_INVALID, detail)
        return named["iss"][0], named["sid"][0]

    async def _policy(self) -> tuple[str, str]:
        """Our one page that others may frame: the providers, wherever their own pages are."""
        urls: list[str | None] = []
        for idp in self._providers.all:
            try:
                metadata = await idp.metadata()
            except ProviderError:  # the session is over all the same
                urls += [idp.settings.issuer_url, idp.settings.server_metadata_url]
            else:
                urls += [metadata.issuer, metadata.authorization_endpoint]
                urls.append(metadata.end_session_endpoint)
        framed = " ".join(_origins(filter(None, urls))) or "'none'"
        return "Content-Security-Policy", f"default-src 'none'; frame-ancestors {framed}"


def _origins(urls: Iterable[str]) -> list[str]:
    """Each once, in order; none that would mean something else in a policy."""
    parts = map(urlsplit, urls)
    found = (f"{p.scheme}://{p.netloc.lower()}" for p in parts if _HOST.fullmatch(p.netloc))
    return list(dict.fromkeys(found))
