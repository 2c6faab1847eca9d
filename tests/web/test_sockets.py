"""Sockets of each kind, and the words for those that cannot be had."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from proxy.web.sockets import Unusable, file_id, passed_socket, tcp_socket, unix_socket, why


def test_a_tcp_socket_listens_without_delay() -> None:
    with tcp_socket(socket.AF_INET, ("127.0.0.1", 0), reuse_port=False) as sock:
        assert not sock.getblocking()
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        with socket.create_connection(sock.getsockname(), 2) as client:
            server, _ = sock.accept()
            with server:
                assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert server.getpeername() == client.getsockname()


def test_a_port_is_shared_only_when_asked() -> None:
    with tcp_socket(socket.AF_INET, ("127.0.0.1", 0), reuse_port=True) as first:
        where = first.getsockname()
        tcp_socket(socket.AF_INET, where, reuse_port=True).close()
        with pytest.raises(OSError, match="in use"):
            tcp_socket(socket.AF_INET, where, reuse_port=False)


def test_every_ipv4_and_every_ipv6_address_stand_side_by_side() -> None:
    with tcp_socket(socket.AF_INET, ("0.0.0.0", 0), reuse_port=False) as four:
        try:
            tcp_socket(socket.AF_INET6, ("::", four.getsockname()[1]), reuse_port=False).close()
        except OSError as exc:
            if exc.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                pytest.skip("no IPv6 here")
            raise


def test_a_unix_socket_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    before = os.umask(0o777)
    try:
        sock = unix_socket(path, 0o620)
    finally:
        os.umask(before)
    with sock:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o620


def test_a_socket_that_nobody_listens_on_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    unix_socket(path, 0o600).close()
    old = file_id(path)
    assert old is not None
    with unix_socket(path, 0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    with unix_socket(path, 0o600) as sock:
        with pytest.raises(Unusable, match="another process listens there"):
            unix_socket(path, 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            sock.accept()[0].close()


def test_a_socket_whose_owner_is_too_busy_is_in_use(tmp_path: Path) -> None:
    path = str(tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(path)
        busy.listen(0)
        client.connect(path)
        with pytest.raises(Unusable, match="another process listens there"):
            unix_socket(path, 0o600)


def test_a_file_is_never_taken_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(Unusable, match="no socket"):
        unix_socket(str(path), 0o600)
    assert path.read_text() == "data"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(Unusable, match="no socket"):
        unix_socket(str(link), 0o600)


def test_a_passed_socket_is_a_copy_that_no_child_inherits() -> None:
    with tcp_socket(socket.AF_INET, ("127.0.0.1", 0), reuse_port=False) as given:
        os.set_inheritable(given.fileno(), True)
        with passed_socket(given.fileno()) as ours:
            assert ours.getsockname() == given.getsockname()
            assert ours.fileno() != given.fileno()
            assert not os.get_inheritable(ours.fileno())
        assert not os.get_inheritable(given.fileno())
        assert given.getsockname()[1]


@pytest.mark.parametrize("kind", ["a file", "a stream that does not listen", "datagrams", "none"])
def test_what_is_no_listening_socket(kind: str) -> None:
    if kind in ("a file", "none"):
        fd = os.open("/", os.O_RDONLY)
        if kind == "none":
            os.close(fd)
        with pytest.raises(Unusable, match="is not a socket"):
            passed_socket(fd)
        if kind == "a file":
            os.close(fd)
        return
    wanted = socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM
    with socket.socket(type=wanted) as sock, pytest.raises(Unusable, match="does not listen"):
        passed_socket(sock.fileno())


@pytest.mark.parametrize(
    ("exc", "port", "expected"),
    [
        pytest.param(OSError(errno.EADDRINUSE, "in use"), 80, "stop it, or choose", id="in use"),
        pytest.param(PermissionError(errno.EACCES, "x"), 443, "as low as 443", id="low port"),
        pytest.param(PermissionError(errno.EACCES, "x"), 0, "in that directory", id="directory"),
        pytest.param(FileNotFoundError(errno.ENOENT, "x"), 0, "create it first", id="no directory"),
        pytest.param(
            socket.gaierror(socket.EAI_NONAME, "unknown"), 1, "cannot be resolved", id="no host"
        ),
        pytest.param(OSError(errno.EIO, "strange"), 1, "strange", id="anything else"),
        pytest.param(Unusable("in words"), 1, "in words", id="said already"),
    ],
)
def test_why(exc: OSError | Unusable, port: int, expected: str) -> None:
    assert expected in why(exc, port)
