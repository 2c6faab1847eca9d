"""Which file, and how problems are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from tests.config.configurations import MINIMAL, MINIMAL_ENVIRONMENT


def public_url(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["check", *arguments]) == 0
    return capsys.readouterr().out.split("public URL")[1].split()[0]


def named(folder: Path, name: str) -> Path:
    path = folder / f"{name}.cfg"
    path.write_text(MINIMAL.replace("app.example", f"{name}.example"), encoding="utf-8")
    return path


def test_the_file_is_the_flag_else_the_variable_else_proxy_cfg(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named(folder, "proxy")
    assert public_url(capsys) == "https://proxy.example.org"
    monkeypatch.setenv("AUTH_PROXY_CONFIG", str(named(folder, "variable")))
    assert public_url(capsys) == "https://variable.example.org"
    flag = str(named(folder, "flag"))
    assert public_url(capsys, "--config", flag) == "https://flag.example.org"


def test_the_environment_alone_will_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in MINIMAL_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert public_url(capsys) == "https://app.example.org"
    assert public_url(capsys, "--public-url", "https://b.example.org") == "https://b.example.org"


@pytest.mark.parametrize("command", ["serve", "check", "urls"])
def test_a_file_that_does_not_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--config", "/none.cfg"]) == 2
    assert "/none.cfg: the file cannot be read: No such file" in capsys.readouterr().err


def test_a_file_that_is_no_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "proxy.cfg").write_bytes(b"\xff\xfe")
    assert main(["check"]) == 2
    assert "proxy.cfg: the file is not UTF-8 text" in capsys.readouterr().err


def test_a_secret_file_that_is_no_text(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "s").write_bytes(b"\xff\xfe")
    assert main(["check", "--cookie-secret-file", "s"]) == 2
    assert "--cookie-secret-file: cookie.secret: the file cannot be read: it is not UTF-8" in (
        capsys.readouterr().err
    )


def test_problems_stand_one_on_a_line_under_a_heading(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--log-level", "loud", "--log-access", "maybe"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    heading, *lines = captured.err.splitlines()
    assert heading == "the configuration has 2 problems:"
    assert [line.split(":")[0] for line in lines] == ["  --log-level", "  --log-access"]
