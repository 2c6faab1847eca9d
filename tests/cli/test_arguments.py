"""Flags made from the declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.arguments import Parser, add_config, add_options, given_options
from proxy.config.declaration import options


def parse(*arguments: str) -> dict[str, str]:
    parser = Parser()
    add_options(parser)
    return dict(given_options(parser.parse_args(arguments)))


def test_every_option_is_a_flag() -> None:
    for option in options():
        assert parse(option.flag, "x") == {option.key: "x"}


def test_help_names_every_option() -> None:
    parser = Parser()
    add_options(parser)
    text = parser.format_help()
    assert [option.flag for option in options() if f"{option.flag} " not in text] == []
    assert parser.format_help() == text


@pytest.mark.parametrize(
    ("arguments", "declared"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param(["--config", "a"], False, id="the file"),
        pytest.param(["--config=a"], False, id="the file, after ="),
        pytest.param(["-ca"], True, id="the file, the short way"),
        pytest.param(["-c", "a", "--log-level=info"], True, id="an option"),
    ],
)
def test_options_are_declared_when_one_is_given(arguments: list[str], declared: bool) -> None:
    parser = Parser()
    add_config(parser)
    add_options(parser)
    parsed = parser.parse_args(arguments)
    assert parsed.config == ("a" if arguments else None)
    assert (parser.later is None) is declared


def test_only_flags_that_were_given_count() -> None:
    assert parse() == {}
    assert parse("--server-private-listen", "") == {"server.private_listen": ""}


def test_a_switch_needs_no_value() -> None:
    assert parse("--auth-disabled") == {"auth.disabled": "true"}
    assert parse("--auth-disabled=false") == {"auth.disabled": "false"}


def test_a_secret_can_come_from_a_file() -> None:
    assert parse("--cookie-secret-file", "/s") == {"cookie.secret_file": "/s"}


def test_an_unknown_flag_names_the_nearest(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--provider-clientid", "x"]) == 2
    assert "did you mean --provider-client-id?" in capsys.readouterr().err
