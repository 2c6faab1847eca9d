"""How a terminal asks: TLS, redirects, outgoing proxies, and answers that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli.origin import Failure, origin_of
from proxy.cli.remote import Refused, Remote, Unreachable
from tests.fakes.authority import Authority
from tests.fakes.device import DeviceServer, device_server


@pytest.fixture
def server() -> Iterator[DeviceServer]:
    with device_server() as running:
        yield running


def remote(server: DeviceServer, ca_file: str = "") -> Remote:
    return Remote(origin_of(server.url), "/oauth2", ca_file)


def test_a_form_is_answered(server: DeviceServer) -> None:
    assert remote(server).post("authorize", scope="a b&c")["interval"] == 1
    (asked,) = server.asked
    assert asked.form == {"scope": "a b&c"}
    assert asked.headers["User-Agent"].startswith("auth-proxy/")


def test_no_redirect_is_followed(server: DeviceServer) -> None:
    for status in (301, 302, 303, 307, 308):
        server.away = status
        with pytest.raises(Failure, match=f"answered {status}: no sign-in for terminals"):
            remote(server).post("token", refresh_token="x")
    assert set(server.paths()) == {"/oauth2/device/token"}


@pytest.mark.parametrize("status", [404, 405, 204])
def test_where_it_is_not_is_said(server: DeviceServer, status: int) -> None:
    server.away = status
    with pytest.raises(Failure, match=r"it needs tokens.terminal, and --prefix"):
        remote(server).post("authorize")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_trouble_that_may_pass(server: DeviceServer, status: int) -> None:
    server.away = status
    with pytest.raises(Unreachable, match=f"answered {status}"):
        remote(server).post("authorize")


def test_a_refusal_has_its_word(server: DeviceServer) -> None:
    with pytest.raises(Refused) as caught:
        remote(server).post("token", grant_type="refresh_token", refresh_token="apx_rSecret")
    assert caught.value.error == "invalid_grant"
    assert str(caught.value) == f"{server.url}: it has ended"


def test_nobody_listens(free_port: int) -> None:
    with pytest.raises(Unreachable, match="cannot be reached: Connection refused"):
        Remote(origin_of(f"http://127.0.0.1:{free_port}"), "/oauth2").post("authorize")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html", id="a page"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", id="a list"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", id="cut off"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 400_000, id="without an end"),
        pytest.param(b'HTTP/1.1 400 No\r\n\r\n{"error": [1]}', id="no word"),
        pytest.param(b"\x1b[2J\r\n\r\n", id="no HTTP"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(data: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            accepted, _ = listening.accept()
            with accepted:
                accepted.recv(65536)
                try:
                    accepted.sendall(data)
                    accepted.shutdown(socket.SHUT_WR)
                    while accepted.recv(65536):
                        pass
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(Failure) as caught:
            Remote(origin_of(url), "/oauth2").post("authorize")
        thread.join()
    assert str(caught.value).isprintable()


def test_tls_is_verified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, other = Authority(folder), Authority(folder, "other")
    with device_server(authority.server("127.0.0.1")) as server:
        assert remote(server, ca_file=str(authority.file)).post("authorize")
        for file in ("", str(other.file)):
            with pytest.raises(Failure, match=r"certificate is not trusted .* --ca-file"):
                remote(server, ca_file=file).post("authorize")
        with pytest.raises(Failure, match=r"none\.pem: no certificates can be read there"):
            remote(server, ca_file="none.pem").post("authorize")
    with device_server(authority.server("app.example.org")) as server:
        with pytest.raises(Failure, match="not trusted"):
            remote(server, ca_file=str(authority.file)).post("authorize")
        assert server.asked == []


def test_the_networks_proxy_is_asked_for_a_tunnel_and_sees_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = b""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            nonlocal heard
            accepted, _ = listening.accept()
            with accepted:
                heard = accepted.recv(65536)
                accepted.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        port = listening.getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://ann:hunter%32@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(Unreachable, match="403"):
            Remote(origin_of("https://app.example.org"), "/oauth2").post("token", x="apx_rSecret")
        thread.join()
    assert heard.startswith(b"CONNECT app.example.org:443 HTTP/1.")
    assert b"Proxy-Authorization: Basic YW5uOmh1bnRlcjI=" in heard
    assert b"apx_rSecret" not in heard


def test_this_machine_is_asked_without_a_proxy(
    server: DeviceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert remote(server).post("authorize")


@pytest.mark.parametrize(
    "url", ["https://proxy.example.org", "socks5://h:1", "http://:x", "http://"]
)
def test_a_proxy_that_is_none_is_said(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", url)
    with pytest.raises(Failure, match="https_proxy must be"):
        Remote(origin_of("https://app.example.org"), "/oauth2").post("authorize")


def test_tokens_are_given_back(server: DeviceServer) -> None:
    server.good, server.refreshing = {"a"}, {"b"}
    assert remote(server).revoke("b", "a", "")
    assert (server.good, server.refreshing) == (set(), set())
    server.away = 503
    assert not remote(server).revoke("a")
