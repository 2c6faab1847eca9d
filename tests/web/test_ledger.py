"""Visits: their ids, their lines in the log, and who waits for the last of them."""

from __future__ import annotations

import asyncio
import io
import ipaddress
import itertools
import json
import math
from typing import Any, Literal, cast

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.model import Kind, Target
from proxy.rules.target import Trust
from proxy.web.connection import ClientConnection
from proxy.web.ledger import Ledger
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.visit import Visit
from proxy.wire.exchange import BrokenResponse
from proxy.wire.inbound import Request
from tests.fakes.clock import FakeClock

TRUSTING = Trust("https", None, (ipaddress.ip_network("10.0.0.0/8"),))
NOBODY = Trust("https", None)


class Client:
    """What the ledger knows of a connection."""

    def __init__(self, peer: str = "10.0.0.1", *headers: tuple[bytes, bytes]) -> None:
        self.peer = peer
        self.request: Request | None = Request(
            "GET", "/a", list(headers), http11=True, keep_alive=True, length=0, upgrade=False
        )


def as_connection(client: Client) -> ClientConnection:
    return cast(ClientConnection, client)


class Books:
    """A ledger, its clocks and what it wrote."""

    def __init__(self, trust: Trust = NOBODY, style: Literal["json", "text"] = "json") -> None:
        self.stream, self.metrics, self.time = io.StringIO(), Metrics(), 50.0
        self.clock, ids = FakeClock(), itertools.count(1)
        self.ledger = Ledger(
            trust, Log(self.stream, self.clock, style, "debug"), self.metrics, self.clock,
            lambda: self.time, lambda: f"id{next(ids)}",
        )  # fmt: skip

    def visit(self, client: Client) -> Visit:
        return self.ledger.visit(as_connection(client))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def line(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(self.lines[-1]))

    def counted(self, metric: str) -> float:
        for line in self.metrics.render().decode().splitlines():
            if line.startswith(metric + " "):
                return float(line.rpartition(" ")[2])
        return math.nan


def target(path: str = "/a", client: str = "192.0.2.9") -> Target:
    return Target("GET", "https", "app", path, path, "token=1", Kind.PROGRAM, client)


@pytest.mark.parametrize(
    ("trust", "peer", "given", "expected"),
    [
        pytest.param(NOBODY, "10.0.0.1", [b"theirs"], "id1", id="nobody is trusted"),
        pytest.param(TRUSTING, "192.0.2.1", [b"theirs"], "id1", id="somebody else"),
        pytest.param(TRUSTING, "", [b"theirs"], "id1", id="a unix socket"),
        pytest.param(TRUSTING, "10.0.0.1", [b"theirs-1._"], "theirs-1._", id="a trusted hop"),
        pytest.param(TRUSTING, "10.0.0.1", [], "id1", id="a trusted hop without an id"),
        pytest.param(TRUSTING, "10.0.0.1", [b"one", b"two"], "one", id="the first of two"),
        pytest.param(TRUSTING, "10.0.0.1", [b""], "id1", id="empty"),
        pytest.param(TRUSTING, "10.0.0.1", [b"a" * 64], "a" * 64, id="as long as may be"),
        pytest.param(TRUSTING, "10.0.0.1", [b"a" * 65], "id1", id="too long"),
        pytest.param(TRUSTING, "10.0.0.1", [b'a", "sub": "root'], "id1", id="quotes"),
        pytest.param(TRUSTING, "10.0.0.1", [b"a\n"], "id1", id="a line"),
        pytest.param(TRUSTING, "10.0.0.1", [b"a b"], "id1", id="a space"),
        pytest.param(TRUSTING, "10.0.0.1", [b"\xe9"], "id1", id="not ASCII"),
    ],
)
def test_whose_id_a_request_has(trust: Trust, peer: str, given: list[bytes], expected: str) -> None:
    client = Client(peer, *((b"x-REQUEST-id", value) for value in given))
    assert Books(trust).visit(client).id == expected


def test_each_visit_has_an_id_of_its_own_and_the_time_of_its_arrival() -> None:
    books = Books()
    first = books.visit(Client())
    books.time += 1
    books.clock.advance(5)
    second = books.visit(Client())
    assert (first.id, second.id) == ("id1", "id2")
    assert (second.since - first.since, second.now - first.now) == (1, 5)
    assert first.peer == "10.0.0.1"


def test_a_connection_that_has_read_nothing_has_a_visit_too() -> None:
    client = Client()
    client.request = None
    visit = Books().visit(client)
    assert (visit.request.method, visit.target) == ("-", None)


AWKWARD = 'é"\\\n\x00\u2028\ud800</script>'


