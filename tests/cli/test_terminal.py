"""Who is at the terminal: one line for failures, and choices."""

from __future__ import annotations

import argparse
import io

import pytest

from proxy.cli.origin import Failure
from proxy.cli.terminal import choose, ending, has_person, open_browser, say


def failing(error: BaseException) -> int:
    def act(_: argparse.Namespace) -> int:
        raise error

    return ending("token", act)(argparse.Namespace())


def test_a_failure_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(Failure("it rains")) == 1
    assert capsys.readouterr() == ("", "auth-proxy token: it rains\n")


def test_an_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "\n"


def test_nobody_is_there_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert not has_person()


def test_what_is_said_is_not_output(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        pytest.param("2\n", "dev", id="a number"),
        pytest.param(" dev \n", "dev", id="a name"),
        pytest.param("7\n1\n", "7", id="a name that is a number"),
        pytest.param("0\n9\nnobody\n\n1\n", "admins", id="again, after what is none"),
    ],
)
def test_a_group_is_chosen(typed: str, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert choose(["admins", "dev", "7"]) == chosen


def test_nothing_chosen_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x"))
    with pytest.raises(Failure, match="--group"):
        choose(["admins", "\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_without_windows_there_is_no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert not open_browser("https://app.example.org/oauth2/device")
