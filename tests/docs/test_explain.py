"""What the page about ``explain`` shows is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from proxy.cli import main
from tests.docs.pages import ROOT, blocks
from tests.docs.test_configs import ENVIRONMENT, completed

PAGE = ROOT / "docs" / "explain.md"
SHOWN = [(mark, text) for mark, text in blocks(PAGE, "text") if mark.startswith("explain: ")]
LEFT_OUT = "[…]\n"
# What differs at each call.
OF_THE_MOMENT = re.compile(r"^((?: {12}|JWT {9})(?:jti|sid|iat|exp|auth_time) +)\S+$", re.M)


@pytest.mark.parametrize(("mark", "text"), SHOWN, ids=range(len(SHOWN)))
def test_the_command_prints_what_the_page_says(
    mark: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    config = next(config for _, config in blocks(PAGE, "yaml"))
    Path("proxy.cfg").write_text(completed(config), encoding="utf-8")
    command, _, printed = text.partition("\n")
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "auth-proxy"
    assert f"explain: exits {main(arguments)}" == mark
    out = OF_THE_MOMENT.sub(r"\1…", capsys.readouterr().out)
    assert re.fullmatch("(?:.*\n)+?".join(map(re.escape, printed.split(LEFT_OUT))), out), out


def test_something_is_shown_of_each_kind() -> None:
    assert {mark for mark, _ in SHOWN} == {"explain: exits 0", "explain: exits 1"}
