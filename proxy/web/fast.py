"""The fast lane: simple, hot requests, served in the callbacks of their two sockets.

It decides by the same functions as the slow lane, and takes a request only when everything that
it needs is at hand: a whole request, an opened session, an idle upstream connection. It declines
whatever would have to wait, to refuse or to redirect: the slow lane then does it all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from aiohttp.helpers import rfc822_formatted_time

from proxy.config.access import Access
from proxy.errors import ProxyError, Reason
from proxy.model import Target
from proxy.rules.gate import Forward, refresh_due
from proxy.rules.routes import Endpoint, Route
from proxy.rules.target import Hop, target_through
from proxy.session.cookies import single
from proxy.web.auth import Auth
from proxy.web.bearers import Presented, is_bound_elsewhere
from proxy.web.connection import ClientConnection
from proxy.web.judge import Judge
from proxy.web.ledger import Ledger
from proxy.web.programs import Programs
from proxy.web.runtime import Runtime
from proxy.web.sessions import Minted, Opened, Sessions
from proxy.web.upstream import Plan, Upstreams
from proxy.web.visit import Visit
from proxy.wire.connection import Connection
from proxy.wire.exchange import BrokenResponse, Exchange, Stage, connection_line
from proxy.wire.forward import SAFE
from proxy.wire.http1 import read_block
from proxy.wire.inbound import Request
from proxy.wire.message import BODY_EXPECTED, ResponseHead

_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nServer: auth-proxy\r\nX-Request-Id: "


@dataclass(slots=True, eq=False, repr=False)
class Lines:
    """What header lines say that came before from the same address, whatever the path.

    ``blocks`` are what becomes of them on each route, ``admitted`` the session that was last let in
    with them there. ``is_nameless``: nobody could be known by them."""

    peer: str
    hop: Hop
    ours: Sequence[tuple[bytes, bytes]]
    key: bytes | None
    is_nameless: bool
    presented: Presented | None = None
    blocks: dict[int, bytes] = field(default_factory=dict)
    admitted: dict[int, Opened] = field(default_factory=dict)

    def key_for(self, takes_bearer: bool) -> bytes | None:
        """By what the session is known: a token that counts there counts alone."""
        if self.presented is not None and takes_bearer:
            return self.presented.key
        return self.key

    @property
    def is_hidden(self) -> bool:
        """Do they hold a token of ours, which no upstream may see?"""
        return self.presented is not None and self.presented.is_ours


@dataclass(slots=True, eq=False, repr=False)
class Hot:
    """What is known of a request that came before, byte for byte, from the same address.

    ``opened`` is the session that it was last let in with, when ``endings`` sessions had ended;
    ``before`` and ``after`` are the upstream's head around the request id. For another session, or
    a newer JWT, they are made again. Where the rules are not ``steady`` they are asked each time.
    """

    peer: str
    target: Target
    route: Route | None
    is_auth: bool
    steady: bool
    lines: Lines
    where: str
    told: str = ""
    plan: Plan | None = None
    opened: Opened | None = None
    minted: Minted | None = None
    endings: int = -1
    before: bytes = b""
    after: bytes = b""


class FastLane:
    """Serves what it can at once."""

    def __init__(
        self,
        runtime: Runtime,
        judge: Judge,
        sessions: Sessions,
        programs: Programs,
        upstreams: Upstreams,
        auth: Auth,
        ledger: Ledger,
    ) -> None:
        self._judge = judge
        self._limits = programs.limits
        self._bearers = programs.bearers
        self._sessions = sessions
        self.upstreams = upstreams
        self._auth = auth
        self.ledger = ledger
        self._names = runtime.names
        self._access = runtime.access
        self._largest = runtime.settings.server.max_body_size

    def take(self, connection: ClientConnection, request: Request, data: bytes, end: int) -> bool:
        """Serve the request whose head ends at ``end`` of ``data``; False to decline it."""
        if request.upgrade or request.expects:
            return False
        if self._largest and len(data) - end > self._largest:
            return False
        visit = self.ledger.visit(connection, request)
        hot = request.memo
        try:
            if not isinstance(hot, Hot) or hot.peer != visit.peer:
                request.memo = hot = self._learn(visit)
            visit.target, visit.pairs = hot.target, hot.lines.ours
            visit.hides_authorization = hot.lines.is_hidden
            if hot.route is not None:
                return self._forward(connection, visit, hot, hot.route, data, end)
            return hot.is_auth and self._answer_auth(connection, visit, hot)
        except ProxyError:
            return False

    def _learn(self, visit: Visit) -> Hot:
        """Read and match; raises BadRequest for what the slow lane is to refuse."""
        request = visit.request
        lines = request.block.memo if request.block is not None else None
        if not isinstance(lines, Lines) or lines.peer != visit.peer:
            lines = self._learn_lines(visit)
            if request.block is not None:
                request.block.memo = lines
        visit.target = target = target_through(lines.hop, request.method, request.target)
        visit.pairs, visit.hides_authorization = lines.ours, lines.is_hidden
        place = self._judge.place(visit)
        # A handshake is no exchange: a tunnel follows.
        route = place if isinstance(place, Route) and not visit.is_handshake else None
        if route is not None and self._limits.limited(route):
            route = None  # to be counted, which may have to wait
        return Hot(
            peer=visit.peer,
            target=target,
            route=route,
            is_auth=place is Endpoint.AUTH,
            steady=(route.rules if route else self._access).steady,
            lines=lines,
            where=self.ledger.asked(target),
        )

    def _learn_lines(self, visit: Visit) -> Lines:
        visit.read_cookies()
        is_bouncing = single(visit.pairs, self._names.bounces) is not None
        # Anybody's lines are kept, so no more than is needed again.
        ours = tuple(pair for pair in visit.pairs if self._names.ours(pair[0]))
        presented = self._bearers.presented(visit)
        is_nameless = not ours and presented is None and self._bearers.opaque(visit) is None
        return Lines(
            peer=visit.peer,
            hop=self._judge.hop(visit),
            ours=ours,
            # The memory of a sign-in is to be cleared away: by the slow lane.
            key=None if is_bouncing else self._sessions.key(visit.pairs),
            is_nameless=is_nameless,
            presented=presented,
        )

    def _forward(
        self,
        connection: ClientConnection,
        visit: Visit,
        hot: Hot,
        route: Route,
        data: bytes,
        end: int,
    ) -> bool:
        sessions, opened, now = self._sessions, hot.opened, visit.now
        if opened is None or now >= opened.good_until or hot.endings != sessions.endings:
            is_public = route.access is Access.PUBLIC
            lines = hot.lines
            opened = None if is_public else sessions.at_hand(lines.key_for(route.bearer), now)
            may_be_nobody = is_public or (route.access is Access.OPTIONAL and lines.is_nameless)
            if opened is None and not may_be_nobody:
                return False
            is_new = hot.plan is None or opened is not hot.opened
            if is_new and not self._admit(visit, hot, route, opened):
                return False
            hot.endings = sessions.endings
        if not hot.steady and not self._allowed_now(visit, route, opened):
            return False
        minted, plan = hot.minted, cast(Plan, hot.plan)
        if opened is not None:
            visit.subject = opened.session.identity.subject
            if minted is None or now >= minted.renew_at:
                hot.minted = minted = self.upstreams.minted(opened, route, now)
                hot.after = self.upstreams.after(route, minted)
        idle = plan.pool.take_idle()
        if idle is None:
            return False
        visit.told = hot.told
        connection.exchange = run = Run(self, connection, visit, hot, plan, idle, data)
        self.ledger.running.add(connection)
        run.start(data[end:])
        return True

    def _allowed_now(self, visit: Visit, route: Route, opened: Opened | None) -> bool:
        """Ask THE table. A key that passes through is the slow lane's."""
        verdict = self._judge.decide(visit, route, opened)
        return isinstance(verdict, Forward) and not visit.passthrough

    def _admit(self, visit: Visit, hot: Hot, route: Route, opened: Opened | None) -> bool:
        """What THE table says of a session holds for as long as that is at hand; rules that are
        not steady are asked again by whoever asks this.
        """
        lines, number = hot.lines, id(route)  # routes live as long as we do
        if opened is not None and is_bound_elsewhere(opened.grant, visit.goal.path):
            return False
        known = opened is not None and lines.admitted.get(number) is opened
        if opened is None or not known or visit.now >= opened.good_until:
            if not self._allowed_now(visit, route, opened):
                return False
            if opened is not None:
                lines.admitted[number] = opened
        block = lines.blocks.get(number)
        hot.plan = plan = hot.plan or self.upstreams.plan(visit, route, block or b"")
        lines.blocks[number] = plan.block
        hot.opened, hot.minted = opened, None
        hot.before, hot.after = self.upstreams.before(plan), b"\r\n"
        hot.told = hot.where
        if opened is not None:
            opened.told = opened.told or self.ledger.who(opened.session.identity.subject)
            hot.told += opened.told
        return True

    def _answer_auth(self, connection: ClientConnection, visit: Visit, hot: Hot) -> bool:
        """The forward-auth endpoint's 202, as aiohttp writes it; any refusal is the slow lane's."""
        request, sessions, opened, now = visit.request, self._sessions, hot.opened, visit.now
        if request.method != "GET" or request.length or not connection.keep_alive:
            return False
        if opened is None or now >= opened.good_until or hot.endings != sessions.endings:
            opened = sessions.at_hand(hot.lines.key_for(True), now)
            if opened is None or not self._admit_auth(visit, hot, opened):
                return False
            hot.endings = sessions.endings
        elif not hot.steady and self._auth.denied(visit, opened) is not None:
            return False
        minted = hot.minted
        if minted is None or now >= minted.renew_at:
            hot.minted = minted = self._auth.minted(opened, now)
            hot.after = self._auth.block(opened, now)
        visit.subject, visit.told = opened.session.identity.subject, hot.told
        self.ledger.running.add(connection)
        connection.transport.write(
            b"%b%b\r\n%bContent-Length: 0\r\nDate: %b\r\n\r\n"
            % (_ACCEPTED, visit.id.encode(), hot.after, rfc822_formatted_time().encode())
        )
        self.ledger.end(connection, visit, 202)
        connection.answered()
        return True

    def _admit_auth(self, visit: Visit, hot: Hot, opened: Opened) -> bool:
        """Ask the rules, as the endpoint does; a session that needs a refresh is not at hand."""
        if not visit.request.http11 or refresh_due(opened.session, visit.now):
            return False
        if opened.grant is not None and (opened.grant.kind == "service" or opened.grant.routes):
            return False
        if self._auth.denied(visit, opened) is not None:
            return False
        hot.opened, hot.minted = opened, None
        hot.told = hot.where + self.ledger.who(opened.session.identity.subject)
        return True


