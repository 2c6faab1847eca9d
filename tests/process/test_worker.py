"""A worker's life, with this process as the worker and a thread as its supervisor."""

from __future__ import annotations

import http.client
import io
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from proxy.config.settings import Settings
from proxy.process.channel import Channel, Message, Order
from proxy.process.worker import Assignment, work
from proxy.web.crew import Crew
from proxy.web.listeners import Listener, bind
from proxy.web.log import Log
from tests.process.test_generation import settings


def worked(
    given: Settings, script: Callable[[Channel, list[Listener]], None]
) -> tuple[int, list[Message]]:
    """The exit status of a worker whose supervisor does ``script``, and all that it said."""
    ours, theirs = Channel.pair()
    listeners = bind(given.server)
    log = Log(io.StringIO(), time.time)

    def supervise() -> None:
        try:
            script(ours, listeners)
        except BaseException:
            ours.close()  # so that the worker ends, and the test
            raise

    supervisor = threading.Thread(target=supervise, daemon=True)
    supervisor.start()
    before = signal.getsignal(signal.SIGTERM)
    try:
        status = work(Assignment(given, listeners, theirs, Crew(), log))
    finally:
        supervisor.join(10)
        signal.signal(signal.SIGTERM, before)
        for listener in listeners:
            listener.sock.close()
    said = said_by(ours) if ours.fileno() >= 0 else []
    ours.close()
    return status, said


def said_by(channel: Channel) -> list[Message]:
    found: list[Message] = []
    try:
        while messages := channel.receive():
            found += messages
    except EOFError:
        pass
    return found


def awaited(channel: Channel) -> Message:
    deadline = time.monotonic() + 10
    while not (messages := channel.receive()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return messages[0]


def test_it_says_when_it_serves_and_when_it_leaves() -> None:
    pings: list[bytes] = []

    def script(channel: Channel, listeners: list[Listener]) -> None:
        assert awaited(channel) == {"ready": True}
        url = f"http://127.0.0.1:{listeners[0].port}/ping"
        with urllib.request.urlopen(url, timeout=5) as answer:
            pings.append(answer.read())
        os.kill(os.getpid(), signal.SIGTERM)

    assert worked(settings(), script) == (0, [{"leaving": True}])
    assert pings == [b"OK\n"]


def test_it_leaves_when_its_supervisor_is_gone() -> None:
    def script(channel: Channel, listeners: list[Listener]) -> None:
        awaited(channel)
        channel.close()

    assert worked(settings(), script) == (0, [])


@pytest.mark.parametrize(
    ("order", "status"), [(Order.RETIRE, 200), (Order.DRAIN, 503)], ids=lambda value: str(value)
)
def test_it_stays_ready_where_others_take_its_place(order: Order, status: int) -> None:
    """Its connections still bring questions, and probes: the proxy as a whole goes on."""
    answers: list[int] = []

    def script(channel: Channel, listeners: list[Listener]) -> None:
        awaited(channel)
        (port,) = (listener.port for listener in listeners)
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/ready")
            connection.getresponse().read()
            channel.send({"order": order})
            assert awaited(channel) == {"leaving": True}
            connection.request("GET", "/ready")
            answer = connection.getresponse()
            answers.append(answer.status)
            answer.read()

    given = settings(auth={"disabled": True}, cookie={"secret": ()}, provider={})
    assert worked(given, script) == (0, [])
    assert answers == [status]


def test_what_it_cannot_use_is_told_to_the_supervisor() -> None:
    def script(channel: Channel, listeners: list[Listener]) -> None:
        """Only waits for it to end."""

    broken: dict[str, Any] = {"provider": {"ca_file": "/nowhere/ca.pem"}}
    status, said = worked(settings(**broken), script)
    assert status == 2
    assert [list(message) for message in said] == [["failed"]]
    assert "/nowhere/ca.pem" in str(said[0]["failed"])
