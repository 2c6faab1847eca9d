"""Binding all that the settings name, with real sockets."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.web.activation import Activation
from proxy.web.listeners import Listener, bind, close_all

ANY = "127.0.0.1:0"


def server(**options: Any) -> Server:
    return Server.model_validate({"listen": (), "private_listen": (), **options})


@contextmanager
def bound(settings: Server, **options: Any) -> Iterator[list[Listener]]:
    listeners = bind(settings, **options)
    try:
        yield listeners
    finally:
        close_all(listeners)


def accepts(listener: Listener) -> bool:
    """Whether a connection to its address ends up in its queue."""
    with socket.socket(listener.sock.family) as client:
        client.settimeout(2)
        client.connect(listener.sock.getsockname())
        listener.sock.settimeout(2)
        try:
            listener.sock.accept()[0].close()
        except TimeoutError:
            return False
        return True


def test_everything_at_once(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/x.sock"
    settings = server(
        listen=(ANY, path), tls_listen=ANY, private_listen=ANY, redirect_http=True, unix_mode="600"
    )
    with bound(settings) as listeners:
        assert all(map(accepts, listeners))
        shown = [(li.name, li.tls, li.private, li.redirect, li.unix) for li in listeners]
        assert shown == [
            (ANY, False, False, True, False),
            (path, False, False, False, True),
            (ANY, True, False, False, False),
            (ANY, False, True, False, False),
        ]
        assert [bool(listener.port) for listener in listeners] == [True, False, True, True]
        assert len({listener.port for listener in listeners}) == 4
    assert not (tmp_path / "x.sock").exists()


def test_a_name_stands_for_all_of_its_addresses() -> None:
    with bound(server(listen="localhost:0")) as listeners:
        hosts = {listener.sock.getsockname()[0] for listener in listeners}
        assert "127.0.0.1" in hosts
        assert hosts <= {"127.0.0.1", "::1"}
        assert len({listener.port for listener in listeners}) == 1


def test_every_problem_at_once_and_nothing_stays_bound(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        probe = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        free = probe.getsockname()[1]
        probe.close()
        settings = server(
            listen=(f"127.0.0.1:{free}", f"127.0.0.1:{taken}", f"unix:{tmp_path}/a.sock"),
            tls_listen=("192.0.2.1:1", f"unix:{tmp_path}/no/x.sock", "host.invalid:1"),
            private_listen=f"unix:{tmp_path}/file,systemd",
        )
        with pytest.raises(ConfigError) as caught:
            bind(settings)
        socket.create_server(("127.0.0.1", free)).close()
    expected = [
        (f"server.listen: cannot listen on 127.0.0.1:{taken}: ", "another process listens"),
        ("server.tls_listen: cannot listen on 192.0.2.1:1: ", "no such address"),
        (f"server.tls_listen: cannot listen on unix:{tmp_path}/no/x.sock: ", "create it first"),
        ("server.tls_listen: cannot listen on host.invalid:1: ", "cannot be resolved"),
        (f"server.private_listen: cannot listen on unix:{tmp_path}/file: ", "no socket"),
        ("server.private_listen: cannot listen on systemd: ", "start the .socket unit"),
    ]
    assert len(caught.value.problems) == len(expected)
    for problem, (start, part) in zip(caught.value.problems, expected, strict=True):
        assert problem.startswith(start)
        assert part in problem
    assert sorted(os.listdir(tmp_path)) == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen anywhere")
def test_a_low_port_needs_a_privilege() -> None:
    start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if start < 2:
        pytest.skip("every port is free for all here")
    with pytest.raises(ConfigError, match="CAP_NET_BIND_SERVICE"):
        bind(server(listen="127.0.0.1:1"))


# workers


def test_a_twin_shares_the_port_and_has_its_own_queue() -> None:
    with bound(server(listen=ANY, tls_listen=ANY), reuse_port=True) as first:
        second = [listener.twin() for listener in first]
        assert [li.port for li in second] == [li.port for li in first]
        assert [li.tls for li in second] == [False, True]
        address = first[0].sock.getsockname()
        close_all(first)
        assert second[0].sock.getsockname() == address
        assert all(map(accepts, second))
        close_all(second)


def test_the_twin_of_a_unix_socket_is_the_same_queue(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with bound(server(listen=f"unix:{path}"), reuse_port=True) as (first,):
        twin = first.twin()
        assert accepts(twin)
        close_all([twin])
        assert path.exists()
        assert accepts(first)
    assert not path.exists()


# a changed configuration


def test_what_is_bound_already_is_kept(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/x.sock"
    with bound(server(listen=(ANY, path)), reuse_port=True) as old:
        changed = server(
            listen=(f"127.0.0.1:{old[0].port}", path, "127.0.0.2:0"), private_listen="127.0.0.3:0"
        )
        with bound(changed, reuse_port=True, keep=old) as new:
            assert new[0].sock is old[0].sock
            assert new[0].name == f"127.0.0.1:{old[0].port}"
            assert new[1].sock is old[1].sock
            assert not {id(li.sock) for li in new[2:]} & {id(li.sock) for li in old}
            close_all(old, keep=new)
            assert all(map(accepts, new))
        assert not (tmp_path / "x.sock").exists()


def test_any_port_stays_the_one_that_it_was() -> None:
    with bound(server(listen=ANY)) as old:
        (new,) = bind(server(listen=ANY), keep=old)
        assert new.sock is old[0].sock


def test_a_vanished_address_is_closed() -> None:
    with bound(server(listen=(ANY, "127.0.0.2:0"))) as old:
        new = bind(server(listen=ANY), keep=old)
        close_all(old, keep=new)
        assert [li.sock.fileno() >= 0 for li in old] == [True, False]


def test_a_failed_change_leaves_the_old_ones_as_they_are(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/x.sock"
    with bound(server(listen=(ANY, path))) as old:
        with pytest.raises(ConfigError, match="no such address"):
            bind(server(listen=(ANY, path, "192.0.2.1:1")), keep=old)
        assert all(map(accepts, old))


def test_a_socket_that_another_process_put_in_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    settings = server(listen=f"unix:{path}")
    first = bind(settings)
    path.unlink()
    with bound(settings) as second:
        close_all(first)
        assert path.exists()
        assert accepts(second[0])


# systemd


def test_passed_sockets_go_where_their_names_say(tmp_path: Path) -> None:
    settings = server(
        listen="systemd", tls_listen="systemd:https", private_listen="systemd:metrics"
    )
    with ExitStack() as stack:
        given = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))),
            stack.enter_context(socket.create_server(str(tmp_path / "s"), family=socket.AF_UNIX)),
            stack.enter_context(socket.create_server(("127.0.0.1", 0))),
            stack.enter_context(socket.create_server(("127.0.0.1", 0))),
        ]
        names = ("auth-proxy.socket", "auth-proxy.socket", "metrics", "https")
        passed = Activation(tuple(zip(names, (sock.fileno() for sock in given), strict=True)))
        with bound(settings, activation=passed) as listeners:
            places = [listener.sock.getsockname() for listener in listeners]
            assert places == [given[n].getsockname() for n in (0, 1, 3, 2)]
            assert [(li.tls, li.private) for li in listeners] == [
                (False, False),
                (False, False),
                (True, False),
                (False, True),
            ]
            assert all(map(accepts, listeners))
            twin = listeners[0].twin()
            assert accepts(twin)
            close_all([twin])
        assert (tmp_path / "s").exists()  # systemd made it
        with bound(settings, activation=passed) as again:
            assert all(map(accepts, again))


@pytest.mark.parametrize(
    ("listen", "names", "expected"),
    [
        pytest.param("systemd:web", ("http",), "passed only http", id="another name"),
        pytest.param(ANY, ("http",), "the socket http, and no option takes it", id="unclaimed"),
        pytest.param("systemd", (), "systemd passed no socket", id="none"),
    ],
)
def test_what_systemd_and_the_settings_do_not_agree_on(
    listen: str, names: tuple[str, ...], expected: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as given:
        passed = Activation(tuple((name, given.fileno()) for name in names))
        with pytest.raises(ConfigError, match=expected):
            bind(server(listen=listen), activation=passed)


def test_what_the_environment_got_wrong_is_told() -> None:
    with pytest.raises(ConfigError, match="LISTEN_PID"):
        bind(server(listen="systemd"), activation=Activation(trouble="LISTEN_PID='1' is not …"))


@pytest.mark.parametrize("reuse_port", [False, True], ids=["one process", "several"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(":{port}", "localhost:{port}", id="every address, and a name"),
        pytest.param("localhost:{port}", "127.0.0.1:{port}", id="a name and its address"),
        pytest.param("127.0.0.1:{port}", ":{port}", id="an address, and every address"),
    ],
)
def test_an_entry_that_collides_with_another_of_ours_says_so(
    first: str, second: str, reuse_port: bool, free_port: int
) -> None:
    names = [text.format(port=free_port) for text in (first, second)]
    with pytest.raises(ConfigError) as caught:
        bind(server(listen=names), reuse_port=reuse_port)
    assert caught.value.problems == (
        f"server.listen: cannot listen on {names[1]}: "
        f"the settings name that address twice, also as {names[0]}",
    )
