"""Who is asking? For nginx, Traefik and Caddy (forward-auth), for apps, and for their pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.config.access import Groups, Rule
from proxy.errors import BadRequest, Reason
from proxy.model import Identity, Kind
from proxy.rules.access import Rules
from proxy.rules.assertion import fitting_groups
from proxy.rules.gate import refresh_due
from proxy.rules.headers import Header, field_value
from proxy.rules.judged import Asked, Denial
from proxy.rules.target import check_method
from proxy.session.cookies import single
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.identify import Identify
from proxy.web.mint import Mint
from proxy.web.refresh import Refresher
from proxy.web.runtime import Runtime
from proxy.web.sessions import Minted, Opened, Sessions
from proxy.web.visit import Visit
from proxy.wire.http1 import header_block

_METHOD_LINES: Final = frozenset({b"x-forwarded-method", b"x-original-method"})
_CONSTRAINTS = ("allowed_groups", "allowed_emails", "allowed_email_domains")


class Auth:
    """``{prefix}/auth``, ``/userinfo`` and ``/identity``: 401 without a session, 403 if denied."""

    def __init__(
        self,
        runtime: Runtime,
        sessions: Sessions,
        identify: Identify,
        refresher: Refresher | None,
        mint: Mint,
        answers: Answers,
        audit: Audit,
    ) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._identify = identify
        self._refresher = refresher
        self._mint = mint
        self._answers = answers
        self._audit = audit

    async def auth(self, visit: Visit) -> web.StreamResponse:
        """202 with ``X-Auth-Request-*`` and the identity JWT, or 401, or 403 (R117).

        ``allowed_groups``, ``allowed_emails`` and ``allowed_email_domains`` in the query
        narrow the answer further, as a reverse proxy's own configuration may ask.
        """
        found = await self.allowed(visit, takes_bearer=True)
        if isinstance(found, Denial):
            return self._refuse(visit, found)
        named = [(name.decode(), value.decode()) for name, value in self._headers(found, visit.now)]
        return self._answers.finish(visit, 202, b"", named)

    def minted(self, opened: Opened, now: float) -> Minted:
        """The identity JWT of this endpoint's audience."""
        return self._mint.identity(opened, self._runtime.settings.identity.audience, now)

    def block(self, opened: Opened, now: float) -> bytes:
        """The lines of a 202 that say who it is; made once for each JWT."""
        minted = self.minted(opened, now)
        if not minted.forward_auth:
            minted.forward_auth = header_block(self._headers(opened, now))
        return minted.forward_auth

    def _headers(self, opened: Opened, now: float) -> list[Header]:
        minted = self.minted(opened, now)
        person = opened.session.identity
        named = [
            (b"X-Auth-Request-User", person.user),
            (b"X-Auth-Request-Email", person.email),
            (b"X-Auth-Request-Preferred-Username", person.preferred_username),
            (
                b"X-Auth-Request-Groups",
                ",".join(g for g in fitting_groups(person, 1000) if "," not in g),
            ),
            (self._runtime.settings.identity.header.encode(), minted.jwt),
        ]
        if self._runtime.settings.headers.access_token:
            named.append((b"X-Auth-Request-Access-Token", opened.session.tokens.access_token))
        found = [(name, field_value(value)) for name, value in named if value]
        return [*found, (b"Cache-Control", b"no-store")]

    async def userinfo(self, visit: Visit) -> web.StreamResponse:
        """The person as JSON: no token in it (Pomerium CVE-2024-39315)."""
        found = await self.allowed(visit, takes_bearer=True)
        if isinstance(found, Denial):
            return self._refuse(visit, found)
        person = found.session.identity
        document: dict[str, object] = {
            "user": person.user,
            "email": person.email,
            "name": person.name,
            "preferredUsername": person.preferred_username,
            "groups": list(person.groups),
            "role": person.role or None,
            "provider": person.provider or None,
            "sub": person.subject,
            "iss": person.issuer,
            "expires_at": int(found.session.expires_at),
        }
        return self._answers.json(visit, 200, document)

    async def identity(self, visit: Visit) -> web.StreamResponse:
        """A current identity JWT, for whoever outlives the request that brought one (R116)."""
        found = await self.allowed(visit, takes_bearer=True)
        if isinstance(found, Denial):
            return self._refuse(visit, found)
        minted = self.minted(found, visit.now)
        document = {"token": minted.jwt, "token_type": "JWT", "expires_at": minted.expires_at}
        return self._answers.json(visit, 200, document)

    async def allowed(self, visit: Visit, *, takes_bearer: bool = False) -> Opened | Denial:
        """The session of whoever may come in by the global rules, or why there is none.

        Pages of ours are for browsers: tokens count only with ``takes_bearer``. Raises
        BadRequest, BearerRefused, StoreError.
        """
        if takes_bearer:
            opened = await self._identify.at_endpoint(visit)
        else:
            opened = await self._sessions.find(visit.pairs, visit.now)
        if opened is not None and self._refresher and refresh_due(opened.session, visit.now):
            opened = await self._refresher.refresh(opened)
        if opened is None:
            return _NOBODY
        visit.subject = opened.session.identity.subject
        denial = self.denied(visit, opened)
        if denial is not None:
            self._audit.denied(visit, denial, opened.session.identity)
            return denial
        if opened.grant is not None:
            return opened
        cookies = await self._sessions.renewed(opened, visit.pairs, visit.now)
        if cookies is None:
            return _NOBODY
        visit.carry(*cookies)
        if single(visit.pairs, self._runtime.names.bounces) is not None:
            # The session cookie came back: this browser is in no loop.
            visit.carry(self._runtime.jar.remove(self._runtime.names.bounces))
        return opened

    def denied(self, visit: Visit, opened: Opened) -> Denial | None:
        """By the global rules, or by what the query asks. Raises BadRequest."""
        person, asked = opened.session.identity, self._asked(visit)
        denial = self._runtime.access.denied(person, asked)
        if denial is None and visit.goal.query:
            for rules in constraints(parse_qsl(visit.goal.query, keep_blank_values=True)):
                denial = denial or rules.denied(person, asked)
        return denial

    def _asked(self, visit: Visit) -> Asked:
        """A forward-auth question is not the request that it is about: only a trusted hop can
        tell that one's method."""
        if visit.goal.path != self._runtime.paths.auth:
            return asked_by(visit)
        trusts = self._runtime.trust.trusts(visit.peer)
        return Asked(visit.now, _stated_method(visit) if trusts else "", visit.goal.client)

    def _refuse(self, visit: Visit, denial: Denial) -> web.StreamResponse:
        if denial.reason is Reason.NO_SESSION:
            return self._answers.refuse(visit, 401, denial.reason)
        return refusal(visit, denial, "", self._answers)


