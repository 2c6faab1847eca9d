"""auth-proxy explain: exit codes, and what stands on the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.cli import main
from tests.config.configurations import SECRET, SEVERAL

RULES = """\
access: {email_domains: [example.org]}
routes:
  - path: /open/*
    access: public
  - path: /admin/*
    rule: {name: administrators, groups: {any: [admins]}, remedy: Ask the help desk.}
"""
ADA = ("--email", "ada@example.org", "--groups", "admins")


@pytest.fixture
def rules(config: Path) -> Path:
    config.write_text(config.read_text(encoding="utf-8") + RULES, encoding="utf-8")
    return config


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param((*ADA, "GET", "/admin/x"), 0, "verdict     allowed", id="allowed"),
        pytest.param(("GET", "/open/x"), 0, "without anybody's identity", id="open"),
        pytest.param(("GET", "/ping"), 0, "our own endpoint ping", id="ours"),
        pytest.param(
            ("--email", "bob@example.org", "GET", "/admin/x"), 1,
            "refused: group_not_allowed, by administrators; they are told: Ask the help desk.",
            id="refused",
        ),
        pytest.param(("get", "https://app.example.org/x"), 1, "sent to sign in", id="nobody"),
        pytest.param((*ADA, "GET", "/oauth2/x"), 1, "refused: not_found", id="not found"),
    ],
)  # fmt: skip
def test_the_exit_status_says_it_and_the_text_why(
    rules: Path,
    arguments: tuple[str, ...],
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["explain", *arguments]) == status
    shown = capsys.readouterr()
    assert words in shown.out
    assert shown.err == ""
    assert "tiger" not in shown.out
    assert SECRET not in shown.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("GET",), "the following arguments are required: URL", id="no URL"),
        pytest.param(("GET", "x"), "neither a URL nor a path", id="no such URL"),
        pytest.param(("--provider", "x", "GET", "/"), "--provider x: there are default", id="who?"),
        pytest.param(("--client", "x", "GET", "/"), "does not appear to be an IPv4", id="where?"),
        pytest.param(("--claims", "x.json", "GET", "/"), "No such file", id="no file"),
        pytest.param(("--signed-in", "x", "GET", "/"), "duration", id="when?"),
        pytest.param(("--emial", "a@b", "GET", "/"), "did you mean --email", id="a slip"),
        pytest.param(("--upstream", "nowhere", "GET", "/"), "the configuration has", id="options"),
    ],
)
def test_a_mistake_exits_2(
    rules: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert words in shown.err


def test_a_list_that_rules_need_and_nobody_has_is_a_mistake_of_the_configuration(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--access-emails-file", "/nowhere/list", *ADA, "GET", "/x"]) == 2
    assert "/nowhere/list" in capsys.readouterr().err


def test_programs_get_json(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--json", *ADA, "--client", "192.0.2.7", "GET", "/admin/x"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["allowed"] is True
    assert found["request"] == {"method": "GET", "url": "/admin/x", "client": "192.0.2.7"}
    assert found["sign_in"]["identity"]["email"] == "ada@example.org"
    browser, program = found["answers"]
    assert (browser["client"], program["client"]) == ("browser", "program")
    assert browser["route"] == {"path": "/admin/*", "access": "required"}
    assert browser["upstream"]["jwt"]["groups"] == ["admins"]
    assert ["X-Forwarded-For", "192.0.2.7"] in browser["upstream"]["headers"]


def test_one_of_several_providers_is_chosen(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(SEVERAL, encoding="utf-8")
    assert main(["explain", "--provider", "partners", "--sub", "7", "GET", "/"]) == 0
    assert "sign-in     at partners: allowed" in capsys.readouterr().out
    assert main(["explain", "--sub", "7", "GET", "/"]) == 0
    assert "sign-in     at google: allowed" in capsys.readouterr().out