class Run(Exchange):
    """An exchange of the fast lane; ``data`` are the request's own bytes."""

    _has_body = False

    def __init__(
        self,
        lane: FastLane,
        downstream: ClientConnection,
        visit: Visit,
        hot: Hot,
        plan: Plan,
        idle: Connection,
        data: bytes,
    ) -> None:
        # As super().__init__ does: one is made for each request.
        self._pool = plan.pool
        self.connection = idle
        self._method = plan.method
        self._client = self._downstream = downstream
        self._lane = lane
        self._visit = visit
        self._hot = hot
        self._opened = hot.opened
        self._data = data

    def start(self, body: bytes) -> None:
        """Send the request."""
        hot, rest = self._hot, b"\r\n"
        if body or self._method in BODY_EXPECTED:
            self._has_body = True
            rest = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        self.begin(b"".join((hot.before, self._visit.id.encode(), hot.after, rest)), None)

    @property
    def opened(self) -> Opened | None:
        return self._opened

    def lost(self) -> None:
        """The client has gone."""
        self.cancel()
        self._lane.ledger.end(self._downstream, self._visit, 499)

    def _progress(self) -> None:
        """The usual case in one step: a whole answer of a known length, and a client that waits."""
        if self.stage is not Stage.WAITING or not self.connection.reader.is_whole:
            super()._progress()
            return
        try:
            self._write_whole(self.connection)
        except BaseException as error:
            self._fail(error)

    def _write_whole(self, connection: Connection) -> None:
        downstream, visit, lane, reader = (
            self._downstream, self._visit, self._lane, connection.reader
        )  # fmt: skip
        head = cast(ResponseHead, reader.head)
        returned = lane.upstreams.returned(head, self._hot.route)
        keep, visit.sent = downstream.keep_alive, reader.buffered
        end = returned.end if keep and downstream.http11 else b""
        if not end:
            line = connection_line(keep, downstream.http11)
            end = b"\r\nContent-Length: %d\r\n%b\r\n" % (visit.sent, line)
            if not line:
                returned.end = end
        downstream.write(b"".join((returned.lines, visit.id.encode(), end, reader.take())))
        self.stage = Stage.DONE
        connection.on_progress = downstream.exchange = None
        self._pool.release(connection)
        downstream.is_last = not keep
        lane.ledger.end(downstream, visit, head.status)
        downstream.answered()

    def render(self, head: ResponseHead) -> list[tuple[bytes, bytes]]:
        lines = self._lane.upstreams.returned(head, self._hot.route).lines
        return read_block(lines.partition(b"\r\n")[2] + self._visit.id.encode() + b"\r\n")

    def over(self) -> None:
        downstream, visit, outcome = self._downstream, self._visit, self.outcome
        downstream.exchange = None
        if outcome is None:
            self._failed(self.failure)
            return
        visit.sent = outcome.sent
        downstream.is_last = not outcome.reusable
        self._lane.ledger.end(downstream, visit, outcome.status)
        downstream.answered()

    def _failed(self, error: BaseException | None) -> None:
        downstream, visit = self._downstream, self._visit
        if isinstance(error, BrokenResponse):
            self._lane.ledger.cut(visit, error)
        elif isinstance(error, ConnectionError):
            pass  # the client's: it has gone
        elif not downstream.started:
            self._hand_on(error)
            return
        self._lane.ledger.end(downstream, visit, 499)
        downstream.abort()

    def _hand_on(self, error: BaseException | None) -> None:
        """Nothing has been written: the slow lane answers, or asks once more."""
        self._lane.ledger.leave(self._downstream)
        may_repeat = self._method in SAFE and not self._has_body
        repeat = self.connection.is_stale and may_repeat
        if not isinstance(error, ProxyError):
            if isinstance(error, Exception):
                self._lane.ledger.fault(self._visit, error)
            error = ProxyError(Reason.INTERNAL)
        if self._hot.route is not None:
            self._visit.errors = self._hot.route.errors
        self._downstream.handed = (self._visit, None if repeat else error)
        self._downstream.go_slow(self._data)
