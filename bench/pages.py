"""Writes a run's figures into the pages, between marks; nothing else in them is touched."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from bench import model
from bench.contenders import APACHE, NGINX, OAUTH2_PROXY
from bench.model import Outcome, Spread
from bench.report import CONDITIONS, Report, figure, limit, made, meanwhile, value

_MARKED = "<!-- {} is written by make bench -->"
_RATIOS = (NGINX, OAUTH2_PROXY, APACHE)
_SHOWN = frozenset(
    {
        model.REQUESTS,
        model.BYTES,
        model.GROWTH,
        model.ADDED_50,
        model.ADDED_99,
        model.LOST,
        model.MESSAGES,
        model.EACH,
        model.CPU_LOGIN,
        model.START,
        model.RESIDENT,
    }
)
"""What the page shows; the result file has everything."""

_END = "<!-- end of {} -->"


def replace_block(page: Path, name: str, text: str) -> None:
    """Put ``text`` between the page's marks of that name. Raises ValueError without them."""
    begin, end = _MARKED.format(name), _END.format(name)
    held = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.S)
    if len(pattern.findall(held)) != 1:
        raise ValueError(f"{page.name} has no block {name!r}")
    block = f"{begin}\n{text.strip()}\n{end}"
    page.write_text(pattern.sub(lambda _: block, held), encoding="utf-8")


def write_pages(report: Report, root: Path) -> None:
    replace_block(root / "README.md", "picture", "\n".join(_picture(report)))
    replace_block(root / "docs" / "performance.md", "figures", "\n".join(_figures(report)))


def _picture(report: Report) -> Iterator[str]:
    yield "![What one core does: nginx without authentication, auth-proxy, and other"
    yield "authenticating proxies](bench/results/latest.svg)"
    yield ""
    text = (
        f"Measured by `make bench` on {made(report)}. Session check, rules, signed identity, "
        "access log and metrics are switched on; nginx is bare. "
        "[How to read it, and all the other figures](docs/performance.md)."
    )
    yield from textwrap.wrap(text, 100, break_on_hyphens=False)


def _figures(report: Report) -> Iterator[str]:
    rounds, seconds = report.plan.rounds, report.plan.seconds
    yield f"Measured on {made(report)}; {rounds} × {seconds:g} s for each figure."
    yield meanwhile(report)
    named = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    yield f"Contenders: {named}."
    yield f"Libraries: {', '.join(f'{n} {v}' for n, v in report.machine.libraries.items())}."
    yield ""
    yield from (f"- {line}" for line in CONDITIONS)
    yield ""
    yield "| bar | promised | measured | |"
    yield "|---|---|---|---|"
    for one in report.judged:
        yield f"| {one.bar.text} | {limit(one)} | {value(one)} | {one.verdict} |"
    yield ""
    columns = ("subject", "metric", "min", "median", "max", *(f"of {name}" for name in _RATIOS))
    yield f"| {' | '.join(columns)} |"
    yield "|---|---|---|---|---|---|---|---|"
    for outcome in report.outcomes:
        yield from _rows(outcome)


def _rows(outcome: Outcome) -> Iterator[str]:
    why = outcome.skipped or ("it failed" if outcome.failed else "")
    yield f"| **{outcome.title}** | {why} | | | | | | |"
    for series in outcome.series:
        if series.metric not in _SHOWN and outcome.key != "workers":
            continue
        ratios = {} if series.metric == model.GROWTH else outcome.ratios(series)
        cells = [series.subject, f"{series.metric.name}, {series.metric.unit}"]
        cells += [figure(n) for n in astuple(series.spread)]
        nginx = next((name for name in ratios if name.startswith("nginx")), NGINX)
        cells += [_share(ratios.get(name)) for name in (nginx, *_RATIOS[1:])]
        yield f"| {' | '.join(cells)} |"


def _share(ratio: Spread | None) -> str:
    return f"{figure(ratio.middle)}×" if ratio else ""
