"""Rules about addresses to listen on and TLS, through the loader."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.config.configurations import MINIMAL, problems_of

TLS = {"server.tls_listen": ":443", "server.certificate_file": "a.pem"}


def reported(flags: Mapping[str, str]) -> str:
    return "\n".join(problems_of(MINIMAL, flags=dict(flags)))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"server.listen": "off"}, "server.listen: is off", id="nothing at all"),
        pytest.param(
            {"server.listen": "127.0.0.1:4181"},
            "server.private_listen: must differ from server.listen (127.0.0.1:4181)",
            id="public and private on one port",
        ),
        pytest.param(
            TLS | {"server.listen": ":443"},
            "server.tls_listen: must differ from server.listen",
            id="TLS and plain on one port",
        ),
        pytest.param(
            {"server.listen": "unix:/a,unix:/a"}, "server.listen: names unix:/a twice", id="twice"
        ),
        pytest.param(
            {"server.listen": "systemd", "server.private_listen": "systemd"},
            "server.private_listen: must differ",
            id="the same sockets of systemd",
        ),
        pytest.param(
            {"server.tls_listen": ":443"},
            "server.certificate_file: is needed for server.tls_listen",
            id="TLS without a certificate",
        ),
        pytest.param(
            {"server.key_file": "a.key"}, "server.key_file: is of no use", id="a key without TLS"
        ),
        pytest.param(
            {"server.redirect_http": "true"},
            "server.redirect_http: leads to TLS: it needs server.tls_listen",
            id="a redirect to nowhere",
        ),
        pytest.param(
            TLS | {"server.redirect_http": "true", "public_url": "http://localhost"},
            "server.redirect_http: needs an https public_url",
            id="a redirect to itself",
        ),
        pytest.param(
            TLS | {"server.redirect_http": "true", "server.listen": "off"},
            "server.redirect_http: is for plain TCP",
            id="a redirect from nowhere",
        ),
        pytest.param(
            TLS | {"server.redirect_http": "true", "server.listen": "unix:/run/a.sock"},
            "server.redirect_http: is for plain TCP",
            id="a redirect from a unix socket only",
        ),
        pytest.param(
            {"server.listen": ":8080,127.0.0.1:8080"},
            "server.listen: 127.0.0.1:8080 collides with our own :8080 in server.listen",
            id="every address and one of them",
        ),
        pytest.param(
            {"server.listen": "[::1]:8080", "server.private_listen": "[::]:8080"},
            "server.private_listen: [::]:8080 collides with our own [::1]:8080 in server.listen",
            id="every IPv6 address for another option",
        ),
        pytest.param(
            {"server.listen": "localhost:1,LOCALHOST:1,localhost:1"},
            "server.listen: names localhost:1 twice",
            id="a name twice",
        ),
        pytest.param(
            TLS | {"auth.disabled": "true"},
            "auth.disabled: would let anyone in through :443",
            id="no authentication, by TLS",
        ),
        pytest.param(
            {"server.listen": "systemd", "auth.disabled": "true"},
            "auth.disabled: would let anyone in through systemd",
            id="no authentication, wherever systemd listens",
        ),
    ],
)
def test_what_does_not_fit_together(flags: Mapping[str, str], expected: str) -> None:
    assert expected in reported(flags)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(TLS, id="TLS and plain"),
        pytest.param(TLS | {"server.listen": "off"}, id="TLS only"),
        pytest.param(TLS | {"server.redirect_http": "true"}, id="redirect to TLS"),
        pytest.param(
            {"server.listen": "127.0.0.1:0", "server.private_listen": "127.0.0.1:0"},
            id="any ports",
        ),
        pytest.param({"server.listen": ":8080,[::]:8080"}, id="IPv4 and IPv6"),
        pytest.param({"server.listen": ":0,127.0.0.1:0"}, id="any ports, everywhere and here"),
        pytest.param(
            TLS | {"server.redirect_http": "true", "server.listen": "systemd:http"},
            id="redirect of a socket of systemd",
        ),
        pytest.param(
            {"server.listen": "systemd:http", "server.private_listen": "systemd"},
            id="sockets of systemd",
        ),
        pytest.param(
            {"server.listen": "unix:/run/a.sock,[::1]:1", "auth.disabled": "true"},
            id="no authentication on this machine",
        ),
    ],
)
def test_what_fits(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""
