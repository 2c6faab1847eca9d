"""docs/providers.md: every preset has a configuration that is enough, every row a test."""

from __future__ import annotations

import re

import pytest
import yaml

from proxy.config.presets import PRESETS
from tests.docs.pages import ROOT, blocks, prose
from tests.docs.test_configs import WHOLE, read

PAGE = ROOT / "docs" / "providers.md"
CONFIGURATIONS = [yaml.safe_load(text) for _, text in blocks(PAGE, "yaml")]
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", prose(PAGE))


def test_every_preset_has_a_configuration() -> None:
    assert {each["provider"]["preset"] for each in CONFIGURATIONS} == set(PRESETS)


@pytest.mark.parametrize(
    "part", CONFIGURATIONS, ids=[each["provider"]["preset"] for each in CONFIGURATIONS]
)
def test_it_is_enough(part: dict[str, object]) -> None:
    """With nothing of another provider around it."""
    [minimal] = [t for _, t in blocks(ROOT / "README.md", "yaml") if t.startswith(WHOLE)]
    settings = read(yaml.safe_dump({**yaml.safe_load(minimal), **part}))
    assert settings.provider.preset


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_the_test_of_a_row_exists(file: str, test: str) -> None:
    found = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file)]
    assert any(re.search(rf"^async def {test}\(", text, re.M) for text in found)


def test_every_row_about_a_provider_has_a_test() -> None:
    tables = re.findall(r"^\| \| Test \|\n\|---\|---\|\n((?:\|.*\n?)+)", prose(PAGE), re.M)
    assert len(tables) == len(PRESETS) + 2  # and those without a preset, and how we prove ourselves
    for row in "".join(tables).splitlines():
        assert re.search(r"\| `test_\w+\.py::test_\w+` \|$", row), row
