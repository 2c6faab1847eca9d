"""Server-sent events: what each hop adds to an event's delay, for one stream and for 200."""

from __future__ import annotations

from dataclasses import dataclass

from bench.clients.events import Heard, listen
from bench.contenders import AUTH_PROXY, DIRECT, NGINX, OAUTH2_PROXY
from bench.model import ADDED_50, ADDED_99, DELAY_50, DELAY_99, LOST, Plan, Samples, turned
from bench.place import Place, Subject

_NAMES = (AUTH_PROXY, NGINX, OAUTH2_PROXY)


@dataclass(frozen=True, slots=True)
class Events:
    """``every`` is the seconds between two events of one stream."""

    streams: int
    every: float

    def __call__(self, place: Place, plan: Plan, found: Samples) -> None:
        with place.all_running(*_NAMES) as subjects:
            for subject in (place.direct, *subjects):
                listen(subject, 1, 0.01, 0.2)
            for number in range(plan.rounds):
                direct = self._round(place.direct, plan)
                _record(found, DIRECT, direct)
                for subject in turned(subjects, number):
                    heard = self._round(subject, plan)
                    _record(found, subject.name, heard)
                    found.add(subject.name, ADDED_50, heard.below(0.5) - direct.below(0.5))
                    found.add(subject.name, ADDED_99, heard.below(0.99) - direct.below(0.99))

    def _round(self, subject: Subject, plan: Plan) -> Heard:
        return listen(subject, self.streams, self.every, plan.seconds)


def _record(found: Samples, name: str, heard: Heard) -> None:
    found.add(name, DELAY_50, heard.below(0.5))
    found.add(name, DELAY_99, heard.below(0.99))
    found.add(name, LOST, heard.lost)
