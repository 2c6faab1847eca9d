"""The nouns of an exchange: heads, bodies, and the client's side as this room sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names and values, byte-exact and in order."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request as the upstream should see it; ``target`` is the raw request target.

    Framing is added on the way out: Connection, Transfer-Encoding, Content-Length, Expect, TE,
    Trailer and Upgrade in ``headers`` are left out.
    """

    method: bytes
    target: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """A response as the upstream sent it; nothing is removed or changed."""

    status: int
    reason: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
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
        """Whether the client is slow: ``drain`` would wait."""

    def write(self, data: bytes) -> None:
        """Send, or buffer; never waits."""

    async def drain(self) -> None:
        """Return when there is room again."""


Render: TypeAlias = Callable[[ResponseHead], list[tuple[bytes, bytes]]]
"""The upstream's head → the headers that the client gets (framing is added afterwards)."""
