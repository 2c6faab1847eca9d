"""auth-proxy healthcheck, against a small real server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from proxy.cli import main
from tests.fakes.authority import Authority


class Pings(HTTPServer):
    """Answers /ping; remembers the Host headers that it saw."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hosts: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may go when they do not like us."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Pings)
        self.server.hosts.append(self.headers["Host"])
        self.send_response({"/ping": 200, "/moved": 302}.get(self.path, 503))
        if self.path == "/moved":
            self.send_header("Location", "/ping")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is for the test."""


class UnixPings(Pings):
    """The same on a unix socket."""

    address_family = socket.AF_UNIX

    def __init__(self, path: str) -> None:
        HTTPServer.__init__(self, path, _Handler)  # type: ignore[arg-type]
        self.hosts: list[str] = []

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, Any]:
        return self.socket.accept()[0], ("unix", 0)


ServerOfPings = TypeVar("ServerOfPings", bound=Pings)


@contextmanager
def served(server: ServerOfPings) -> Iterator[ServerOfPings]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def pings() -> Iterator[Pings]:
    with served(Pings()) as server:
        yield server


def test_a_given_url(pings: Pings, capsys: pytest.CaptureFixture[str]) -> None:
    base = f"http://127.0.0.1:{pings.server_port}"
    assert main(["healthcheck", "--url", f"{base}/ping"]) == 0
    assert main(["healthcheck", "--url", f"{base}/ready"]) == 1
    assert "503" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_url_follows_from_the_configuration(
    host: str, pings: Pings, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH_PROXY_SERVER_LISTEN", f"{host}:{pings.server_port}")
    assert main(["healthcheck"]) == 0
    assert pings.hosts == ["app.example.org"]


@pytest.mark.parametrize(
    ("listen", "shown"),
    [
        pytest.param("unix:{path}", "unix:{path} /ping: 200", id="a unix socket"),
        pytest.param(
            "systemd, unix:{path}, 127.0.0.1:1", "unix:{path} /ping: 200", id="the first known"
        ),
    ],
)
def test_a_unix_socket_is_asked_as_well(
    listen: str,
    shown: str,
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "x.sock"
    with served(UnixPings(str(path))) as server:
        monkeypatch.setenv("AUTH_PROXY_SERVER_LISTEN", listen.format(path=path))
        assert main(["healthcheck"]) == 0
        assert server.hosts == ["app.example.org"]
    assert capsys.readouterr().out.strip() == shown.format(path=path)
    assert main(["healthcheck"]) == 1
    assert capsys.readouterr().err.startswith(f"unix:{path} /ping: no answer")


def test_tls_is_asked_whatever_its_certificate_is_for(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    server = Pings()
    context = authority.server("app.example.org")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server):
        address = f"127.0.0.1:{server.server_port}"
        monkeypatch.setenv("AUTH_PROXY_SERVER_LISTEN", "off")
        monkeypatch.setenv("AUTH_PROXY_SERVER_TLS_LISTEN", address)
        monkeypatch.setenv("AUTH_PROXY_SERVER_CERTIFICATE_FILE", "anything.pem")
        assert main(["healthcheck"]) == 0
        assert server.hosts == ["app.example.org"]
        assert main(["healthcheck", "--url", f"https://{address}/ping"]) == 1  # as anybody's


def test_where_systemd_listens_is_not_known(
    pings: Pings,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AUTH_PROXY_SERVER_LISTEN", "systemd")
    address = f"127.0.0.1:{pings.server_port}"
    monkeypatch.setenv("AUTH_PROXY_SERVER_PRIVATE_LISTEN", address)
    assert main(["healthcheck"]) == 0
    assert pings.hosts == [address]
    monkeypatch.setenv("AUTH_PROXY_SERVER_PRIVATE_LISTEN", "off")
    assert main(["healthcheck"]) == 1
    assert "say --url" in capsys.readouterr().err


def test_a_redirect_is_no_answer(pings: Pings) -> None:
    assert main(["healthcheck", "--url", f"http://127.0.0.1:{pings.server_port}/moved"]) == 1
    assert len(pings.hosts) == 1


def test_the_environment_names_no_proxy_for_it(
    pings: Pings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert main(["healthcheck", "--url", f"http://127.0.0.1:{pings.server_port}/ping"]) == 0


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/ping", "file:///etc/hostname", "http://", "http://127.0.0.1:x/"]
)
def test_no_answer_is_1(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "--url", url]) == 1
    assert capsys.readouterr().err.startswith(url)


@pytest.mark.parametrize(("behind", "status"), [("", 0), (":/ping", 0), (":/ready", 1)])
def test_a_given_unix_socket(behind: str, status: int, tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with served(UnixPings(str(path))):
        assert main(["healthcheck", "--url", f"unix:{path}{behind}"]) == status


@pytest.mark.parametrize("url", ["unix:", "unix:x.sock", "unix:/x.sock:ping"])
def test_what_is_no_unix_socket_is_said(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "--url", url]) == 1
    assert "as in unix:/run/x.sock" in capsys.readouterr().err


def test_a_configuration_that_cannot_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.cfg")
    assert main(["healthcheck", "--config", missing]) == 1
    assert f"{missing}: the file cannot be read: No such file" in capsys.readouterr().err
