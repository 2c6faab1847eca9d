"""auth-proxy credential-helper, as git asks it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.origin import origin_of
from proxy.cli.stored import Drawer, Stored
from tests.fakes.device import DeviceServer, device_server

ENDS = int(time.time()) + 1000


@pytest.fixture
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Drawer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return Drawer(folder / "auth-proxy")


@pytest.fixture
def server(kept: Drawer) -> Iterator[DeviceServer]:
    with device_server() as running:
        running.refreshing.add("apx_rOld")
        kept.put(origin_of(running.url), Stored("apx_tOld", "apx_rOld", ENDS))
        yield running


class Git:
    """Asks as git does, and reads the answer."""

    def __init__(
        self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._protocol, _, self._host = url.partition("://")
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.complaints = ""

    def ask(self, operation: str, *more: str) -> list[str]:
        lines = [*more, f"protocol={self._protocol}", f"host={self._host}", "", "ignored=x"]
        self._monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        assert main(["credential-helper", operation]) == 0
        out, self.complaints = self._capsys.readouterr()
        return out.splitlines()


@pytest.fixture
def git(
    server: DeviceServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Git:
    return Git(server.url, monkeypatch, capsys)


PASSWORD = ["password=apx_tOld", f"password_expiry_utc={ENDS}"]
BEARER = ["capability[]=authtype", "authtype=Bearer", "credential=apx_tOld", "ephemeral=1"]


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        pytest.param([], ["username=auth-proxy", *PASSWORD], id="git before 2.46"),
        pytest.param(["username=ann"], ["username=ann", *PASSWORD], id="a user in the URL"),
        pytest.param(
            ["path=x.git", "wwwauth[]=Bearer"], ["username=auth-proxy", *PASSWORD], id="more"
        ),
        pytest.param(["capability[]=state"], ["username=auth-proxy", *PASSWORD], id="another"),
        pytest.param(["capability[]=authtype", "capability[]=state"], BEARER, id="newer git"),
    ],
)
def test_get(git: Git, more: list[str], answer: list[str]) -> None:
    assert git.ask("get", *more) == answer


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.org",
        "http://app.example.org",
        "smtp://h",
        "cert://",
        "://",
        "https://\0",
    ],
)
def test_for_anybody_else_there_is_nothing(
    url: str,
    kept: Drawer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    git = Git(url, monkeypatch, capsys)
    for operation in ("get", "erase"):
        assert git.ask(operation) == []
        assert git.complaints == ""


def test_a_sign_in_that_has_ended_is_said_and_no_password_is_asked_for(
    git: Git, server: DeviceServer, kept: Drawer
) -> None:
    kept.put(origin_of(server.url), Stored("apx_tOld", "apx_rGone", 0))
    assert git.ask("get") == ["quit=1"]
    assert f"run: auth-proxy login {server.url}" in git.complaints


def test_store_and_what_is_unknown_are_ignored(git: Git, server: DeviceServer) -> None:
    assert git.ask("store", "username=x", "password=y") == []
    assert git.ask("capability") == []
    assert server.asked == []


@pytest.mark.parametrize("secret", ["password=apx_tOld", "credential=apx_tOld"])
def test_a_token_that_was_refused_is_renewed(git: Git, server: DeviceServer, secret: str) -> None:
    assert git.ask("erase", secret) == []
    username, password, _ = git.ask("get")
    assert (username, {password.removeprefix("password=")}) == ("username=auth-proxy", server.good)


def test_another_token_that_was_refused_changes_nothing(git: Git, kept: Drawer) -> None:
    for more in ([], ["password=apx_tOther"], ["password="]):
        git.ask("erase", *more)
    assert git.ask("get") == ["username=auth-proxy", *PASSWORD]


def test_one_that_cannot_be_renewed_is_forgotten(
    git: Git, server: DeviceServer, kept: Drawer
) -> None:
    kept.put(origin_of(server.url), Stored("apx_tOld", "", ENDS))
    git.ask("erase", "password=apx_tOld")
    assert kept.get(origin_of(server.url)) is None
    assert git.ask("get") == []
