"""The pages of the documentation, and what is marked in them for tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

HAND_WRITTEN = tuple(
    sorted(
        path
        for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        if path.name != "options.md"
    )
)

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)


def blocks(page: Path, kind: str) -> list[tuple[str, str]]:
    """Mark and text of the page's code blocks of one kind; an absent mark is empty."""
    found = _FENCE.finditer(page.read_text(encoding="utf-8"))
    return [(match["mark"] or "", match["text"]) for match in found if match["kind"] == kind]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
