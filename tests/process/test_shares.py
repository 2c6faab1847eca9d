"""Sockets dealt to workers: each has a queue, and none is lost when their number changes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.process.shares import Shares, open_shares
from proxy.web.activation import NOT_ACTIVATED


def server(*listen: str) -> Server:
    return Server.model_validate({"listen": list(listen), "private_listen": "off"})


@contextmanager
def shares(settings: Server, workers: int, before: Shares | None = None) -> Iterator[Shares]:
    opened = open_shares(settings, workers, NOT_ACTIVATED, before)
    try:
        yield opened
    finally:
        opened.release()


def filenos(opened: Shares) -> list[list[int]]:
    return [[listener.sock.fileno() for listener in group] for group in opened.groups]


def test_each_worker_has_a_socket_on_the_same_port() -> None:
    with shares(server("127.0.0.1:0"), 3) as opened:
        dealt = [opened.dealt(number, 3) for number in (1, 2, 3)]
        assert [len(sockets) for sockets in dealt] == [1, 1, 1]
        assert len({listener.port for listener in opened}) == 1
        assert len({listener.sock.fileno() for listener in opened}) == 3


def test_connections_reach_every_queue() -> None:
    with shares(server("127.0.0.1:0"), 2) as opened, ExitStack() as stack:
        first = next(iter(opened))
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", first.port)))
        for listener in opened:
            connection, _ = listener.sock.accept()
            connection.close()


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (4, 2), (2, 3)])
def test_no_queue_is_given_up_while_the_address_stays(
    free_port: int, before: int, after: int
) -> None:
    settings = server(f"127.0.0.1:{free_port}")
    with shares(settings, before) as old:
        kept = filenos(old)[0]
        with shares(settings, after, old) as new:
            assert filenos(new)[0][:before] == kept
            dealt = [new.dealt(number, after) for number in range(1, after + 1)]
            assert all(dealt), "everybody has work"
            everything = sorted(listener.sock.fileno() for some in dealt for listener in some)
            assert everything == sorted(filenos(new)[0])
            old.release(keep=new)
            assert filenos(new)[0][:before] == kept, "still open"


def test_an_address_that_is_gone_is_closed_and_a_new_one_opened(free_ports: list[int]) -> None:
    one, two, three = (f"127.0.0.1:{port}" for port in free_ports[:3])
    with shares(server(one, two), 2) as old, shares(server(two, three), 2, old) as new:
        old.release(keep=new)
        assert [listener.name for listener in new] == [two, two, three, three]
        assert all(listener.sock.fileno() >= 0 for listener in new)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free_ports[0]))


def test_a_port_that_others_have_is_refused_and_nothing_stays_open(free_ports: list[int]) -> None:
    mine, theirs = (f"127.0.0.1:{port}" for port in free_ports[:2])
    other = socket.socket()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # they would share it
    other.bind(("127.0.0.1", free_ports[1]))
    other.listen()
    with other, shares(server(mine), 2) as old:
        before = filenos(old)
        with pytest.raises(ConfigError, match=f"cannot listen on {theirs}"):
            open_shares(server(mine, theirs), 2, NOT_ACTIVATED, old)
        assert filenos(old) == before, "what was served is served"


def test_a_unix_socket_is_one_for_all(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with shares(server(f"unix:{path}"), 2) as opened, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        accepted = next(iter(opened.dealt(2, 2))).sock.accept()[0]
        accepted.close()
    assert not path.exists()