_NOBODY: Final = Denial(Reason.NO_SESSION)


def _stated_method(visit: Visit) -> str:
    """What a hop says of the client's method. Empty where two things are said, of which the client
    may have said one (nginx hands on what it does not set), or what is no method.
    """
    said = {value for name, value in visit.request.headers if name.lower() in _METHOD_LINES}
    method = said.pop().decode("latin-1") if len(said) == 1 else ""
    try:
        check_method(method)
    except BadRequest:
        return ""
    return method


def asked_by(visit: Visit) -> Asked:
    """The circumstances of this request, for the rules."""
    return Asked(visit.now, visit.goal.method, visit.goal.client)


def deny(
    visit: Visit,
    denial: Denial,
    person: Identity,
    answers: Answers,
    audit: Audit,
    *,
    on_api: bool = False,
) -> web.StreamResponse:
    """Refuse somebody who is known, and write it down."""
    audit.denied(visit, denial, person)
    return refusal(visit, denial, person.email, answers, on_api=on_api)


def refusal(
    visit: Visit, denial: Denial, email: str, answers: Answers, *, on_api: bool = False
) -> web.StreamResponse:
    """403 in the rule's words; programs that a stronger sign-in would help get 401 (RFC 9470)."""
    is_weak = denial.step_up is not None and (on_api or visit.kind is not Kind.NAVIGATION)
    return answers.refuse(
        visit,
        401 if is_weak else 403,
        denial.reason,
        email=email,
        remedy=denial.remedy,
        step_up=denial.step_up,
    )


def constraints(query: Sequence[tuple[str, str]]) -> list[Rules]:
    """The conditions in a forward-auth query: values of a kind are alternatives, kinds add up.

    A parameter that is there but names nothing allows nobody.
    """
    given: dict[str, list[str]] = {}
    for name, value in query:
        if name.lower().startswith("allow") and name not in _CONSTRAINTS:
            # A constraint that is misspelt must not let everybody in.
            raise BadRequest(Reason.BAD_TARGET, f"unknown constraint {name[:40]!r}")
        if name in _CONSTRAINTS:
            items = [item.strip() for item in value.split(",") if item.strip()]
            given.setdefault(name, []).extend(items)
    return [Rules.of(_rule(name, tuple(values)), name) for name, values in given.items()]


def _rule(name: str, values: tuple[str, ...]) -> Rule:
    values = values or ("\0",)
    match name:
        case "allowed_groups":
            return Rule(groups=Groups(any=values))
        case "allowed_emails":
            return Rule(emails=values)
        case _:
            return Rule(email_domains=values)