@pytest.mark.parametrize(
    ("path", "client", "subject", "reason"),
    [
        pytest.param("/a", "192.0.2.9", "", None, id="plain"),
        pytest.param("/a", "192.0.2.9", "alice", None, id="somebody"),
        pytest.param("/a", "192.0.2.9", "alice", Reason.TOO_LARGE, id="refused"),
        pytest.param("/" + AWKWARD, AWKWARD, AWKWARD, Reason.BAD_BODY, id="awkward"),
        pytest.param('/", "sub": "root', "x", "", None, id="an attempt at another field"),
    ],
)
def test_a_line_is_the_json_of_its_fields(
    path: str, client: str, subject: str, reason: Reason | None
) -> None:
    books = Books()
    connection = Client()
    visit = books.visit(connection)
    visit.target, visit.subject, visit.reason = target(path, client), subject, reason
    books.time += 0.25
    books.ledger.end(as_connection(connection), visit, 200)
    fields: dict[str, object] = {
        "time": books.line["time"], "level": "info", "event": "access", "status": 200,
        "ms": 250.0, "request_id": "id1", "method": "GET", "path": path, "client": client,
    }  # fmt: skip
    if subject:
        fields["sub"] = subject
    if reason:
        fields["reason"] = str(reason)
    assert books.lines == [json.dumps(fields)]


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("subject", ["", "alice", AWKWARD])
def test_what_was_prepared_reads_like_what_was_not(
    style: Literal["json", "text"], subject: str
) -> None:
    books = Books(style=style)
    for prepared in (False, True):
        visit = books.visit(Client())
        visit.id, visit.target, visit.subject = "same", target(), subject
        if prepared:
            visit.told = books.ledger.where(visit) + books.ledger.who(subject)
        visit.reason = Reason.TOO_LARGE
        books.ledger.tell(visit, 413)
    assert len(set(books.lines)) == 1
    assert "token" not in books.lines[0]


def test_tokens_in_paths_are_not_written() -> None:
    books = Books()
    visit = books.visit(Client())
    visit.target = target("/reset/token=eyJhbGciOiJub25lIn0.e30.abc")
    books.ledger.tell(visit, 200)
    assert "eyJ" not in books.lines[0]


def test_a_request_without_a_target_says_little_of_itself() -> None:
    books, client = Books(), Client("192.0.2.1")
    assert client.request
    client.request.method = "M" * 40
    books.ledger.tell(books.visit(client), 400)
    assert (books.line["method"], books.line["path"]) == ("M" * 16, "-")
    assert books.line["client"] == "192.0.2.1"


def test_what_could_not_be_read_is_told_and_counted() -> None:
    books, client = Books(), Client()
    client.request = None
    found = books.ledger.unreadable(as_connection(client), 431, Reason.TOO_LARGE)
    line = books.line
    assert (line["request_id"], line["status"], line["reason"]) == (found, 431, "too_large")
    assert books.counted('auth_proxy_refused_total{reason="too_large"}') == 1
    assert books.ledger.running == set()


def test_a_response_that_was_cut_is_told_with_its_reason() -> None:
    books, client = Books(), Client()
    visit = books.visit(client)
    visit.target = target()
    error = UpstreamError(Reason.UPSTREAM_TIMEOUT, "silent for too long", status=504)
    books.ledger.cut(visit, BrokenResponse(error, 200, 12))
    assert (books.line["level"], books.line["request_id"]) == ("warning", "id1")
    books.ledger.end(as_connection(client), visit, 499)
    assert (visit.sent, books.line["reason"]) == (12, "upstream_timeout")


def test_a_fault_of_ours_is_told_under_its_id() -> None:
    books = Books()
    books.ledger.fault(books.visit(Client()), RuntimeError("a fault"))
    assert (books.line["level"], books.line["request_id"]) == ("error", "id1")
    assert "a fault" in books.line["event"]


async def test_whoever_drains_waits_for_the_last_request() -> None:
    books, one, two = Books(), as_connection(Client()), as_connection(Client())
    await books.ledger.finished()
    for connection in (one, two, one):
        books.ledger.begin(connection)
    assert books.ledger.running == {one, two}
    waiting = asyncio.create_task(books.ledger.finished())
    await asyncio.sleep(0)
    books.ledger.leave(one)
    books.ledger.leave(one)
    await asyncio.sleep(0)
    assert not waiting.done()
    books.ledger.begin(one)
    books.ledger.leave(two)
    await asyncio.sleep(0)
    books.ledger.end(one, books.visit(Client()), 200)
    books.ledger.begin(two)  # one more begins before whoever waits has looked
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    books.ledger.leave(two)
    await asyncio.wait_for(waiting, 5)
    assert books.ledger.running == set()


async def test_several_may_wait_for_the_last_request() -> None:
    books, one = Books(), as_connection(Client())
    books.ledger.begin(one)
    waiting = [asyncio.create_task(books.ledger.finished()) for _ in range(2)]
    await asyncio.sleep(0)
    books.ledger.leave(one)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
