"""What would happen to a request, said by the code that serves it. Opens no connection."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final
from urllib.parse import quote, urlsplit

from proxy.config.provider import Provider
from proxy.config.settings import Forwarding, Settings
from proxy.errors import AccessDenied, LoginError, ProxyError, Reason
from proxy.model import Identity, Kind, Session
from proxy.oidc.facts import ClaimRefused, check_subject
from proxy.oidc.issuer import TenantRefused, accepts, check_tenant
from proxy.oidc.person import Person
from proxy.oidc.told import Told
from proxy.rules.gate import Forward
from proxy.rules.judged import Asked, Line
from proxy.rules.routes import Endpoint, Route
from proxy.session.cards import session_tag
from proxy.session.store import Kept
from proxy.web.admission import Admissions, Judged
from proxy.web.exchange import Authorizations, Held
from proxy.web.findings import all_routes, person_of
from proxy.web.hooks import load_hook
from proxy.web.judge import Judge
from proxy.web.mint import Mint
from proxy.web.outcome import Outcome, signed_in
from proxy.web.runtime import Runtime, compile_runtime
from proxy.web.sessions import Life, Opened
from proxy.web.streams import Streams
from proxy.web.upstream import Upstreams
from proxy.web.visit import Visit
from proxy.web.world import World
from proxy.wire.http1 import read_block
from proxy.wire.inbound import HeadLimits, HeadReader

NEW_ID: Final = "<new for each request>"
ANY_CLIENT: Final = "<the client's address>"
THE_JWT: Final = "<the JWT>"
EXCHANGED: Final = "<a token from the provider>"

Headers = Sequence[tuple[str, str]]

_CLIENTS: Final = {
    Kind.NAVIGATION: (("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")),
    Kind.PROGRAM: (("Accept", "*/*"),),
}
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Question:
    """A request: ``url`` is absolute, or a path of ``public_url``; ``client`` is an address, or
    empty for an unknown one. ``told`` is what a sign-in at ``provider`` brought; None: nobody.
    """

    method: str
    url: str
    client: str = ""
    told: Told | None = None
    provider: Provider | None = None
    runs_hook: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SignIn:
    """What became of the sign-in: a session if ``outcome`` is allowed, until ``ends`` (Unix
    seconds). ``detail`` is what the log would say of a refusal."""

    provider: Provider
    outcome: Outcome
    person: Person | None = None
    identity: Identity | None = None
    lines: tuple[Line, ...] = ()
    detail: str = ""
    ends: float = 0.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sent:
    """What goes to the upstream. ``claims`` are those of the identity JWT, None without one."""

    upstream: tuple[str, ...]
    line: str
    headers: Headers
    claims: dict[str, Any] | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """What one kind of client gets. ``place`` is None for a request that comes nowhere; ``lines``
    are the rules of the route, where they were asked."""

    kind: Kind
    outcome: Outcome
    place: Endpoint | Route | None = None
    detail: str = ""
    lines: tuple[Line, ...] = ()
    sent: Sent | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Explanation:
    """All of it. ``passed_over`` are routes for the same path, but other methods."""

    question: Question
    answers: tuple[Answer, ...]
    sign_in: SignIn | None
    passed_over: tuple[Route, ...]
    notes: tuple[str, ...]

    @property
    def is_allowed(self) -> bool:
        return all(answer.outcome.is_allowed for answer in self.answers)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Source:
    settings: Provider


async def explain(settings: Settings, question: Question, world: World) -> Explanation:
    """Raises ConfigError for files that rules or the hook need, ValueError for a URL that is none.

    Keys and secrets are not used: what is signed for this is believed by nobody.
    """
    throwaway = {"signing_key_files": (), "algorithm": "ES256"}
    identity = settings.identity.model_copy(update=throwaway)
    unkeyed = settings.model_copy(update={"identity": identity, "forwarding": Forwarding()})
    return await Explainer(compile_runtime(unkeyed, world.random), world).explain(question)


class _Pretended(Authorizations):
    """A token that was exchanged is named, and nobody is asked for it."""

    def at_hand(self, route: Route, opened: Opened, now: float) -> Held | None:
        if route.exchange is not None:
            return Held(f"Bearer {EXCHANGED}".encode(), inf)
        return super().at_hand(route, opened, now)


class Explainer:
    """Asks what the lanes ask, of the same runtime."""

    def __init__(self, runtime: Runtime, world: World) -> None:
        self._runtime = runtime
        self._world = world
        self._now = world.clock()
        self._judge = Judge(runtime)
        self._upstreams = Upstreams(
            runtime,
            Mint(runtime, world.token),
            _Pretended(None, world.clock),
            Streams(tuple),
            lambda session_id: False,
            world.clock,
            lambda address, reason: None,
        )

    async def explain(self, question: Question) -> Explanation:
        """As ``explain`` above."""
        target = _target(question.url, self._runtime.settings.public_url)
        sign_in = await self._sign_in(question)
        session = self._session(sign_in)
        kinds = [Kind.NAVIGATION, Kind.PROGRAM]
        if question.method not in ("GET", "HEAD"):
            del kinds[0]  # to us a page's form is a program, as its scripts are
        answers = []
        for kind in kinds:
            answer = self._answer(question, target, kind, session)
            if sign_in is not None and session is None and answer.outcome.is_nobody:
                # Whom the sign-in refuses is told why instead of being sent to sign in.
                answer = replace(answer, outcome=sign_in.outcome)
            answers.append(answer)
        notes = tuple(self._notes(question, sign_in))
        passed_over = self._passed_over(question, target)
        return Explanation(question, tuple(answers), sign_in, passed_over, notes)

    async def _sign_in(self, question: Question) -> SignIn | None:
        provider, told, runtime = question.provider, question.told, self._runtime
        if told is None or provider is None:
            return None
        hook = load_hook(runtime.settings.hooks) if question.runs_hook else None
        judged: Judged | None = None
        try:
            _check_who_says(told, provider)
            source = _Source(provider)
            judged = await Admissions(runtime, hook).judge(source, told, self._now, "sign_in")
            outcome, ends = Outcome.denied(judged.denial), judged.first_end(runtime, self._now)
        except ProxyError as exc:
            who = judged.person if judged else person_of(told, provider, runtime)
            words = exc.message if isinstance(exc, AccessDenied) else ""
            outcome = Outcome("refused", exc.reason, remedy=words)
            who_is = who.identity if who else None
            return SignIn(provider, outcome, who, who_is, detail="" if words else exc.detail)
        lines = runtime.at_sign_in.explained(judged.identity, Asked(self._now))
        return SignIn(provider, outcome, judged.person, judged.identity, lines, ends=ends)

    def _session(self, sign_in: SignIn | None) -> Session | None:
        if sign_in is None or sign_in.identity is None or not sign_in.outcome.is_allowed:
            return None
        session = signed_in(sign_in.identity, self._now, sign_in.ends - self._now)
        return replace(session, id=self._world.token())

    def _answer(
        self, question: Question, target: _Target, kind: Kind, session: Session | None
    ) -> Answer:
        try:
            visit = self._visit(question, target, kind)
            self._judge.read(visit)
            place = self._judge.place(visit)
        except ProxyError as exc:
            return Answer(kind, Outcome("refused", exc.reason), detail=exc.detail)
        if isinstance(place, Endpoint):
            return Answer(kind, Outcome("ours"), place)
        opened = _opened(session) if session else None
        verdict = self._judge.decide(visit, place, opened)
        asked = Asked(visit.now, visit.goal.method, visit.goal.client)
        lines = place.rules.explained(session.identity, asked) if session else ()
        sent = None
        try:
            if isinstance(verdict, Forward):
                sent = self._sent(visit, place, opened if verdict.session else None)
        except ProxyError as exc:  # the route puts something of theirs there, and they lack it
            outcome = Outcome("refused", exc.reason)
            return Answer(kind, outcome, place, detail=exc.detail, lines=lines)
        return Answer(kind, Outcome.of(verdict), place, lines=lines, sent=sent)

    def _visit(self, question: Question, target: _Target, kind: Kind) -> Visit:
        """The request, read as the front reads it. Raises BadRequest."""
        server = self._runtime.settings.server
        lines = (("Host", target.host), *_CLIENTS[kind])
        head = "\r\n".join(
            [f"{question.method} {target.raw} HTTP/1.1", *map(": ".join, lines), "", ""]
        )
        limits = HeadLimits(server.max_url_size, server.max_header_size, server.max_headers)
        request = HeadReader(limits).read(head.encode())
        return Visit(request, NEW_ID, self._now, question.client or ANY_CLIENT)

    def _sent(self, visit: Visit, route: Route, opened: Opened | None) -> Sent:
        upstreams = self._upstreams
        minted = upstreams.minted(opened, route, visit.now) if opened else None
        head = upstreams.before(upstreams.plan(visit, route)) + visit.id.encode()
        line, _, block = (head + upstreams.after(route, minted)).partition(b"\r\n")
        jwt = minted.jwt if minted else ""
        headers = [(name.decode(), value.decode()) for name, value in read_block(block)]
        if jwt:
            headers = [(name, value.replace(jwt, THE_JWT)) for name, value in headers]
        return Sent(route.upstream, line.decode(), headers, _claims(jwt) if jwt else None)

    def _passed_over(self, question: Question, target: _Target) -> tuple[Route, ...]:
        routes = self._runtime.routes
        try:
            visit = self._visit(question, target, Kind.PROGRAM)
            self._judge.read(visit)
        except ProxyError:
            return ()
        path = visit.goal.path
        taken = routes.match(path, question.method)
        named = {method for route in all_routes(routes) for method in route.methods}
        found = [routes.match(path, method) for method in sorted(named)]
        return tuple(dict.fromkeys(route for route in found if route not in (None, taken)))

    def _notes(self, question: Question, sign_in: SignIn | None) -> list[str]:
        """What this explanation leaves out."""
        settings, notes = self._runtime.settings, []
        if settings.auth.disabled:
            notes.append("auth.disabled: everything is forwarded, without any identity")
        if sign_in is None:
            return notes
        if settings.hooks.post_login and not question.runs_hook:
            name = settings.hooks.post_login
            notes.append(f"the hook {name} was not run (--run-hook): it may change or refuse this")
        if settings.provisioning.url:
            notes.append("the upstream was not told of this person (provisioning): it may name sub")
        return notes


def _check_who_says(told: Told, provider: Provider) -> None:
    """What is asked of a token's issuer, as far as the claims name one, and of its subject."""
    issuer, info = provider.issuer_url or "", told.userinfo
    try:
        subject = check_subject(told.id_token)
        if issuer and "iss" in told.id_token:
            accepts(issuer, told.id_token)
        check_tenant(issuer, told.id_token, provider.entra)
    except TenantRefused as exc:
        raise LoginError(Reason.TENANT_NOT_ALLOWED, str(exc)) from exc
    except ClaimRefused as exc:
        raise LoginError(Reason.ID_TOKEN_INVALID, str(exc)) from exc
    if info is not None and info.claims and info.claims.get("sub") != subject:
        raise LoginError(Reason.USERINFO_SUBJECT_MISMATCH)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Target:
    host: str
    raw: str


def _target(url: str, public_url: str) -> _Target:
    """As a browser would ask for it: what is no ASCII is escaped, and a fragment stays."""
    try:
        parts = urlsplit(url)
        hostname = parts.hostname
    except ValueError as exc:
        raise ValueError(f"{url}: {exc}") from None
    host, raw = urlsplit(public_url).netloc, url
    if parts.scheme in ("http", "https") and hostname:
        host, raw = parts.netloc, parts._replace(scheme="", netloc="").geturl()
        raw = raw if raw.startswith("/") else f"/{raw}"
    elif not url.startswith("/"):
        raise ValueError(f"{url}: neither a URL nor a path that begins with /")
    raw = quote(raw.partition("#")[0], safe=_PRINTABLE)
    return _Target(quote(host, safe=_PRINTABLE), raw)


def _opened(session: Session) -> Opened:
    return Opened(Kept(session, ""), session_tag(session.id), b"", Life(False), 0.0)


def _claims(jwt: str) -> dict[str, Any]:
    """What a JWT of our own says."""
    payload = jwt.split(".")[1]
    found: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return found
