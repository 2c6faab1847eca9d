"""Response heads that were read before: the same bytes mean the same again."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.wire.message import ResponseHead

_MOST = 256


@dataclass(frozen=True, slots=True)
class Known:
    """A head, and how many bytes of body follow it."""

    head: ResponseHead
    length: int


class Recall:
    """The newest heads of one upstream, by their bytes."""

    __slots__ = ("heads",)

    def __init__(self) -> None:
        self.heads: dict[bytes, Known] = {}

    def put(self, block: bytes, known: Known) -> None:
        """Remember ``known``; the oldest one is forgotten for it."""
        heads = self.heads
        if len(heads) >= _MOST:
            del heads[next(iter(heads))]
        heads[block] = known
