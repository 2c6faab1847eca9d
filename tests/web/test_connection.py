"""One client connection: what it does with bytes in each of its stages."""

from __future__ import annotations

import asyncio
import json
from math import inf

import pytest

from proxy.errors import BadRequest, Reason
from proxy.web.connection import HELD_LIMIT, Stage
from tests.web.loose import GET, Lane, Loose, Wire, settled


def refusal(wire: Wire) -> dict[str, str]:
    head, _, body = bytes(wire.sent).partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head
    return json.loads(body)  # type: ignore[no-any-return]


# A head


async def test_a_whole_request_goes_to_the_fast_lane() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        assert connection.stage is Stage.REST
        assert connection.stage is Stage.REST
        connection.data_received(GET)
        assert loose.lane
        assert loose.lane.offered == [(GET, len(GET))]
        assert (connection.stage, connection.deadline, connection.slow) == (Stage.BUSY, inf, None)
        assert connection.stage is not Stage.REST
        connection.answered()
        assert (connection.stage, connection.request) == (Stage.REST, None)
        assert connection.deadline == loose.time + 75


@pytest.mark.parametrize("size", [1, 2, 7, 30])
async def test_a_head_may_come_in_pieces(size: int) -> None:
    lane = Lane()
    async with Loose(lane=lane) as loose:
        connection, _ = loose.client()
        for start in range(0, len(GET), size):
            assert lane.offered == []
            connection.data_received(GET[start : start + size])
            loose.time += 0.01
            if connection.stage is Stage.HEAD:
                assert connection.deadline == 1010  # from its first byte on
        assert lane.offered == [(GET, len(GET))]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"\r\n" + GET], id="at once"),
        pytest.param([b"\r\n", GET], id="apart"),
        pytest.param([b"\r", b"\n", GET], id="in bytes"),
        pytest.param([b"\r", b"\n" + GET], id="cut in the middle"),
        pytest.param([b"\r\n" + GET[:9], GET[9:]], id="before half a head"),
    ],
)
async def test_one_empty_line_before_a_request_is_forgiven(pieces: list[bytes]) -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        for piece in pieces:
            connection.data_received(piece)
        assert loose.lane
        assert loose.lane.offered == [(GET, len(GET))]


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        pytest.param([b"\r\n\r\n" + GET], 400, id="two empty lines"),
        pytest.param([b"\r\n", b"\r\n" + GET], 400, id="two empty lines, apart"),
        pytest.param([b"\rX" + GET], 400, id="CR and something else"),
        pytest.param([b"\n" + GET], 400, id="a bare LF"),
        pytest.param([b"\r" + GET], 400, id="a bare CR"),
        pytest.param([b"\x16\x03\x01"], 400, id="TLS"),
        pytest.param([b"GET /"], 0, id="a good beginning"),
        pytest.param([b"GET / HTTP/1.1\r\n", b"Host: a\n"], 400, id="LF in the second piece"),
        pytest.param([b"GET /" + b"a" * 9000], 414, id="target without end"),
        pytest.param([b"GET / HTTP/1.1\r\nA: ", b"a" * 33000], 431, id="lines without end"),
        pytest.param([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 505, id="HTTP/2"),
    ],
)
async def test_what_is_refused_before_any_lane_sees_it(pieces: list[bytes], status: int) -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        for piece in pieces:
            connection.data_received(piece)
        assert loose.lane
        assert loose.lane.offered == []
        assert wire.status == status
        if status:
            assert (connection.stage, wire.ended) == (Stage.CLOSING, True)


# Refusing


async def test_a_refusal_lingers_until_the_client_has_read_it() -> None:
    async with Loose() as loose:
        connection, wire = loose.client()
        connection.data_received(b"nonsense\r\n\r\n")
        found = refusal(wire)
        assert (found["error"], found["request_id"]) == ("bad_target", "id1")
        assert (wire.ended, wire.closing) == (True, False)
        connection.data_received(GET * 100)
        assert connection._held == b""
        loose.sweep(1.9)
        assert not wire.aborted
        loose.sweep(0.2)
        assert wire.aborted
        (line,) = loose.logged()
        assert (line["status"], line["reason"], line["request_id"]) == (400, "bad_target", "id1")


async def test_a_transport_that_cannot_half_close_is_closed() -> None:
    async with Loose() as loose:
        connection, wire = loose.client(Wire(half_closes=False))
        connection.data_received(b"nonsense\r\n\r\n")
        assert wire.closing
        assert wire.status == 400


async def test_a_client_that_has_gone_is_told_nothing() -> None:
    async with Loose() as loose:
        connection, wire = loose.client()
        wire.close()
        connection.refuse(BadRequest(Reason.BAD_HEADER))
        assert wire.sent == b""


async def test_a_head_that_takes_too_long_is_408() -> None:
    async with Loose() as loose:
        connection, wire = loose.client()
        connection.data_received(b"GET / HTTP/1.1\r\nHost:")
        loose.sweep(9.9)
        assert wire.sent == b""
        loose.sweep(0.2)
        assert wire.status == 408
        assert refusal(wire)["error"] == "bad_header"


async def test_a_connection_that_rests_too_long_ends_without_a_word() -> None:
    async with Loose() as loose:
        _, wire = loose.client()
        loose.sweep(74.9)
        assert not wire.aborted
        loose.sweep(0.2)
        assert (wire.aborted, bytes(wire.sent)) == (True, b"")


