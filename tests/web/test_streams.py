"""What a session holds open ends with it, and nothing else does."""

from __future__ import annotations

import asyncio
from typing import cast

from proxy.model import Session
from proxy.web.connection import ClientConnection
from proxy.web.sessions import Opened
from proxy.web.streams import GOING_AWAY, POLICY, Streams
from proxy.wire.tunnel import Tunnel
from tests.session.samples import NOW, session


class Open:
    """As much of a tunnel as can be ended; leaves its home when it is."""

    def __init__(self, streams: Streams, whose: Session | None) -> None:
        self._streams = streams
        self.ended: list[int] = []
        streams.add(whose, self.tunnel)

    @property
    def tunnel(self) -> Tunnel:
        return cast(Tunnel, self)

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)
        self._streams.remove(self.tunnel)


class Answering:
    """As much of a client's connection as can be cut."""

    def __init__(self, whose: Session | None) -> None:
        self.serving = cast(Opened, self) if whose else None
        self.session = whose
        self.cut = asyncio.Event()

    def abort(self) -> None:
        self.cut.set()


def of(*answering: Answering) -> Streams:
    return Streams(lambda: cast("tuple[ClientConnection, ...]", answering))


ALICE, BOB = session(id="a"), session(id="b")


def test_a_session_ends_its_own() -> None:
    streams = of()
    mine, mine_too, other = Open(streams, ALICE), Open(streams, ALICE), Open(streams, BOB)
    assert len(streams) == 3
    streams.end_session("a")
    assert (mine.ended, mine_too.ended, other.ended) == ([POLICY], [POLICY], [])
    assert len(streams) == 1
    streams.end_session("a")
    streams.end_session("nobody")
    assert mine.ended == [POLICY]


def test_a_stop_ends_all_also_those_of_nobody() -> None:
    streams = of()
    opened = [Open(streams, whose) for whose in (ALICE, BOB, None)]
    streams.end_all()
    assert [tunnel.ended for tunnel in opened] == [[GOING_AWAY]] * 3
    assert len(streams) == 0


def test_one_that_has_left_is_not_ended_and_may_leave_again() -> None:
    streams = of()
    tunnel = Open(streams, ALICE)
    streams.remove(tunnel.tunnel)
    streams.remove(tunnel.tunnel)
    streams.end_session("a")
    streams.end_all()
    assert tunnel.ended == []


def test_whose_sessions_something_runs_for() -> None:
    streams = of(Answering(ALICE), Answering(ALICE), Answering(None))
    Open(streams, BOB)
    Open(streams, None)
    assert [session.id for session in streams.sessions()] == ["a", "b"]


async def test_answers_of_a_session_that_is_over_are_cut_and_no_others() -> None:
    over = session(id="over", expires_at=NOW)
    ended, expired, lives, nobody = map(Answering, (ALICE, over, BOB, None))
    streams = of(ended, expired, lives, nobody)
    watching = asyncio.create_task(streams.watch(lambda name: name == "a", lambda: NOW))
    async with asyncio.timeout(2):
        await ended.cut.wait()
        await expired.cut.wait()
    watching.cancel()
    assert not lives.cut.is_set()
    assert not nobody.cut.is_set()
