"""One request on its way through: what was read of it, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.model import Kind, SetCookie, Target
from proxy.rules.target import read_kind
from proxy.session.cookies import read_pairs
from proxy.wire.inbound import Request


class Visit:
    """A request, its target, and what is to be said about it in the end.

    ``now`` is Unix seconds at arrival, ``since`` the same by a clock that never jumps.
    ``cookies`` collects what every answer must set. ``stream`` is aiohttp's view of the same
    request, in the slow lane only. ``told`` is what the log says of it, made before.
    """

    # What most visits leave as it is: one is made for each request, so as little as may be.
    target: Target | None = None
    pairs: Sequence[tuple[bytes, bytes]] = ()
    cookies: Sequence[SetCookie] = ()
    subject: str = ""
    reason: Reason | None = None
    sent: int = 0
    passthrough: bool = False
    hides_authorization: bool = False
    """Authorization holds a token of ours, which is no upstream's business."""
    bearer_error: str = ""
    """What is wrong with its token, in the words of RFC 6750 section 3.1."""
    missing_scope: str = ""
    retry_after: int = 0
    errors: str = "auto"
    """How a program is told of errors: as the route's option says."""
    stream: web.BaseRequest | None = None
    told: str = ""

    def __init__(
        self, request: Request, id: str, now: float, peer: str, since: float = 0.0
    ) -> None:
        self.request = request
        self.id = id
        self.now = now
        self.peer = peer
        self.since = since

    def carry(self, *cookies: SetCookie) -> None:
        """Whatever is answered, it sets these, too."""
        self.cookies = (*self.cookies, *cookies)

    @property
    def goal(self) -> Target:
        """The target; only a request that could not be read has none."""
        if self.target is None:
            raise BadRequest(Reason.BAD_TARGET)
        return self.target

    @property
    def kind(self) -> Kind:
        """As in the target; people whose request has none get a page as well."""
        if self.target is not None:
            return self.target.kind
        fields: dict[bytes, list[str]] = {}
        for name, value in self.request.headers:
            fields.setdefault(name.lower(), []).append(value.decode("latin-1"))
        return read_kind(self.request.method, fields)

    def as_program(self) -> None:
        """It came with a token: whatever it looks like, no page and no redirect is for it."""
        if self.kind is Kind.NAVIGATION:
            self.target = replace(self.goal, kind=Kind.PROGRAM)

    @property
    def is_handshake(self) -> bool:
        return self.kind is Kind.WEBSOCKET

    def read_cookies(self) -> None:
        headers = self.request.headers
        self.pairs = read_pairs(value for name, value in headers if name.lower() == b"cookie")

    def header(self, name: str) -> str:
        """A header's value; empty when absent, the first when doubled."""
        wanted = name.lower().encode()
        for found, value in self.request.headers:
            if found.lower() == wanted:
                return value.decode("latin-1")
        return ""

    @property
    def language_wish(self) -> str:
        return self.header("Accept-Language")
