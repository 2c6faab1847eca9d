"""auth-proxy healthcheck, against a small real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from proxy.cli import main


class Pings(HTTPServer):
    """Answers /ping; remembers the Host headers that it saw."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hosts: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Pings)
        self.server.hosts.append(self.headers["Host"])
        self.send_response(200 if self.path == "/ping" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is for the test."""


@pytest.fixture
def pings() -> Iterator[Pings]:
    with Pings() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


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
