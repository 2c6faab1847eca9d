"""Which file, and how problems are printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.arguments import Parser, add_config, add_options
from proxy.cli.sources import Configuration
from proxy.errors import ConfigError
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


def configuration(*arguments: str) -> Configuration:
    parser = Parser()
    add_config(parser)
    add_options(parser)
    return Configuration(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(None, "proxy.cfg: the file cannot be read: No such file", id="vanished"),
        pytest.param("", "proxy.cfg: the file is empty, and was not before", id="emptied"),
        pytest.param("\n# nothing\n", "the file is empty", id="only a comment"),
    ],
)
def test_the_file_that_was_found_at_the_start_stays_the_one(
    config: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, told: str
) -> None:
    """Although the environment alone would do."""
    for name, value in MINIMAL_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    again = configuration()
    again.read()
    if text is None:
        config.unlink()
    else:
        config.write_text(text)
    for _ in range(2):
        with pytest.raises(ConfigError, match=told):
            again.read()
    config.write_text(MINIMAL)
    assert again.read().public_url == "https://app.example.org"


def test_a_file_that_was_empty_from_the_start_may_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in MINIMAL_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (folder / "proxy.cfg").write_text("# all in the environment\n")
    again = configuration()
    assert again.read() == again.read()


def test_what_is_found_later_is_located_with_what_was_read_last(config: Path) -> None:
    again = configuration("--provider-ca-file", "/none.pem")
    assert again.locate("server.listen: taken") == "server.listen: taken", "nothing was read"
    config.write_text(f"{MINIMAL}\nserver:\n  listen: :80\n")
    again.read()
    line = len(config.read_text().splitlines())
    assert again.locate("server.listen: taken") == f"proxy.cfg:{line}: server.listen: taken"
    config.write_text(f"\n{config.read_text()}")
    again.read()
    assert again.locate("server.listen: taken") == f"proxy.cfg:{line + 1}: server.listen: taken"
    problem = "provider.ca_file: /none.pem: gone"
    assert again.locate(problem) == f"--provider-ca-file: {problem}"
