"""``python -m bench``: run the scenarios, print, write the result and what is made from it."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.bars import judge
from bench.contenders import present, versions
from bench.machine import Others, choose_cores, describe, raise_open_files
from bench.model import NotYet, Outcome, Plan, Samples, ScenarioFailed
from bench.pages import write_pages
from bench.place import ROOT, Place
from bench.report import Report, bar_lines, made, meanwhile, outcome_lines, write_json
from bench.scenarios.catalogue import RIVALS, SCENARIOS, Scenario

RESULTS = ROOT / "bench" / "results"
_OPEN_FILES = 20_000


def main(words: Sequence[str] | None = None) -> int:
    """0 when every scenario ran, whatever the bars say; 1 when one failed; 130 after Ctrl-C."""
    asked = _arguments().parse_args(words)
    chosen = [one for one in SCENARIOS if not asked.only or one.key in asked.only]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        report = _run(Plan(asked.rounds, asked.seconds), chosen)
    except KeyboardInterrupt:
        _say(["", "stopped; nothing was written"])
        return 130
    except (OSError, ScenarioFailed) as exc:
        _say([f"the bench cannot run: {exc}"])
        return 1
    _say([*bar_lines(report.judged), "", made(report), meanwhile(report)])
    failed = any(outcome.failed for outcome in report.outcomes)
    _write(report, asked.out, whole=not failed and len(chosen) == len(SCENARIOS))
    return int(failed)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=_number, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--only", type=_keys, default=(), help="scenarios, separated by commas")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return parser


def _number(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def _keys(text: str) -> frozenset[str]:
    keys, known = frozenset(filter(None, text.split(","))), {one.key for one in SCENARIOS}
    if unknown := keys - known:
        raise argparse.ArgumentTypeError(f"no {sorted(unknown)}; there are {sorted(known)}")
    return keys


def _run(plan: Plan, scenarios: Sequence[Scenario]) -> Report:
    cores = choose_cores()
    files = raise_open_files(_OPEN_FILES)
    os.sched_setaffinity(0, {cores.load})
    contenders = present()
    _say([f"tested core {cores.tested}, load on core {cores.load}, {files} open files"])
    _say([f"side by side: {', '.join(one.name for one in contenders)}"])
    outcomes, others = [], Others()
    with Place(cores) as place:
        for scenario in scenarios:
            outcomes.append(outcome := run_scenario(scenario, place, plan))
            _say(outcome_lines(outcome))
    judged = judge({outcome.key: outcome for outcome in outcomes})
    return Report(
        describe(ROOT, others.cores()), plan, versions(contenders), tuple(outcomes), tuple(judged)
    )


def run_scenario(scenario: Scenario, place: Place, plan: Plan) -> Outcome:
    """Never raises for a scenario's sake: the others shall run all the same."""
    found, begun = Samples(), time.monotonic()
    skipped = failed = ""
    gc.collect()
    try:
        scenario.run(place, plan, found)
    except NotYet as exc:
        skipped = str(exc)
    except (ScenarioFailed, OSError, subprocess.SubprocessError) as exc:
        failed = f"{type(exc).__name__}: {exc}"
    sys.stderr.write(f"{scenario.key}: {time.monotonic() - begun:.0f} s\n")
    series = tuple(found.series())
    references = ((scenario.reference,) if scenario.reference else ()) + RIVALS
    return Outcome(scenario.key, scenario.title, references, series, skipped, failed)


def _write(report: Report, folder: Path, *, whole: bool) -> None:
    """A run that lacks a scenario, or in which one failed, must not pass for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "latest" if whole else "partial"
    write_json(report, folder / f"{name}.json")
    from bench.plot import draw  # late: only the picture needs matplotlib

    draw(report, folder / f"{name}.svg", folder / f"{name}.png")
    if whole and folder == RESULTS:
        write_pages(report, ROOT)
    _say([f"written: {folder / name}.json, .svg, .png"])


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
