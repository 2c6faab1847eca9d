"""The provider ends sessions, from server to server (Back-Channel Logout 1.0)."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from proxy.errors import BadRequest, ProviderError, ProxyError, Reason, StoreError
from proxy.oidc.logout_token import LogoutRequest
from proxy.session.register import Register
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.forms import read_form
from proxy.web.providers import Providers
from proxy.web.visit import Visit

_LARGEST: Final = 64 * 1024
_AGAIN: Final = ("Retry-After", "5")


class BackChannel:
    """``{prefix}/backchannel_logout``: a POST of the provider's with a logout token.

    No cookie, Origin or session counts here: the token's signature is all.
    """

    def __init__(
        self, providers: Providers, register: Register, answers: Answers, audit: Audit
    ) -> None:
        self._providers = providers
        self._register = register
        self._answers = answers
        self._audit = audit

    async def logout(self, visit: Visit) -> web.StreamResponse:
        """200 once nobody is signed in any more whom the token names, also if nobody was.

        400 for what cannot be believed; 503 where we or the keys were not to be had, so that
        the provider may say it again: its token is good until then (section 2.8).
        """
        try:
            request = await self._providers.logout_request(await _read_token(visit))
            sessions = await self._end(request, visit.now)
        except (StoreError, ProviderError) as exc:
            return self._refuse(visit, 503, exc)
        except BadRequest as exc:
            return self._refuse(visit, 400, exc)
        self._audit.signed_out_by_provider(visit, request.issuer, request.subject, sessions)
        return self._answers.finish(visit, 200, b"", (("Cache-Control", "no-store"),))

    async def _end(self, request: LogoutRequest, now: float) -> int:
        """Raises BadRequest for a token that was used before.

        It counts as used when all is done: one that comes twice at once does no more than one.
        """
        register, key = self._register, f"{request.issuer} {request.jti}"
        if await register.claimed("jti", key):
            raise BadRequest(Reason.LOGOUT_REQUEST_INVALID, "its jti was used before")
        issuer, subject = request.issuer, request.subject
        if not request.sid:
            sessions = await register.end_person(issuer, subject, now)
        else:
            sessions = await register.end_provider_session(issuer, request.sid, now, subject)
            sessions += await self._end_nameless(issuer, subject, now)
        await register.claim("jti", key, request.until)
        return sessions

    async def _end_nameless(self, issuer: str, subject: str, now: float) -> int:
        """Sessions that came with no sid may be the one that is meant: rather one too many."""
        known = await self._register.of_person(issuer, subject, now) if subject else []
        nameless = [card for card in known if not card.provider_sid]
        for card in nameless:
            await self._register.end_card(card, now)
        return len(nameless)

    def _refuse(self, visit: Visit, status: int, exc: ProxyError) -> web.StreamResponse:
        """In the form of RFC 6749 section 5.2; what was wrong is for our log alone."""
        visit.reason = exc.reason
        self._audit.logout_refused(visit, exc.reason, exc.detail)
        error, words = "invalid_request", "the logout token is missing or cannot be believed"
        if status == 503:
            error, words = "temporarily_unavailable", "try again soon"
        document = {"error": error, "error_description": words}
        response = self._answers.json(visit, status, document, (_AGAIN,) if status == 503 else ())
        if status == 400:
            response.force_close()  # the body may not have been read
        return response


async def _read_token(visit: Visit) -> str:
    """The form's logout_token; other fields do not matter. Raises BadRequest."""
    fields = await read_form(visit, Reason.LOGOUT_REQUEST_INVALID, _LARGEST)
    found = [value for name, value in fields if name == "logout_token"]
    if len(found) != 1:
        raise _invalid(f"logout_token comes {len(found)} times")
    return found[0]


def _invalid(detail: str) -> BadRequest:
    return BadRequest(Reason.LOGOUT_REQUEST_INVALID, detail)
