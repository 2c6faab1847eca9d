"""The command itself, listening in every way that it can: real processes, sockets and limits."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.authority import Authority

PATIENCE = 20.0
NAME = "app.example.org"

# What systemd does before it starts a service: the sockets from 3 on, and words about them.
ACTIVATE = """
import fcntl, os, sys
names, given, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
copies = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in given]
for number, copy in enumerate(copies, start=3):
    os.dup2(copy, number)
    os.close(copy)
about = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": names}
os.execve(command[0], command, os.environ | about)
"""


class Proxy:
    """A running ``auth-proxy serve``; ``prefix`` is what the shell finds before its command."""

    def __init__(self, folder: Path, *, prefix: str = "exec", **server: Any) -> None:
        self.config = folder / "proxy.cfg"
        self.configure(**server)
        self.errors = folder / "stderr"
        serve = [sys.executable, "-m", "proxy", "serve", "--config", str(self.config)]
        self._command = f"{prefix} {shlex.join(serve)}"

    def configure(self, **server: Any) -> None:
        self.config.write_text(
            json.dumps(
                {
                    "public_url": f"https://{NAME}",
                    "upstream": "http://127.0.0.1:1",
                    "auth": {"disabled": True, "disabled_on_public_address": True},
                    "server": {"listen": "off", "private_listen": "off", **server},
                }
            )
        )

    @contextmanager
    def running(self, pass_fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
        with self.errors.open("wb") as errors:
            process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                stdin=subprocess.DEVNULL, stderr=errors, pass_fds=pass_fds,
            )  # fmt: skip
        try:
            self.wait(lambda: "serving" in self.logged or process.poll() is not None)
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                for pid in tree(process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.wait()
                raise

    @property
    def logged(self) -> str:
        return self.errors.read_text()

    def wait(self, condition: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.logged
            time.sleep(0.02)


def tree(pid: int) -> list[int]:
    """The process and its children, which are all that there are."""
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]
    return []


def cpu_seconds(pid: int) -> float:
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ping(sock: socket.socket) -> int:
    """The status of GET /ping on this connection."""
    connection = http.client.HTTPConnection(NAME)
    connection.sock = sock
    connection.request("GET", "/ping")
    response = connection.getresponse()
    response.read()
    return response.status


def tcp(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(PATIENCE)
    sock.connect(str(path))
    return sock


def test_tcp_tls_and_a_unix_socket_at_once(tmp_path: Path, free_ports: list[int]) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue(NAME)
    path = tmp_path / "x.sock"
    proxy = Proxy(
        tmp_path,
        listen=[f"127.0.0.1:{free_ports[0]}", f"unix:{path}", f"localhost:{free_ports[1]}"],
        unix_mode="0600",
        tls_listen=f"127.0.0.1:{free_ports[2]}",
        certificate_file=str(certificate),
        key_file=str(key),
        private_listen=f"127.0.0.1:{free_ports[3]}",
    )
    with proxy.running() as process, ExitStack() as stack:
        enter = stack.enter_context
        assert path.stat().st_mode & 0o777 == 0o600
        plain = [enter(tcp(free_ports[0])), enter(tcp(free_ports[1])), enter(tcp(free_ports[3]))]
        assert [ping(sock) for sock in [*plain, enter(unix(path))]] == [200] * 4
        secure = authority.client().wrap_socket(tcp(free_ports[2]), server_hostname=NAME)
        assert ping(enter(secure)) == 200
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert not path.exists()


def test_a_unix_socket_outlives_a_kill_and_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    proxy = Proxy(tmp_path, listen=f"unix:{path}")
    with proxy.running() as process:
        for pid in tree(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(PATIENCE)
    assert path.is_socket()
    with proxy.running(), unix(path) as sock:
        assert ping(sock) == 200
        assert "another process listens there" in refusal(tmp_path, listen=f"unix:{path}")
        with unix(path) as still:
            assert ping(still) == 200
    assert not path.exists()


def test_a_reload_keeps_what_stays_and_closes_what_vanishes(
    tmp_path: Path, free_ports: list[int]
) -> None:
    stays, goes, comes = (tmp_path / name for name in ("stays", "goes", "comes"))
    port = f"127.0.0.1:{free_ports[0]}"
    proxy = Proxy(tmp_path, listen=[port, f"unix:{stays}", f"unix:{goes}"])
    with proxy.running() as process:
        was = stays.stat().st_ino
        with unix(goes) as sock:
            assert ping(sock) == 200
        new = {"listen": [port, f"unix:{stays}", f"unix:{comes}", f"127.0.0.1:{free_ports[1]}"]}
        proxy.configure(**new)
        process.send_signal(signal.SIGHUP)
        proxy.wait(lambda: comes.exists() and not goes.exists())
        assert stays.stat().st_ino == was
        for opening in (unix(stays), unix(comes), tcp(free_ports[0]), tcp(free_ports[1])):
            with opening:
                assert ping(opening) == 200
    assert not stays.exists()
    assert not comes.exists()


def refusal(folder: Path, **server: Any) -> str:
    """What a proxy that cannot start says."""
    (inner := folder / "refused").mkdir()
    proxy = Proxy(inner, **server)
    with proxy.running() as process:
        assert process.wait(PATIENCE) == 2
    return proxy.logged


def test_what_cannot_be_listened_on_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = refusal(
            tmp_path,
            listen=[address, "192.0.2.1:80"],
            tls_listen="127.0.0.1:0",
            certificate_file="/nowhere/tls.pem",
        )
    for part in (
        f"server.listen: cannot listen on {address}: ",
        "choose another port",
        "server.listen: cannot listen on 192.0.2.1:80: ",
        "server.certificate_file: /nowhere/tls.pem: No such file",
    ):
        assert told.count(part) == 1, told


def test_sockets_of_systemd(tmp_path: Path) -> None:
    """As systemd does it: from descriptor 3 on, named in the environment of that very process."""
    with ExitStack() as stack:
        web = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        path = tmp_path / "metrics.sock"
        metrics = stack.enter_context(socket.create_server(str(path), family=socket.AF_UNIX))
        given = (web.fileno(), metrics.fileno())
        passing = [sys.executable, "-c", ACTIVATE, "web:metrics", ",".join(map(str, given))]
        proxy = Proxy(
            tmp_path,
            prefix=f"exec {shlex.join(passing)}",
            listen="systemd:web",
            private_listen="systemd:metrics",
        )
        for _ in range(2):  # systemd keeps them, and starts us again
            with proxy.running(given) as process:
                with tcp(web.getsockname()[1]) as sock:
                    assert ping(sock) == 200
                with unix(path) as sock:
                    assert ping(sock) == 200
                process.terminate()
                assert process.wait(PATIENCE) == 0
            with tcp(web.getsockname()[1]):  # a connection waits for the next process
                assert path.is_socket()


def test_without_files_left_it_goes_on_and_recovers(tmp_path: Path, free_port: int) -> None:
    """F27: connections that run are served, new ones closed at once, and nothing spins."""
    proxy = Proxy(tmp_path, prefix="ulimit -n 64; exec", listen=f"127.0.0.1:{free_port}")
    with proxy.running() as process, tcp(free_port) as first:
        assert ping(first) == 200
        crowd = [tcp(free_port) for _ in range(150)]
        before, started = cpu_seconds(process.pid), time.monotonic()
        turned_away = 0
        while time.monotonic() < started + 1.0:
            assert ping(first) == 200
            time.sleep(0.05)
        spent = cpu_seconds(process.pid) - before
        for sock in crowd:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                turned_away += not received(sock)
        assert turned_away >= 60
        assert spent < 0.5, f"{spent} s of CPU time in one second"
        for sock in crowd:
            sock.close()
        deadline = time.monotonic() + PATIENCE
        while not answers(free_port):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert ping(first) == 200


def received(sock: socket.socket) -> bool:
    """Anything but an end? Raises BlockingIOError while the connection is simply open."""
    with suppress(ConnectionError):
        return bool(sock.recv(1))
    return False


def answers(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException), tcp(port) as sock:
        return ping(sock) == 200
    return False


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path, free_port: int) -> None:
    authority = Authority(tmp_path)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def put() -> None:
        for old, new in zip((certificate, key), authority.issue(NAME), strict=True):
            os.replace(new, old)

    def shown() -> object:
        with authority.client().wrap_socket(tcp(free_port), server_hostname=NAME) as client:
            assert ping(client) == 200
            return (client.getpeercert() or {})["serialNumber"]

    put()
    proxy = Proxy(
        tmp_path,
        tls_listen=f"127.0.0.1:{free_port}",
        certificate_file=str(certificate),
        key_file=str(key),
        tls_minimum="1.3",
    )
    with proxy.running():
        old = shown()
        running = authority.client().wrap_socket(tcp(free_port), server_hostname=NAME)
        with running:
            put()
            deadline = time.monotonic() + PATIENCE
            while shown() == old:
                assert time.monotonic() < deadline, proxy.logged
                time.sleep(0.1)
            assert ping(running) == 200
        old_client = authority.client()
        old_client.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)), tcp(free_port) as sock:
            old_client.wrap_socket(sock, server_hostname=NAME)
