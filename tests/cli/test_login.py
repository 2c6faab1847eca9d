"""auth-proxy login, against a small honest proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.cli.login import Waiting
from proxy.cli.origin import Failure, origin_of
from proxy.cli.remote import Remote
from proxy.cli.stored import Drawer, Stored
from tests.cli.terminals import allow, at_a_terminal, deny
from tests.fakes.authority import Authority
from tests.fakes.device import DeviceServer, Waits, device_server


@pytest.fixture
def config_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return folder / "config"


@pytest.fixture
def server(config_home: Path) -> Iterator[DeviceServer]:
    with device_server() as running:
        running.interval = 0
        running.on_ask = allow
        yield running


def kept(config_home: Path, url: str) -> Stored | None:
    return Drawer(config_home / "auth-proxy").get(origin_of(url))


def test_a_terminal_is_signed_in(
    server: DeviceServer, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", server.url]) == 0
    stored = kept(config_home, server.url)
    assert stored is not None
    assert stored.token in server.good
    assert stored.refresh_token in server.refreshing
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"Open   {server.url}/oauth2/device\nand type   BCDF-GHJK\nSigned in at")
    for secret in (stored.token, stored.refresh_token, server.asked[1].form["device_code"]):
        assert secret not in err
    assert all(asked.path.startswith("/oauth2/device/") for asked in server.asked)


def test_signing_in_again_gives_the_old_tokens_back(
    server: DeviceServer, config_home: Path
) -> None:
    assert main(["login", server.url]) == 0
    old = kept(config_home, server.url)
    assert main(["login", server.url]) == 0
    new = kept(config_home, server.url)
    assert old is not None
    assert new is not None
    assert server.good == {new.token}
    assert server.refreshing == {new.refresh_token}


def test_a_denial_keeps_nothing(
    server: DeviceServer, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.on_ask = deny
    assert main(["login", server.url]) == 1
    assert "the sign-in was denied in the browser" in capsys.readouterr().err
    assert kept(config_home, server.url) is None


def in_groups(*groups: str) -> Any:
    def decide(waits: Waits) -> None:
        waits.state, waits.groups = "allowed", groups

    return decide


@pytest.mark.parametrize(
    ("groups", "arguments", "words"),
    [
        pytest.param(("dev",), [], "", id="in one only"),
        pytest.param(("dev", "admins"), ["--group", "dev"], "", id="said before"),
        pytest.param(
            ("dev", "admins"), [], "say --group with one of dev, admins", id="nobody to ask"
        ),
        pytest.param(
            ("dev", "admins"), ["--group", "x"], "x is none of your groups", id="not theirs"
        ),
    ],
)
def test_groups(
    server: DeviceServer,
    groups: tuple[str, ...],
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    server.on_ask = in_groups(*groups)
    assert main(["login", server.url, *arguments]) == (1 if words else 0)
    assert words in capsys.readouterr().err


def test_a_person_is_asked_for_the_group_and_shown_a_browser(
    server: DeviceServer, config_home: Path, folder: Path
) -> None:
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" >> {folder}/opened\n')
    browser.chmod(0o755)
    server.on_ask = in_groups("dev", "admins")
    environ = {"XDG_CONFIG_HOME": str(config_home), "BROWSER": f"{browser} %s"}
    status, seen = at_a_terminal(["login", server.url], "2\n", environ)
    assert (status, "1. dev\r\n  2. admins" in seen) == (0, True), seen
    assert server.asked[-1].form["team_id"] == "admins"
    # No code in its arguments, which everybody on this machine may read.
    assert (folder / "opened").read_text() == f"{server.url}/oauth2/device\n"

    status, seen = at_a_terminal(["login", "--no-browser", server.url], "1\n", environ)
    assert (status, (folder / "opened").read_text().count("\n")) == (0, 1)


def test_tls_with_an_authority_of_ones_own_is_remembered(config_home: Path, folder: Path) -> None:
    authority = Authority(folder)
    with device_server(authority.server("127.0.0.1")) as server:
        server.interval, server.on_ask = 0, allow
        assert main(["login", server.url]) == 1
        assert main(["login", server.url, "--ca-file", authority.file.name]) == 0
        stored = kept(config_home, server.url)
        assert stored is not None
        assert stored.ca_file == str(authority.file)
        assert main(["logout", server.url]) == 0
        assert server.good == server.refreshing == set()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["http://app.example.org"], "use https", id="http"),
        pytest.param(["app.example.org"], "as https://app.example.org", id="no address"),
        pytest.param(["https://h", "--prefix", "x"], "not a path such as /oauth2", id="prefix"),
    ],
)
def test_mistakes_are_said(
    arguments: list[str], words: str, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), words in err) == ("", 1, True), err


def test_a_broken_file_is_said_before_anybody_signs_in(
    server: DeviceServer, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", server.url]) == 0
    (config_home / "auth-proxy" / "tokens.json").write_text("{")
    server.asked.clear()
    assert main(["login", server.url]) == 1
    assert server.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://app.example.org/oauth2/device",
        "https://app.example.org/\x1b[2J",
        "https://app.example.org/ --new-window",
        "https://[",
        "https://",
        "-h",
    ],
)
def test_no_other_address_gets_to_a_browser(
    server: DeviceServer, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.verification_uri = address
    assert main(["login", server.url]) == 1
    assert "none for a browser" in capsys.readouterr().err


class Slept:
    """A clock that goes on as somebody sleeps."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def clock(self) -> float:
        return sum(self.pauses)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def waiting(server: DeviceServer, slept: Slept) -> Waiting:
    remote = Remote(origin_of(server.url), "/oauth2")
    return Waiting(remote, remote.post("authorize"), "", slept.clock, slept.sleep)


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        pytest.param([], [2], id="at once"),
        pytest.param(["authorization_pending"] * 2, [2, 2, 2], id="pending"),
        pytest.param(["slow_down", "authorization_pending"], [2, 7, 7], id="slower from now on"),
        pytest.param(["slow_down"] * 2, [2, 7, 12], id="and slower"),
        pytest.param(["503", "503"], [2, 4, 8], id="away for a while"),
        pytest.param(["429"], [2, 4], id="too many"),
    ],
)
def test_it_asks_as_often_as_it_is_told(
    server: DeviceServer, answers: list[str], pauses: list[float]
) -> None:
    server.interval, server.answers = 2, answers
    slept = Slept()
    assert "access_token" in waiting(server, slept).answer()
    assert slept.pauses == pauses


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param("expired_token", "nobody confirmed it in time; run again", id="expired"),
        pytest.param("access_denied", "denied in the browser", id="denied"),
        pytest.param("invalid_grant", "invalid_grant", id="used up"),
    ],
)
def test_an_end_is_an_end(server: DeviceServer, answer: str, words: str) -> None:
    server.answers = [answer]
    with pytest.raises(Failure, match=words):
        waiting(server, Slept()).answer()


def test_nobody_is_waited_for_longer_than_the_code_lives(server: DeviceServer) -> None:
    server.on_ask, server.interval = None, 50
    slept = Slept()
    with pytest.raises(Failure, match="nobody confirmed it in time"):
        waiting(server, slept).answer()
    assert len(slept.pauses) == 12


@pytest.mark.parametrize(
    "changed", [{"interval": float("nan")}, {"interval": -1, "expires_in": 10**400}]
)
def test_numbers_that_are_none_do_no_harm(server: DeviceServer, changed: dict[str, Any]) -> None:
    slept = Slept()
    wait = waiting(server, slept)
    wait.asked = {**wait.asked, **changed}
    assert "access_token" in wait.answer()
    assert slept.pauses == [5]
