"""A clean environment and working directory for every command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.config.configurations import MINIMAL


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no variable of ours."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUTH_PROXY_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Path:
    """A valid proxy.cfg in the working directory."""
    path = folder / "proxy.cfg"
    path.write_text(MINIMAL, encoding="utf-8")
    return path