# Several requests


async def test_requests_that_come_at_once_are_served_one_after_another() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        asks = [GET.replace(b"/a", b"/%d" % n) for n in range(4)]
        connection.data_received(b"".join(asks[:3]) + asks[3][:10])
        lane = loose.lane
        assert lane
        for n in range(3):
            await settled(lambda n=n: len(lane.offered) == n + 1)  # type: ignore[misc]
            assert lane.offered[n][0] == asks[n]
            assert connection.stage is Stage.BUSY
            connection.answered()
        await settled(lambda: connection._held == asks[3][:10])
        assert connection.stage is Stage.HEAD
        connection.data_received(asks[3][10:])
        assert lane.offered[3][0] == asks[3]


async def test_the_next_of_several_waits_for_the_loop_but_its_bytes_may_come_first() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, _ = loose.client()
        connection.data_received(GET + GET[:5])
        connection.answered()  # the rest of its head comes before the loop calls again
        connection.data_received(GET[5:] + GET)
        connection.answered()
        await asyncio.sleep(0)
        assert loose.lane
        assert [data for data, _ in loose.lane.offered] == [GET] * 3
        assert (connection.stage, connection._held) == (Stage.BUSY, b"")


async def test_a_client_that_sends_on_is_read_no_more_than_is_held() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        sent = 0
        while wire.reading:
            connection.data_received(GET * 100)
            sent += 100
        assert len(connection._held) <= HELD_LIMIT + 100 * len(GET)
        connection.answered()
        assert wire.reading
        lane = loose.lane
        assert lane
        await settled(lambda: len(lane.offered) == 2)
        assert len(connection._held) == (sent - 1) * len(GET)


async def test_a_client_that_reads_no_answers_is_not_served_more_of_them() -> None:
    lane = Lane()
    async with Loose(lane=lane) as loose:
        connection, wire = loose.client()
        connection.data_received(GET + GET)
        connection.pause_writing()
        connection.answered()
        await asyncio.sleep(0)
        connection.data_received(GET)
        await asyncio.sleep(0)
        assert len(lane.offered) == 1
        connection.resume_writing()
        await settled(lambda: len(lane.offered) == 2)
        assert connection.deadline == inf
        connection.answered()
        await settled(lambda: len(lane.offered) == 3)
        connection.pause_writing()
        connection.answered()
        connection.resume_writing()
        assert connection.stage is Stage.REST
        assert not wire.closing


async def test_a_client_that_never_reads_its_answers_is_let_go() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        connection.pause_writing()
        connection.answered()
        loose.sweep(74.9)
        assert not wire.aborted
        loose.sweep(0.2)
        assert wire.aborted


async def test_a_request_that_cannot_be_read_waits_for_the_answer_before_it() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET + b"nonsense\r\n\r\n")
        assert wire.sent == b""
        connection.write(b"first")
        connection.answered()
        await settled(lambda: wire.ended)
        assert wire.sent.startswith(b"firstHTTP/1.1 400 ")


async def test_the_last_answer_closes() -> None:
    async with Loose(lane=Lane()) as loose:
        connection, wire = loose.client()
        connection.data_received(GET + GET)
        connection.is_last = True
        connection.answered()
        assert wire.closing
        await asyncio.sleep(0)
        assert loose.lane
        assert len(loose.lane.offered) == 1


@pytest.mark.parametrize("lane", [Lane(), None])
async def test_a_client_that_does_not_read_its_last_answer_is_let_go_in_the_end(
    lane: Lane | None,
) -> None:
    """Closing waits for what is still to be written: not for ever."""
    async with Loose(lane=lane) as loose:
        connection, wire = loose.client()
        wire.holds = True
        connection.data_received(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        if lane is not None:
            connection.is_last = True
            connection.answered()
        await settled(lambda: wire.closing)
        loose.sweep()
        loose.sweep(75.1)
        loose.sweep()
        assert wire.aborted


# Lanes


async def test_what_the_fast_lane_declines_goes_slow_byte_for_byte() -> None:
    async with Loose(lane=Lane(takes=False)) as loose:
        connection, wire = loose.client()
        connection.data_received(GET)
        assert connection.slow is not None
        await settled(lambda: connection.stage is Stage.REST)
        assert wire.sent.endswith(b"\r\n\r\nGET /a ")


async def test_lanes_take_turns() -> None:
    lane = Lane(takes=False)
    async with Loose(lane=lane) as loose:
        connection, wire = loose.client()
        for n in range(6):
            lane.takes = n % 2 == 0
            connection.data_received(GET)
            if lane.takes:
                assert connection.stage is Stage.BUSY
                connection.write(b"fast")
                connection.answered()
            await settled(lambda: connection.stage is Stage.REST)
        assert wire.sent.count(b"fast") == wire.sent.count(b"HTTP/1.1 200 ") == 3


async def test_a_resting_connection_keeps_no_slow_lane() -> None:
    async with Loose() as loose:
        connection, wire = loose.client()
        for _ in range(2):
            connection.data_received(GET)
            loose.sweep()
            assert connection.slow is not None
            await settled(lambda: connection.stage is Stage.REST)
            await asyncio.sleep(0)
            loose.sweep()
            assert connection.slow is None
            await asyncio.sleep(0)
            assert not wire.closing
        assert wire.sent.count(b"HTTP/1.1 200 ") == 2
