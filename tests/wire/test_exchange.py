"""An exchange, event by event: what is written, what is given back, and how often it says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.errors import ProxyError, Reason, UpstreamError
from proxy.wire.connection import BUFFER_LIMIT, READ_SIZE
from proxy.wire.exchange import BrokenResponse, Stage
from proxy.wire.message import ResponseHead
from tests.wire.acting import ASK, CHUNKED, ENDLESS, LONG, START, Act, Leaving
from tests.wire.stage import OK


async def test_a_response_in_one_piece_is_one_write() -> None:
    act = Act()
    exchange = act.start()
    assert exchange.stage is Stage.WAITING
    assert bytes(act.socket.sent) == ASK
    assert act.upstream.deadline == 107
    act.says(OK)
    assert act.client.writes == [OK]
    assert exchange.outcome is not None
    assert (exchange.outcome.status, exchange.outcome.sent, exchange.outcome.reusable) == (
        200, 2, True,
    )  # fmt: skip
    act.over(kept=True)


@pytest.mark.parametrize(
    ("pieces", "writes"),
    [
        pytest.param([LONG[:9], LONG[9:], b"01234", b"56789"], [LONG, b"01234", b"56789"],
                     id="length"),
        pytest.param(
            [CHUNKED, b"3\r\nabc", b"\r\n", b"0\r\n\r\n"],
            [CHUNKED, b"3\r\nabc\r\n", b"0\r\n\r\n"], id="chunks",
        ),
        pytest.param([CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"], [CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"],
                     id="chunks at once"),
        pytest.param([CHUNKED + b"0\r\nT: x\r\n", b"\r\n"], [CHUNKED, b"0\r\n\r\n"],
                     id="a trailer"),
        pytest.param([b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n", OK], [OK], id="103"),
    ],
)  # fmt: skip
async def test_what_comes_leaves_at_once(pieces: list[bytes], writes: list[bytes]) -> None:
    act = Act()
    act.start()
    for piece in pieces:
        assert act.done == 0
        act.says(piece)
    assert act.client.writes == writes
    act.over(kept=True)


async def test_a_body_that_ends_with_its_connection() -> None:
    act = Act()
    exchange = act.start()
    act.says(ENDLESS + b"abc")
    act.ends()
    assert act.client.body == b"3\r\nabc\r\n0\r\n\r\n"
    assert exchange.outcome
    assert exchange.outcome.reusable
    act.over(kept=False)


@pytest.mark.parametrize(
    ("before", "event", "reason", "written"),
    [
        pytest.param(b"", "ends", Reason.UPSTREAM_UNREACHABLE, False, id="closed at once"),
        pytest.param(b"", "breaks", Reason.UPSTREAM_UNREACHABLE, False, id="reset at once"),
        pytest.param(b"", "expires", Reason.UPSTREAM_TIMEOUT, False, id="silent"),
        pytest.param(LONG[:9], "ends", Reason.UPSTREAM_UNREACHABLE, False, id="half a head"),
        pytest.param(LONG[:9], "expires", Reason.UPSTREAM_TIMEOUT, False, id="silent in a head"),
        pytest.param(b"SSH-2.0", "", Reason.UPSTREAM_INVALID, False, id="no HTTP"),
        pytest.param(b"HTTP/1.1 101 S\r\n\r\n", "", Reason.UPSTREAM_INVALID, False, id="a 101"),
        pytest.param(LONG, "ends", Reason.UPSTREAM_UNREACHABLE, True, id="no body"),
        pytest.param(LONG + b"01", "breaks", Reason.UPSTREAM_UNREACHABLE, True, id="half a body"),
        pytest.param(LONG + b"01", "expires", Reason.UPSTREAM_TIMEOUT, True, id="silent in it"),
        pytest.param(CHUNKED + b"2\r\nab\r\n", "ends", Reason.UPSTREAM_UNREACHABLE, True,
                     id="no last chunk"),
        pytest.param(CHUNKED + b"zz\r\n", "", Reason.UPSTREAM_INVALID, True, id="bad chunk"),
    ],
)  # fmt: skip
async def test_an_upstream_that_fails(
    before: bytes, event: str, reason: Reason, written: bool
) -> None:
    act = Act()
    exchange = act.start()
    for part in (before[:-4], before[-4:]):
        act.says(part)
    if event:
        getattr(act, event)()
    failure = exchange.failure
    if written:
        assert isinstance(failure, BrokenResponse)
        assert failure.status == 200
        assert failure.sent == len(act.client.body.strip(b"2\r\n"))
        failure = failure.error
        assert not act.client.body.endswith(b"0\r\n\r\n")
    else:
        assert act.client.writes == []
    assert isinstance(failure, UpstreamError)
    assert failure.reason is reason
    act.over(kept=False)


async def test_a_connection_that_is_closed_already() -> None:
    act = Act()
    act.ends()
    exchange = act.start()
    assert isinstance(exchange.failure, UpstreamError)
    assert act.socket.sent == b""
    act.over(kept=False)


async def test_only_a_used_connection_that_says_nothing_is_stale() -> None:
    act = Act()
    act.start()
    act.says(OK)
    exchange = act.start()
    act.ends()
    assert exchange.connection.is_stale
    assert act.done == 2
    fresh = Act()
    fresh.start()
    fresh.ends()
    assert not fresh.exchange.connection.is_stale


def _refusing(error: Exception) -> Callable[[ResponseHead], list[tuple[bytes, bytes]]]:
    def render(head: ResponseHead) -> list[tuple[bytes, bytes]]:
        raise error

    return render


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ProxyError(Reason.INTERNAL), id="ours"),
        pytest.param(RuntimeError("a fault"), id="a fault"),
    ],
)
async def test_render_may_refuse_before_anything_is_written(error: Exception) -> None:
    act = Act(render=_refusing(error))
    exchange = act.start()
    act.says(LONG)
    assert exchange.failure is error
    assert act.client.writes == []
    act.over(kept=False)


async def test_headers_that_would_split_are_refused() -> None:
    act = Act(render=lambda head: [(b"A", b"b\r\nC: d")])
    exchange = act.start()
    act.says(OK)
    assert isinstance(exchange.failure, ProxyError)
    assert act.client.writes == []
    act.over(kept=True)  # the upstream's answer was whole


@pytest.mark.parametrize("writes", [0, 1])
async def test_a_client_that_goes_while_it_is_written_to(writes: int) -> None:
    act = Act(Leaving(writes))
    exchange = act.start()
    act.says(LONG)
    act.says(b"01")
    assert isinstance(exchange.failure, ConnectionResetError)
    act.over(kept=False)


async def test_a_fault_of_whoever_is_told_is_not_hidden() -> None:
    act = Act()

    def broken() -> None:
        raise RuntimeError("a fault")

    act.then = broken
    act.start()
    with pytest.raises(RuntimeError, match="a fault"):
        act.says(OK)
    act.over(kept=True)


# Back-pressure


async def test_a_client_that_does_not_read_stops_the_upstream() -> None:
    act = Act()
    exchange = act.start()
    act.client.pause()
    act.says(LONG)
    stages = [exchange.stage]
    assert not act.socket.reading
    assert act.upstream.deadline == 103
    act.client.resume()
    stages.append(exchange.stage)
    assert stages == [Stage.STALLED, Stage.BODY]
    assert act.socket.reading
    act.now = 102
    act.says(b"01234")
    assert act.upstream.deadline == 105
    act.client.pause()
    act.says(b"5678")
    assert exchange.stage is Stage.STALLED
    act.client.resume()
    act.says(b"9")
    assert act.client.body == b"0123456789"
    assert exchange.outcome
    act.over(kept=True)


async def test_a_client_that_reads_nothing_for_too_long_is_cut() -> None:
    act = Act()
    exchange = act.start()
    act.client.pause()
    act.says(LONG)
    act.expires()
    assert isinstance(exchange.failure, ConnectionResetError)
    act.over(kept=False)


@pytest.mark.parametrize(
    ("event", "whole"),
    [pytest.param("ends", True, id="end"), pytest.param("breaks", False, id="reset")],
)
async def test_a_stalled_body_ends_with_its_connection(event: str, whole: bool) -> None:
    act = Act()
    exchange = act.start()
    act.client.pause()
    act.says(ENDLESS)
    assert exchange.stage is Stage.STALLED
    getattr(act, event)()
    assert (exchange.outcome is not None) is whole
    assert act.client.received.endswith(b"0\r\n\r\n") is whole
    act.over(kept=False)


async def test_room_that_comes_too_late_changes_nothing() -> None:
    act = Act()
    act.start()
    act.client.pause()
    act.says(LONG)
    resumed = act.client.resumed
    assert resumed is not None
    act.breaks()
    resumed()
    act.over(kept=False)


async def test_a_body_that_comes_in_large_reads_is_bounded() -> None:
    act = Act()
    act.start()
    act.client.pause()
    act.says(START + b"Content-Length: %d\r\n\r\n" % 10**6 + b"a" * (READ_SIZE - 50))
    assert act.upstream.reader.buffered == 0
    assert not act.socket.reading
    assert len(act.client.received) <= READ_SIZE <= BUFFER_LIMIT
    act.exchange.cancel()


# Nobody wants it any more


@pytest.mark.parametrize(
    ("said", "paused", "stage"),
    [
        pytest.param(b"", False, Stage.WAITING, id="waiting"),
        pytest.param(LONG[:20], False, Stage.WAITING, id="in a head"),
        pytest.param(LONG + b"01", False, Stage.BODY, id="in a body"),
        pytest.param(LONG + b"01", True, Stage.STALLED, id="stalled"),
    ],
)
async def test_cancelling_closes_the_upstream_at_once(
    said: bytes, paused: bool, stage: Stage
) -> None:
    act = Act()
    exchange = act.start()
    if paused:
        act.client.pause()
    act.says(said) if said else None
    assert exchange.stage is stage
    before = act.client.received
    exchange.cancel()
    assert act.socket.aborted
    for late in (exchange.cancel, act.breaks, act.client.resume, lambda: act.says(b"23")):
        late()
    assert (act.done, act.shelf.returned, act.shelf.kept, act.shelf.lost) == (0, 1, 0, 1)
    assert (exchange.stage, act.client.resumed) == (Stage.DONE, None)
    assert act.client.received == before


async def test_cancelling_what_is_over_leaves_the_connection_to_others() -> None:
    act = Act()
    exchange = act.start()
    act.says(OK)
    exchange.cancel()
    assert not act.socket.aborted
    assert (act.done, act.shelf.returned, act.shelf.kept) == (1, 1, 1)


# Other protocols


async def test_an_upgraded_connection_is_not_given_back() -> None:
    act = Act()
    exchange = act.start(upgrade=True)
    act.says(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n\x81")
    assert exchange.stage is Stage.UPGRADED
    assert (act.done, act.shelf.returned) == (1, 0)
    assert act.client.writes == []
    assert act.upstream.take() == b"\x81"


async def test_a_refused_upgrade_is_an_answer_like_others() -> None:
    act = Act()
    exchange = act.start(upgrade=True)
    act.says(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    assert exchange.outcome
    assert exchange.outcome.status == 403
    act.over(kept=True)
