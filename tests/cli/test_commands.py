"""The entry point."""

from __future__ import annotations

import pytest

from proxy import __version__
from proxy.cli import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"auth-proxy {__version__}\n"


def test_help_lists_the_commands_of_an_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    names = ("serve", "demo", "check", "keys", "sessions", "urls", "healthcheck", "login", "logout")
    for name in names:
        assert f"\n    {name}" in out
    assert "generate" not in out


@pytest.mark.parametrize(
    "name",
    [
        *("serve", "demo", "check", "keys", "sessions", "urls", "healthcheck", "generate"),
        *("login", "token", "logout", "credential-helper"),
    ],
)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: auth-proxy {name}")


def test_without_a_command_the_proxy_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "needed and not set: public_url" in capsys.readouterr().err
