"""The nouns of an exchange: heads, bodies, and the client's side as this room sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names and values, byte-exact and in order."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RequestHead:
    """A request as the upstream should see it; ``target`` is the raw request target.

    Framing is added on the way out: Connection, Transfer-Encoding, Content-Length, Expect, TE,
    Trailer and Upgrade in ``headers`` are left out. ``block`` are lines that come before these,
    as ``http1.header_block`` made them.
    """

    method: bytes
    target: bytes
    headers: Headers
    block: bytes = b""


@dataclass(slots=True)
class ResponseHead:
    """A response as the upstream sent it; nothing is removed or changed.

    ``memo`` belongs to whoever wants to know the same head again.
    """

    status: int
    reason: bytes
    headers: Headers
    memo: object = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Body:
    """A request's body: ``ready`` has arrived already and leaves with the head, then ``chunks``.

    ``length`` is that of the whole body in bytes, ``None`` when it is not known (chunked).
    ``chunks`` is pulled only while the upstream reads, and not at all when ``ready`` is the whole.
    """

    length: int | None
    chunks: AsyncIterator[bytes]
    ready: bytes = b""

    @property
    def is_whole(self) -> bool:
        return self.length == len(self.ready)


BODY_EXPECTED = frozenset({b"POST", b"PUT", b"PATCH"})
"""These say so when their body is empty (RFC 9110 section 8.6)."""


async def _nothing(chunks: tuple[bytes, ...] = ()) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def whole_body(method: bytes, data: bytes) -> Body | None:
    """A body that has arrived already; None for an empty one where nobody expects any."""
    if data or method in BODY_EXPECTED:
        return Body(len(data), _nothing(), data)
    return None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What became of an exchange: ``sent`` counts body bytes written to the client.

    ``reusable`` says whether the client's connection may carry another request.
    """

    status: int
    sent: int
    reusable: bool


class Downstream(Protocol):
    """The client's side of an exchange."""

    @property
    def http11(self) -> bool:
        """Whether the client understands chunks."""

    @property
    def keep_alive(self) -> bool:
        """Whether the client wants its connection kept."""

    @property
    def is_paused(self) -> bool:
        """Whether the client is slow; ``resumed`` is called when there is room again."""

    resumed: Callable[[], None] | None

    def write(self, data: bytes) -> None:
        """Send, or buffer; never waits. Raises ConnectionResetError when the client has gone."""


Render: TypeAlias = Callable[[ResponseHead], list[tuple[bytes, bytes]]]
"""The upstream's head → the headers that the client gets (framing is added afterwards)."""
