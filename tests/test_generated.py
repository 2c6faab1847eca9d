"""Files that are made from the declaration are up to date in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli.generate import generated

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", sorted(generated()))
def test_the_file_equals_its_rendering(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == generated()[name], "run: auth-proxy generate"
