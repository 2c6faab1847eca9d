"""auth-proxy token: alone on standard output, or as kubectl reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.origin import origin_of
from proxy.cli.stored import Drawer, Stored
from proxy.cli.token import exec_credential
from tests.fakes.device import DeviceServer, device_server

V1 = "client.authentication.k8s.io/v1"


@pytest.fixture
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Drawer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.delenv("KUBERNETES_EXEC_INFO", raising=False)
    return Drawer(folder / "auth-proxy")


@pytest.fixture
def server(kept: Drawer) -> Iterator[DeviceServer]:
    with device_server() as running:
        running.refreshing.add("apx_rOld")
        ends = time.time() + 1000
        kept.put(origin_of(running.url), Stored("apx_tOld", "apx_rOld", ends))
        yield running


def test_it_is_printed_alone(server: DeviceServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", server.url]) == 0
    assert capsys.readouterr() == ("apx_tOld\n", "")


def test_it_is_renewed_when_it_ends(
    server: DeviceServer, kept: Drawer, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.put(origin_of(server.url), Stored("apx_tOld", "apx_rOld", time.time() + 5))
    assert main(["token", server.url]) == 0
    assert {capsys.readouterr().out.strip()} == server.good


def test_another_origin_gets_nothing(
    server: DeviceServer, capsys: pytest.CaptureFixture[str]
) -> None:
    other = server.url.replace("127.0.0.1", "localhost")
    assert main(["token", other]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        f"auth-proxy token: not signed in at {other}; run: auth-proxy login {other}\n",
    )


@pytest.mark.parametrize(
    ("told", "version"),
    [
        pytest.param("", V1, id="not told"),
        pytest.param(json.dumps({"apiVersion": V1, "spec": {"interactive": False}}), V1, id="v1"),
        pytest.param(json.dumps({"apiVersion": f"{V1}beta1"}), f"{V1}beta1", id="v1beta1"),
    ],
)
def test_kubectl_gets_the_version_that_it_wants(
    told: str,
    version: str,
    server: DeviceServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", told)
    assert main(["token", server.url, "--kubectl"]) == 0
    credential = json.loads(capsys.readouterr().out)
    assert (credential["apiVersion"], credential["kind"]) == (version, "ExecCredential")
    assert credential["status"]["token"] == "apx_tOld"


@pytest.mark.parametrize("told", ["{", "[]", '{"apiVersion": "client.authentication.k8s.io/v2"}'])
def test_an_unknown_version_is_refused(
    told: str,
    server: DeviceServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", told)
    assert main(["token", server.url, "--kubectl"]) == 1
    assert capsys.readouterr().out == ""
    assert main(["token", server.url]) == 0


def test_the_end_is_told_in_utc() -> None:
    credential = json.loads(exec_credential(Stored("t", "", 1_800_000_000.9), V1))
    assert credential["status"]["expirationTimestamp"] == "2027-01-15T08:00:00Z"
