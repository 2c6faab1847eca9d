"""Addresses to listen on, as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.listening import (
    Address,
    Systemd,
    Tcp,
    Unix,
    parse_address,
    parse_addresses,
    parse_mode,
)
from proxy.config.settings import Server
from tests.config.configurations import MINIMAL, load_text, problems_of


@pytest.mark.parametrize(
    ("text", "expected", "local"),
    [
        pytest.param("127.0.0.1:4180", Tcp("127.0.0.1", 4180), True, id="an address"),
        pytest.param(" [::1]:4180 ", Tcp("::1", 4180), True, id="IPv6, with spaces around"),
        pytest.param(":443", Tcp("0.0.0.0", 443), False, id="every address"),
        pytest.param("app.example.org:0", Tcp("app.example.org", 0), False, id="a name"),
        pytest.param("unix:/run/a b.sock", Unix("/run/a b.sock"), True, id="a unix socket"),
        pytest.param("unix:4180", Tcp("unix", 4180), False, id="a machine called unix"),
        pytest.param("systemd", Systemd(""), False, id="all that systemd passes"),
        pytest.param("systemd:web", Systemd("web"), False, id="one that systemd passes"),
        pytest.param("systemd:80", Tcp("systemd", 80), False, id="a machine called systemd"),
    ],
)
def test_an_address(text: str, expected: Address, local: bool) -> None:
    assert parse_address(text) == expected
    assert parse_address(text).local is local


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("unix:", "an absolute path", id="no path"),
        pytest.param("unix:run/x", "an absolute path", id="a relative path"),
        pytest.param("unix:/run/", "an absolute path", id="a directory"),
        pytest.param("unix:/\0x", "an absolute path", id="a NUL"),
        pytest.param("unix:/" + "x" * 107, "at most 107 bytes", id="longer than sun_path"),
        pytest.param("systemd:", "systemd:name", id="an empty name"),
        pytest.param("systemd:a:b", "systemd:name", id="a name with a colon"),
        pytest.param("nope", "is not host:port", id="no port"),
        pytest.param("http://a:1", "is not host:port", id="a URL"),
    ],
)
def test_what_is_no_address(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_address(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("127.0.0.1:1", ("127.0.0.1:1",), id="one"),
        pytest.param("[::1]:1, unix:/x", ("[::1]:1", "unix:/x"), id="a text with commas"),
        pytest.param(["a:1", " b:2"], ("a:1", "b:2"), id="a list"),
        pytest.param("off", (), id="off"),
        pytest.param(" ", (), id="nothing"),
        pytest.param([], (), id="an empty list"),
    ],
)
def test_one_address_or_several(value: object, expected: tuple[str, ...]) -> None:
    assert parse_addresses(value) == expected


@pytest.mark.parametrize("value", [None, 4180, [4180], {"a": 1}, "a:1,,b:2", ["off"]])
def test_what_is_no_list_of_addresses(value: object) -> None:
    with pytest.raises(ValueError, match=r"such as 127\.0\.0\.1:4180"):
        parse_addresses(value)


@given(st.text())
def test_only_value_errors(text: str) -> None:
    for parse in (parse_address, parse_addresses, parse_mode):
        try:
            parse(text)
        except ValueError:
            continue


@pytest.mark.parametrize(("text", "mode"), [("0660", 0o660), ("666", 0o666), (0o600, 0o600)])
def test_a_mode(text: object, mode: int) -> None:
    assert parse_mode(text) == mode


@pytest.mark.parametrize("text", ["", "66", "0680", "rw-rw----", "07777", True, 0o1000])
def test_what_is_no_mode(text: object) -> None:
    with pytest.raises(ValueError, match="file mode"):
        parse_mode(text)


def test_every_place_to_write_them() -> None:
    in_file = load_text(MINIMAL + "server:\n  listen: ['[::1]:1', unix:/run/x]\n  unix_mode: 0600")
    assert (in_file.server.listen, in_file.server.unix_mode) == (("[::1]:1", "unix:/run/x"), 0o600)
    by_variable = load_text(MINIMAL, {"AUTH_PROXY_SERVER_LISTEN": "[::1]:1,127.0.0.1:1"})
    assert by_variable.server.listen == ("[::1]:1", "127.0.0.1:1")
    tls = load_text(
        MINIMAL + "server: {tls_listen: ':443', certificate_file: a.pem, tls_minimum: 1.3}"
    )
    assert (tls.server.tls_listen, tls.server.tls_minimum) == ((":443",), "1.3")


def test_a_bad_one_is_named_with_its_line() -> None:
    assert problems_of(MINIMAL + "server:\n  listen: [a:1, nope]")[0].endswith(
        "server.listen: 'nope' is not host:port, such as 127.0.0.1:4180 or [::1]:4180"
    )


def test_what_is_listened_on_when_nothing_is_said() -> None:
    server = Server()
    assert (server.listen, server.private_listen) == (("127.0.0.1:4180",), ("127.0.0.1:4181",))
    assert (server.tls_listen, server.unix_mode) == ((), 0o660)


@pytest.mark.parametrize("option", ["listen", "tls_listen", "private_listen"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('["127.0.0.1:1", "[::1]:2"]', ("127.0.0.1:1", "[::1]:2"), id="JSON"),
        pytest.param(' ["unix:/x"] ', ("unix:/x",), id="spaces around"),
        pytest.param("[]", (), id="an empty list"),
        pytest.param("[::1]:2", ("[::1]:2",), id="an IPv6 address"),
        pytest.param("[::1]:2,unix:/x", ("[::1]:2", "unix:/x"), id="with commas"),
    ],
)
def test_a_list_in_a_variable(option: str, text: str, expected: tuple[str, ...]) -> None:
    environ = {f"AUTH_PROXY_SERVER_{option.upper()}": text}
    environ.setdefault("AUTH_PROXY_SERVER_LISTEN", ":9")
    if option == "tls_listen" and expected:
        environ["AUTH_PROXY_SERVER_CERTIFICATE_FILE"] = "a.pem"
    if option == "listen" and not expected:
        environ["AUTH_PROXY_SERVER_TLS_LISTEN"] = ":9"
        environ["AUTH_PROXY_SERVER_CERTIFICATE_FILE"] = "a.pem"
    assert getattr(load_text(MINIMAL, environ).server, option) == expected


def test_a_list_without_its_end_is_a_problem() -> None:
    [problem] = problems_of(MINIMAL, {"AUTH_PROXY_SERVER_LISTEN": '["127.0.0.1:1"'})
    assert problem.startswith("AUTH_PROXY_SERVER_LISTEN: server.listen: ")
