"""The systemd units of deploy/systemd fit together, and with the page that speaks of them."""

from __future__ import annotations

import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from proxy.config.listening import Systemd, parse_address
from proxy.config.settings import Server
from tests.docs.pages import ROOT, blocks
from tests.docs.test_configs import completed, read

FOLDER = ROOT / "deploy" / "systemd"


def unit(path: Path) -> ConfigParser:
    found = ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(path)
    return found


def documented() -> Server:
    """The section of the page's configuration that listens on systemd's sockets."""
    [text] = [t for _, t in blocks(ROOT / "docs/deployment.md", "yaml") if "systemd:" in t]
    return read(completed(text)).server


def test_the_sockets_have_the_names_that_the_page_listens_on() -> None:
    given = {unit(path)["Socket"]["FileDescriptorName"] for path in FOLDER.glob("*.socket")}
    addresses = map(parse_address, (*documented().listen, *documented().tls_listen))
    assert given == {each.name for each in addresses if isinstance(each, Systemd)}


def test_service_and_sockets_belong_together() -> None:
    service = unit(FOLDER / "auth-proxy.service")
    sockets = sorted(path.name for path in FOLDER.glob("*.socket"))
    assert sorted(service["Service"]["Sockets"].split()) == sockets
    assert sorted(service["Unit"]["Requires"].split()) == sockets
    for name in sockets:
        assert unit(FOLDER / name)["Socket"]["Service"] == "auth-proxy.service"


def test_running_requests_may_finish() -> None:
    service = unit(FOLDER / "auth-proxy.service")["Service"]
    assert int(service["TimeoutStopSec"]) > Server().drain_timeout
    assert service["KillMode"] == "mixed"  # the supervisor stops its workers itself


def test_unix_sockets_have_a_directory_of_ours_to_be_in() -> None:
    service = unit(FOLDER / "auth-proxy.service")["Service"]
    assert service["RuntimeDirectory"] == "auth-proxy"
    assert "unix:/run/auth-proxy/" in (ROOT / "docs/deployment.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_understands_them() -> None:
    units = [str(path) for path in sorted(FOLDER.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if str(FOLDER) in line]
    assert told == []
