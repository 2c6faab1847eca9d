"""auth-proxy check."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from tests.config.configurations import SECRET, SEVERAL
from tests.fakes.authority import Authority


def test_a_valid_configuration_is_summed_up_without_secrets(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--access-email-domains", "example.org"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("configuration is valid\n")
    assert "https://app.example.org/oauth2/sign_in" in captured.out
    assert "by e-mail" in captured.out
    assert "12h, 4h when idle, in cookies" in captured.out
    assert "tiger" not in captured.out
    assert SECRET not in captured.out


def test_the_summary_says_when_everyone_may_enter(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check"]) == 0
    assert "everyone that the provider signs in" in capsys.readouterr().out


def test_several_providers_roles_and_rules_are_summed_up(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = """\
roles: [{name: admin, groups: [admins]}, {name: user}]
default_role: user
access: {emails: [a@b.example], max_age: 1h, any: [{roles: [admin]}, {networks: [10.0.0.0/8]}]}
provisioning: {url: /users/me}
debug: {enabled: true, roles: [admin]}
"""
    config.write_text(SEVERAL + more, encoding="utf-8")
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    for line in (
        ["provider", "google: https://accounts.google.com (preset google)"],
        ["provider", "partners: https://idp.example.org/"],
        ["roles", "admin, user; user for all others"],
        ["provisions", "/users/me"],
        ["debug", "/oauth2/debug, for admin"],
    ):
        assert line in lines
    assert "by e-mail, age of the sign-in, combined rules" in out
    assert "tiger" not in out
    assert "zebra" not in out


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        pytest.param("groups: {all: [a]}", "groups", id="groups"),
        pytest.param("emails_file: addresses.txt", "e-mail", id="a file of addresses"),
        pytest.param("roles: [a]", "roles", id="roles"),
        pytest.param("claims: [{claim: a, present: true}]", "claims", id="claims"),
        pytest.param("providers: [default]", "providers", id="providers"),
        pytest.param("{acr_values: [a], amr: [mfa]}", "acr, amr", id="strength"),
        pytest.param("{methods: [GET], networks: [10.0.0.0/8]}", "methods, networks", id="request"),
        pytest.param("not: {roles: [a]}", "combined rules", id="not"),
    ],
)
def test_the_kinds_of_conditions_are_named(
    rule: str, words: str, config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "addresses.txt").write_text("a@b.example\n")
    text = config.read_text(encoding="utf-8")
    rule = rule if rule.startswith("{") else f"{{{rule}}}"
    config.write_text(f"{text}access: {rule}\n", encoding="utf-8")
    assert main(["check"]) == 0
    assert ["lets in", f"by {words}"] in [
        [line[2:14].strip(), line[14:].strip()] for line in capsys.readouterr().out.splitlines()
    ]


def test_a_bad_configuration_exits_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text(config.read_text(encoding="utf-8") + "nonsense: 1\n", encoding="utf-8")
    assert main(["check"]) == 2
    assert "proxy.cfg:9: nonsense: unknown option" in capsys.readouterr().err


def test_addresses_are_shown_and_the_certificate_is_read(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = ["--server-listen", "127.0.0.1:1,unix:/x", "--server-tls-listen", "127.0.0.1:2"]
    assert main(["check", *listen, "--server-certificate-file", "nowhere.pem"]) == 2
    assert "server.certificate_file: nowhere.pem: No such file" in capsys.readouterr().err
    assert main(["check", *listen[:2]]) == 0
    assert "127.0.0.1:1, unix:/x" in capsys.readouterr().out


def test_the_summary_says_what_listens_how_and_with_how_many_workers(
    config: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path).issue("app.example.org")
    flags = {
        "listen": "127.0.0.1:1,unix:/x", "tls-listen": "127.0.0.1:2", "redirect-http": "true",
        "certificate-file": str(certificate), "key-file": str(key), "workers": "auto",
    }  # fmt: skip
    assert main(["check", *(f"--server-{name}={value}" for name, value in flags.items())]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["private", "127.0.0.1:4181"] in lines
    assert ["workers", "auto: one for each processor"] in lines
    shown = "listens on   127.0.0.1:1 (redirects to https), unix:/x, 127.0.0.1:2 (TLS)"
    assert shown.split(maxsplit=1) in lines
    assert main(["check", "--server-private-listen", "off", "--server-workers", "3"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["private", "off"] in lines
    assert ["workers", "3"] in lines


def test_the_files_of_a_session_store_are_looked_at(
    config: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "none" / "sessions.db"
    flags = ["--session-store", "file", "--session-file", str(file)]
    assert main(["check", *flags]) == 2
    assert f"session.file: {file.parent}: No such file or directory" in capsys.readouterr().err
    file.parent.mkdir()
    assert main(["check", *flags]) == 0
    assert "4h when idle, in session.file" in capsys.readouterr().out
    redis = ["--redis-url", "rediss://:zebra-in-the-zoo@redis", "--redis-ca-file", "none.pem"]
    assert main(["check", "--session-store", "redis", *redis]) == 2
    said = capsys.readouterr().err
    assert "--redis-ca-file: redis.ca_file: none.pem: No such file" in said
    assert "zebra" not in said
