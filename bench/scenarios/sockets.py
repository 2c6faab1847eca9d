"""WebSockets: messages there and back, many at once for the rate, one alone for the delay."""

from __future__ import annotations

from bench.clients.sockets import echo
from bench.contenders import APACHE, AUTH_PROXY, DIRECT, NGINX, OAUTH2_PROXY
from bench.model import ADDED_50, ADDED_99, DELAY_50, DELAY_99, MESSAGES, Plan, Samples, turned
from bench.place import Place

_NAMES = (AUTH_PROXY, NGINX, OAUTH2_PROXY, APACHE)
_AT_ONCE = 32


def measure(place: Place, plan: Plan, found: Samples) -> None:
    with place.all_running(*_NAMES) as subjects:
        everyone = (place.direct, *subjects)
        for subject in everyone:
            echo(subject, 4, 0.2)
        for number in range(plan.rounds):
            alone = {}
            for subject in turned(everyone, number):
                many = echo(subject, _AT_ONCE, plan.seconds)
                alone[subject.name] = one = echo(subject, 1, plan.seconds / 2)
                found.add(subject.name, MESSAGES, many.rate)
                found.add(subject.name, DELAY_50, one.below(0.5))
                found.add(subject.name, DELAY_99, one.below(0.99))
            for subject in subjects:
                here, direct = alone[subject.name], alone[DIRECT]
                found.add(subject.name, ADDED_50, here.below(0.5) - direct.below(0.5))
                found.add(subject.name, ADDED_99, here.below(0.99) - direct.below(0.99))
