"""One request on its way through: what was read of it, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.model import Kind, SetCookie, Target
from proxy.rules.target import read_kind
from proxy.session.cookies import read_pairs


@dataclass(slots=True)
class Visit:
    """A request, its target, and what is to be said about it in the end.

    ``now`` is Unix seconds at arrival. ``cookies`` collects what every answer must set.
    """

    request: web.BaseRequest
    id: str
    now: float
    peer: str
    target: Target | None = None
    pairs: Sequence[tuple[bytes, bytes]] = ()
    cookies: list[SetCookie] = field(default_factory=list)
    subject: str = ""
    reason: Reason | None = None
    sent: int = 0
    passthrough: bool = False

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
        for name, value in self.request.raw_headers:
            fields.setdefault(name.lower(), []).append(value.decode("latin-1"))
        return read_kind(self.request.method, fields)

    def read_cookies(self) -> None:
        headers = self.request.raw_headers
        self.pairs = read_pairs(value for name, value in headers if name.lower() == b"cookie")

    def header(self, name: str) -> str:
        """A header's value; empty when absent, the first when doubled."""
        return self.request.headers.get(name, "")

    @property
    def language_wish(self) -> str:
        return self.header("Accept-Language")
