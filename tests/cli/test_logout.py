"""auth-proxy logout: revoked there and forgotten here, the latter in any case."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.origin import origin_of
from proxy.cli.stored import Drawer, Stored
from tests.fakes.device import DeviceServer, device_server


@pytest.fixture
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Drawer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return Drawer(folder / "auth-proxy")


@pytest.fixture
def server(kept: Drawer) -> Iterator[DeviceServer]:
    with device_server() as running:
        running.good, running.refreshing = {"apx_tOld"}, {"apx_rOld"}
        kept.put(origin_of(running.url), Stored("apx_tOld", "apx_rOld", 1e9))
        yield running


def test_both_tokens_are_revoked(
    server: DeviceServer, kept: Drawer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["logout", server.url]) == 0
    assert capsys.readouterr().err == f"Signed out at {server.url}.\n"
    assert server.good == server.refreshing == set()
    assert kept.get(origin_of(server.url)) is None


def test_they_are_forgotten_when_the_proxy_is_away(
    server: DeviceServer, kept: Drawer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.away = 502
    assert main(["logout", server.url]) == 1
    assert f"Forgotten here, but {server.url} could not be told" in capsys.readouterr().err
    assert kept.get(origin_of(server.url)) is None


def test_nothing_is_to_be_done_twice(
    server: DeviceServer, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["logout", server.url])
    server.asked.clear()
    assert main(["logout", server.url]) == 0
    assert f"Not signed in at {server.url}." in capsys.readouterr().err
    assert server.asked == []
