"""A run as one value, as JSON, and as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from bench.bars import Judged
from bench.machine import Machine
from bench.model import Outcome, Plan, Series, Spread


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one run; ``versions`` are those of the contenders, by name."""

    machine: Machine
    plan: Plan
    versions: dict[str, str]
    outcomes: tuple[Outcome, ...]
    judged: tuple[Judged, ...]


CONDITIONS = (
    "The process under test has one core; load, application and provider share another.",
    "auth-proxy: session in the cookie, e-mail domain and group checked, ES256 identity JWT, "
    "access log as JSON to a file, metrics on.",
    "oauth2-proxy and Apache: the same provider and group check, no access log.",
    "Ratios are taken round by round, so that what slows the machine for a while cancels out.",
)


def as_json(report: Report) -> dict[str, Any]:
    """What the result file holds; every figure with its samples."""
    return {
        "made": asdict(report.machine),
        "plan": asdict(report.plan),
        "versions": report.versions,
        "conditions": list(CONDITIONS),
        "scenarios": [_outcome(outcome) for outcome in report.outcomes],
        "bars": [_judged(judged) for judged in report.judged],
    }


def write_json(report: Report, path: Path) -> None:
    text = json.dumps(as_json(report), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "scenario": outcome.key,
        "title": outcome.title,
        "skipped": outcome.skipped or None,
        "failed": outcome.failed or None,
        "figures": [_series(outcome, series) for series in outcome.series],
    }


def _series(outcome: Outcome, series: Series) -> dict[str, Any]:
    return {
        "subject": series.subject,
        "metric": series.metric.name,
        "unit": series.metric.unit,
        **_figures(series.spread),
        "ratio_to": {name: _figures(one) for name, one in outcome.ratios(series).items()},
        "samples": [_short(sample) for sample in series.samples],
    }


def _figures(spread: Spread) -> dict[str, float]:
    return {
        "min": _short(spread.low),
        "median": _short(spread.middle),
        "max": _short(spread.high),
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _judged(judged: Judged) -> dict[str, Any]:
    bar = judged.bar
    return {
        "bar": bar.text,
        "scenario": bar.scenario,
        "limit": limit(judged),
        "value": None if judged.value is None else _short(judged.value),
        "verdict": str(judged.verdict),
    }


# --- for people -------------------------------------------------------------------------------


def figure(value: float) -> str:
    """Three digits are all that a shared machine can promise."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.3f}"


def limit(judged: Judged) -> str:
    bar = judged.bar
    return f"{'≥' if bar.at_least else '≤'} {bar.limit:g}{bar.unit}"


def value(judged: Judged) -> str:
    return "–" if judged.value is None else figure(judged.value) + judged.bar.unit


def made(report: Report) -> str:
    """When and on what, in one line."""
    machine = report.machine
    return (
        f"{machine.date[:10]}, {machine.cores} cores of {machine.cpu}, {machine.kernel}, "
        f"Python {machine.python}, commit {machine.commit[:12]}"
        + (" with changes" if machine.changed else "")
    )


def meanwhile(report: Report) -> str:
    """What others did on the machine: the less, the more the figures say."""
    return f"Meanwhile other programs kept {report.machine.others:.2f} cores busy."


def outcome_lines(outcome: Outcome) -> Iterator[str]:
    """A scenario as a block of text."""
    yield ""
    yield f"{outcome.title}  [{outcome.key}]"
    if outcome.skipped or outcome.failed:
        yield f"  {'skipped' if outcome.skipped else 'FAILED'}: {outcome.skipped or outcome.failed}"
    for metric in dict.fromkeys(series.metric for series in outcome.series):
        shown = [series for series in outcome.series if series.metric == metric]
        names = list(dict.fromkeys(name for one in shown for name in outcome.ratios(one)))
        yield (
            f"  {metric.name + ', ' + metric.unit:<36}{'min':>10}{'median':>10}{'max':>10}"
            + "".join(f"{'× ' + name:>20}" for name in names)
        )
        for series in shown:
            yield _row(outcome, series, names)


def _row(outcome: Outcome, series: Series, names: Sequence[str]) -> str:
    numbers = "".join(f"{figure(n):>10}" for n in astuple(series.spread))
    ratios = outcome.ratios(series)
    shares = "".join(
        f"{figure(ratios[name].middle) if name in ratios else '–':>20}" for name in names
    )
    return f"    {series.subject:<34}{numbers}{shares}"


def bar_lines(judged: Sequence[Judged]) -> Iterator[str]:
    yield ""
    yield "Bars"
    for one in judged:
        yield f"  {one.verdict:<14}{one.bar.text:<40}{value(one):>12}   {limit(one)}"
