"""What a session holds open ends with it, and nothing else does."""

from __future__ import annotations

from typing import cast

from proxy.web.streams import GOING_AWAY, POLICY, Streams
from proxy.wire.tunnel import Tunnel


class Open:
    """As much of a tunnel as can be ended; leaves its home when it is."""

    def __init__(self, streams: Streams, session_id: str) -> None:
        self._streams = streams
        self._session_id = session_id
        self.ended: list[int] = []
        streams.add(session_id, self.tunnel)

    @property
    def tunnel(self) -> Tunnel:
        return cast(Tunnel, self)

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)
        self._streams.remove(self._session_id, self.tunnel)


def test_a_session_ends_its_own() -> None:
    streams = Streams()
    mine, mine_too, other = Open(streams, "a"), Open(streams, "a"), Open(streams, "b")
    assert len(streams) == 3
    streams.end_session("a")
    assert (mine.ended, mine_too.ended, other.ended) == ([POLICY], [POLICY], [])
    assert len(streams) == 1
    streams.end_session("a")
    streams.end_session("nobody")
    assert mine.ended == [POLICY]


def test_a_stop_ends_all_also_those_of_nobody() -> None:
    streams = Streams()
    opened = [Open(streams, name) for name in ("a", "b", "")]
    streams.end_all()
    assert [tunnel.ended for tunnel in opened] == [[GOING_AWAY]] * 3
    assert len(streams) == 0


def test_one_that_has_left_is_not_ended_and_may_leave_again() -> None:
    streams = Streams()
    tunnel = Open(streams, "a")
    streams.remove("a", tunnel.tunnel)
    streams.remove("a", tunnel.tunnel)
    streams.end_session("a")
    streams.end_all()
    assert tunnel.ended == []
