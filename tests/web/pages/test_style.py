"""The stylesheet: small, self-contained, readable in both palettes."""

from __future__ import annotations

import re

import pytest

from proxy.web.pages.render import static

PAIRS = [
    ("text", "card"),
    ("text", "page"),
    ("quiet", "card"),
    ("quiet", "code"),
    ("accent", "card"),
    ("on-accent", "accent"),
]


def sheet() -> str:
    found = static("style.css")
    assert found is not None
    assert found[0] == "text/css; charset=utf-8"
    return found[1].decode("utf-8")


def palettes() -> dict[str, dict[str, str]]:
    """The colours of each scheme, in the order that the stylesheet gives them."""
    blocks = re.findall(r":root \{(.*?)\}", sheet(), re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_text_can_be_read_on_its_background(scheme: str, ink: str, paper: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    colours = palettes()[scheme]
    bright, dim = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= 4.5


def test_both_palettes_name_the_same_colours() -> None:
    found = palettes()
    assert set(found["light"]) == set(found["dark"])


def test_the_sheet_is_small_and_loads_nothing() -> None:
    assert len(sheet().encode()) < 6000
    assert "url(" not in sheet()
    assert "@import" not in sheet()


def test_focus_is_visible_and_paper_is_thought_of() -> None:
    assert ":focus-visible" in sheet()
    assert "outline: none" not in sheet()
    assert "@media print" in sheet()


def test_the_icon_is_a_plain_picture() -> None:
    found = static("icon.svg")
    assert found is not None
    kind, body = found
    assert kind == "image/svg+xml"
    assert b"<script" not in body
    assert b"style" not in body
    assert b"href" not in body
