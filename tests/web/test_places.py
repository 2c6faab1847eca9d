"""How many may be connected at once: counted over all listeners, and told when it is too many."""

from __future__ import annotations

import io

from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.places import Places
from tests.fakes.clock import FakeClock


def test_places_are_taken_given_back_and_told_of_once_a_minute() -> None:
    time, stream, metrics = [0.0], io.StringIO(), Metrics()
    places = Places(2, metrics, Log(stream, FakeClock()), lambda: time[0])
    assert [places.take() for _ in range(4)] == [True, True, False, False]
    places.give_back()
    assert places.take()
    assert stream.getvalue().count("max_connections") == 1
    time[0] = 61
    assert not places.take()
    assert stream.getvalue().count("max_connections") == 2
    assert b'auth_proxy_refused_total{reason="connection_limit"} 3.0' in metrics.render()
