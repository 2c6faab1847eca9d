"""What a run writes: the result file, the text, the blocks in the pages, the picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.bars import judge
from bench.contenders import AUTH_PROXY, NGINX, OAUTH2_PROXY
from bench.machine import Machine
from bench.model import REQUESTS, Outcome, Plan, Series
from bench.pages import replace_block, write_pages
from bench.report import Report, bar_lines, figure, outcome_lines, write_json

MACHINE = Machine(
    "2030-01-02T03:04:05+00:00", "abcdef0123456789", False, "A Processor", 2, 24, "Linux 9", "3.11",
    {"aiohttp": "3.14"}, 0.25,
)  # fmt: skip
GET = Outcome(
    "get",
    "Small GET",
    ((NGINX,), (OAUTH2_PROXY,)),
    (
        Series(AUTH_PROXY, REQUESTS, (24_000.0, 26_000.0)),
        Series(NGINX, REQUESTS, (48_000.0, 50_000.0)),
    ),
)
SKIPPED = Outcome("get-redis", "Redis GET", ((NGINX,),), skipped="not yet")
FAILED = Outcome("post", "POST", ((NGINX,),), failed="ScenarioFailed: it broke")
REPORT = Report(
    MACHINE, Plan(2, 1), {"nginx": "1.22"}, (GET, SKIPPED, FAILED), tuple(judge({"get": GET}))
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(48_123.4, "48,123"), (999.4, "999"), (0.51239, "0.512"), (0.0, "0.000"), (11, "11")],
)
def test_a_figure_has_three_digits_or_thousands(value: float, text: str) -> None:
    assert figure(value) == text


def test_the_result_file_holds_every_sample_and_where_it_was_made(tmp_path: Path) -> None:
    write_json(REPORT, tmp_path / "latest.json")
    held = json.loads((tmp_path / "latest.json").read_text())
    ours = held["scenarios"][0]["figures"][0]
    assert ours["samples"] == [24_000, 26_000]
    assert (ours["min"], ours["median"], ours["max"]) == (24_000, 25_000, 26_000)
    assert ours["ratio_to"]["nginx"]["median"] == pytest.approx(0.51)
    assert held["made"]["cpu"] == "A Processor"
    assert held["made"]["others"] == 0.25
    assert held["scenarios"][1]["skipped"] == "not yet"
    assert held["scenarios"][2]["failed"] == "ScenarioFailed: it broke"
    assert [(bar["bar"], bar["verdict"]) for bar in held["bars"]] == [
        ("small GET, of nginx", "met"),
        ("small GET, of oauth2-proxy", "not measured"),
    ]


def test_the_text_shows_figures_ratios_and_what_is_missing() -> None:
    text = "\n".join(line for outcome in REPORT.outcomes for line in outcome_lines(outcome))
    assert "24,000    25,000    26,000" in text
    assert "skipped: not yet" in text
    assert "FAILED: ScenarioFailed: it broke" in text
    assert "met           small GET, of nginx" in "\n".join(bar_lines(REPORT.judged))


def pages(root: Path) -> tuple[Path, Path]:
    (root / "docs").mkdir()
    readme, page = root / "README.md", root / "docs" / "performance.md"
    for path, name in ((readme, "picture"), (page, "figures")):
        marks = f"<!-- {name} is written by make bench -->", f"<!-- end of {name} -->"
        path.write_text("\n".join(("before", marks[0], "old", marks[1], "after\n")))
    return readme, page


def test_only_the_marked_blocks_of_the_pages_change(tmp_path: Path) -> None:
    readme, page = pages(tmp_path)
    write_pages(REPORT, tmp_path)
    for path in (readme, page):
        text = path.read_text()
        assert text.startswith("before\n<!-- ")
        assert text.endswith(" -->\nafter\n")
        assert "\nold\n" not in text
        assert "2030-01-02, 2 cores of A Processor" in text
    assert "| auth-proxy | requests, 1/s | 24,000 | 25,000 | 26,000 | 0.51× |" in page.read_text()
    first = page.read_text()
    write_pages(REPORT, tmp_path)
    assert page.read_text() == first


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="figures"):
        replace_block(page, "figures", "text")
    assert page.read_text() == "no marks"


def test_the_picture_is_the_same_for_the_same_run(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="part of the bench extra")
    from bench.plot import draw

    paths = tmp_path / "one.svg", tmp_path / "two.svg"
    for path in paths:
        draw(REPORT, path)
    one, two = (path.read_text() for path in paths)
    assert one == two
    assert "25,000  (0.51×)" in one
    draw(replace(REPORT, outcomes=(SKIPPED,)), tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()
