"""auth-proxy generate."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from proxy.cli.generate import generated


def test_files_are_written_and_then_up_to_date(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--check"]) == 1
    assert list(folder.iterdir()) == []
    assert main(["generate"]) == 0
    assert (folder / "docs" / "options.md").read_text(encoding="utf-8").startswith("# Options")
    assert main(["generate", "--check"]) == 0


def test_a_stale_file_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--root", str(folder)]) == 0
    (folder / "proxy.cfg.example").write_text("old", encoding="utf-8")
    capsys.readouterr()
    assert main(["generate", "--check"]) == 1
    assert capsys.readouterr().err.startswith("proxy.cfg.example: not up to date")
    assert set(generated()) == {"proxy.cfg.example", "docs/options.md", "docs/proxy.schema.json"}
