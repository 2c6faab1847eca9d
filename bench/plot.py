"""The picture of a run: what one core does, small request by small request, and body by body."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.contenders import AUTH_PROXY
from bench.model import BYTES, REQUESTS, Metric, Outcome, Series
from bench.report import Report, figure, made

_PANELS = (
    ("get", REQUESTS),
    ("auth", REQUESTS),
    ("post", REQUESTS),
    ("down-100m", BYTES),
    ("up-100m", BYTES),
)
_OURS, _OTHERS, _INK = "#1f5fbf", "#a9b4c2", "#24292f"


def draw(report: Report, *paths: Path) -> None:
    """One row of bars for each scenario that was measured; SVG or PNG by the path's ending."""
    found = {outcome.key: outcome for outcome in report.outcomes}
    panels = [
        (found[key], metric)
        for key, metric in _PANELS
        if key in found and any(series.metric == metric for series in found[key].series)
    ]
    if not panels:
        return
    sizes = [sum(s.metric == metric for s in outcome.series) + 1.3 for outcome, metric in panels]
    with mpl.rc_context({"svg.hashsalt": "bench", "font.size": 9, "svg.fonttype": "none"}):
        picture = Figure(figsize=(8, 0.27 * sum(sizes) + 0.4), layout="constrained")
        grid = picture.subplots(len(panels), 1, squeeze=False, height_ratios=sizes)
        for axes, (outcome, metric) in zip(grid[:, 0], panels, strict=True):
            _panel(axes, outcome, metric)
        picture.supxlabel(made(report), fontsize=7, color=_INK)
        for path in paths:
            metadata = {"Date": None} if path.suffix == ".svg" else None
            picture.savefig(path, facecolor="white", dpi=110, metadata=metadata)


def _panel(axes: Axes, outcome: Outcome, metric: Metric) -> None:
    series = [one for one in outcome.series if one.metric == metric]
    series.sort(key=lambda one: one.spread.middle)
    middles = [one.spread.middle for one in series]
    reach = [
        [one.spread.middle - one.spread.low for one in series],
        [one.spread.high - one.spread.middle for one in series],
    ]
    colours = [_OURS if one.subject == AUTH_PROXY else _OTHERS for one in series]
    names = [one.subject for one in series]
    axes.barh(names, middles, xerr=reach, color=colours, ecolor=_INK, error_kw={"lw": 0.8})
    axes.set_title(f"{outcome.title}, {metric.unit}", loc="left", fontsize=9, color=_INK)
    axes.set_xlim(0, max(one.spread.high for one in series) * 1.25)
    axes.xaxis.set_visible(False)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    for at, one in enumerate(series):
        axes.text(one.spread.high, at, f"  {_label(outcome, one)}", va="center", color=_INK)


def _label(outcome: Outcome, series: Series) -> str:
    names = outcome.references[0]
    ratio = outcome.ratios(series).get(names[0])
    if ratio is None or series.subject == names[0]:
        return figure(series.spread.middle)
    return f"{figure(series.spread.middle)}  ({ratio.middle:.2f}×)"
