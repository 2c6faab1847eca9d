"""The folder of a supervisor."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from proxy.process.shelf_folder import shelf_folder


def test_it_is_ours_alone_and_goes_with_all_that_is_in_it() -> None:
    with shelf_folder() as folder:
        path = Path(folder)
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        (path / "sessions.db").write_text("x")
    assert not path.exists()


def test_where_nothing_can_be_written_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with shelf_folder() as folder:
        assert folder == ""


def test_what_somebody_killed_has_left_is_removed_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("abandoned", "open", "mixed"):
        folder = tmp_path / f"auth-proxy-shelf-{name}"
        folder.mkdir(mode=0o700)
        (folder / "sessions.db").write_text("x")
    (tmp_path / "auth-proxy-shelf-open").chmod(0o755)
    (tmp_path / "auth-proxy-shelf-mixed" / "letter").write_text("x")
    (tmp_path / "somebody").mkdir(mode=0o700)
    (tmp_path / "auth-proxy-shelf-link").symlink_to(tmp_path / "somebody")
    (tmp_path / "auth-proxy-shelf-file").write_text("x")
    with shelf_folder() as first, shelf_folder() as second:
        assert Path(first).is_dir()
        assert Path(second).is_dir()
    left = {path.name.removeprefix("auth-proxy-shelf-") for path in tmp_path.iterdir()}
    assert left == {"open", "link", "file", "mixed", "somebody"}
    assert (tmp_path / "auth-proxy-shelf-mixed" / "letter").exists()
