"""The nouns: what was asked for, what was measured, what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

T = TypeVar("T")


class ScenarioFailed(Exception):
    """A scenario could not measure what it is for; the text is for the person who runs it."""


class NotYet(Exception):
    """A scenario has nothing to measure here; the text says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how often; ``seconds`` is one measurement of one subject."""

    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Metric:
    """What a figure counts, and whether more of it is better."""

    name: str
    unit: str
    more_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle and the largest of some figures."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, samples: tuple[float, ...]) -> Spread:
        return cls(min(samples), median(samples), max(samples))


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one subject, a sample a round."""

    subject: str
    metric: Metric
    samples: tuple[float, ...]

    @property
    def spread(self) -> Spread:
        return Spread.of(self.samples)

    def ratio(self, to: Series) -> Spread | None:
        """Round by round, so that what slows the whole machine for a while cancels out."""
        pairs = tuple(zip(self.samples, to.samples, strict=False))
        if not pairs or any(other <= 0 for _, other in pairs):
            return None
        return Spread.of(tuple(mine / other for mine, other in pairs))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a scenario found. ``skipped`` and ``failed`` say why there are no figures.

    Ratios are to each of ``references``: the best of some subjects, called by the first's name.
    """

    key: str
    title: str
    references: tuple[tuple[str, ...], ...]
    series: tuple[Series, ...] = ()
    skipped: str = ""
    failed: str = ""

    def find(self, subject: str, metric: Metric) -> Series | None:
        wanted = (s for s in self.series if s.subject == subject and s.metric == metric)
        return next(wanted, None)

    def best(self, names: tuple[str, ...], metric: Metric) -> Series | None:
        """Of the named subjects that were measured, the one with the best median."""
        there = [series for name in names if (series := self.find(name, metric))]
        there.sort(key=lambda series: series.spread.middle, reverse=metric.more_is_better)
        return there[0] if there else None

    def ratios(self, series: Series) -> dict[str, Spread]:
        """Name of each reference that was measured by the same metric → ratio to it."""
        found = {}
        for names in self.references:
            to = self.best(names, series.metric)
            if to and (ratio := series.ratio(to)):
                found[names[0]] = ratio
        return found


def turned(items: Sequence[T], by: int) -> list[T]:
    """Another one begins each round, so that no place in the order is an advantage."""
    by %= len(items)
    return [*items[by:], *items[:by]]


@dataclass(slots=True)
class Samples:
    """Collects figures while a scenario runs."""

    _found: dict[tuple[str, Metric], list[float]] = field(default_factory=dict)

    def add(self, subject: str, metric: Metric, value: float) -> None:
        self._found.setdefault((subject, metric), []).append(value)

    def series(self) -> Iterator[Series]:
        for (subject, metric), values in self._found.items():
            yield Series(subject, metric, tuple(values))


REQUESTS = Metric("requests", "1/s")
LATENCY_50 = Metric("latency, half below", "ms", more_is_better=False)
LATENCY_99 = Metric("latency, 99 % below", "ms", more_is_better=False)
CPU = Metric("CPU time per request", "µs", more_is_better=False)
BYTES = Metric("throughput", "MiB/s")
CPU_BYTES = Metric("CPU time per MiB", "µs", more_is_better=False)
GROWTH = Metric("memory growth at its peak", "MiB", more_is_better=False)
RESIDENT = Metric("resident memory", "MiB", more_is_better=False)
EACH = Metric("resident memory each", "KiB", more_is_better=False)
DELAY_50 = Metric("delay, half below", "ms", more_is_better=False)
DELAY_99 = Metric("delay, 99 % below", "ms", more_is_better=False)
ADDED_50 = Metric("added delay, half below", "ms", more_is_better=False)
ADDED_99 = Metric("added delay, 99 % below", "ms", more_is_better=False)
LOST = Metric("events lost", "events", more_is_better=False)
MESSAGES = Metric("messages", "1/s")
LOGINS = Metric("sign-ins", "1/s")
COOKIE = Metric("Cookie header", "bytes", more_is_better=False)
CPU_LOGIN = Metric("CPU time per sign-in", "ms", more_is_better=False)
START = Metric("start to first answer", "ms", more_is_better=False)
