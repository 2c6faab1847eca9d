"""What a URL that somebody else wrote, or a hostile proxy, might get out of a terminal."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.origin import origin_of
from proxy.cli.stored import Drawer, Stored

TOKEN = "apx_tOurs"
HOST = "app.example.org"


@pytest.fixture
def kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Drawer:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    drawer = Drawer(folder / "auth-proxy")
    drawer.put(origin_of(f"https://{HOST}"), Stored(TOKEN, "", time.time() + 1000))
    return drawer


def _asked(said: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    # As Python opens standard input: it takes a carriage return for the end of a line.
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(said), encoding="utf-8"))
    return main(["credential-helper", "get"])


@pytest.mark.usefixtures("kept")
def test_git_gets_the_token_of_the_host_that_it_speaks_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = f"protocol=https\nhost={HOST}\nwwwauth[]=Bearer\nwwwauth[]=Basic\n\n".encode()
    assert _asked(said, monkeypatch) == 0
    assert TOKEN in capsys.readouterr().out


@pytest.mark.parametrize(
    "said",
    [
        # https://x%0dhost=app.example.org@evil.example.org (CVE-2024-52006)
        pytest.param(f"host=evil.example.org\nusername=x\rhost={HOST}", id="CR in the user"),
        pytest.param(f"host=evil.example.org\rhost={HOST}", id="CR in the host"),
        # https://evil.example.org?%0ahost=app.example.org (CVE-2020-5260)
        pytest.param(f"host=evil.example.org\nhost={HOST}", id="two hosts"),
        pytest.param(f"host=evil.example.org\r\nhost={HOST}", id="two hosts, CRLF"),
        pytest.param(f"host={HOST}@evil.example.org", id="a user"),
        pytest.param(f"host=evil.example.org@{HOST}", id="a user in front"),
        pytest.param(f"host={HOST}:8443", id="another port"),
        pytest.param(f"host={HOST}.evil.example.org", id="below another"),
        pytest.param(f"host=evil.example.org#.{HOST}", id="a fragment"),
        pytest.param(f"host=evil.example.org/{HOST}", id="a path"),
        pytest.param(f"host={HOST}\\.evil.example.org", id="a backslash"),
        pytest.param(f"host={HOST}#.evil.example.org", id="a fragment behind"),
        pytest.param(f"host={HOST}/.evil.example.org", id="a path behind"),
        pytest.param(f"host={HOST}?.evil.example.org", id="a query behind"),
        pytest.param("host=\thttps\t", id="nothing"),
        pytest.param(f"protocol=http\nhost={HOST}", id="another protocol, too"),
    ],
)
@pytest.mark.usefixtures("kept")
def test_git_gets_no_token_for_another_host(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _asked(f"protocol=https\n{said}\n\n".encode(), monkeypatch) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("app.e\txample.org", id="a tab"),
        pytest.param("app.e\x0bxample.org", id="a control character"),
    ],
)
@pytest.mark.usefixtures("kept")
def test_no_name_is_mended_into_ours(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _asked(f"protocol=https\nhost={said}\n\n".encode(), monkeypatch)
    assert capsys.readouterr().out == ""
