"""What a request is counted for, and in which window."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.config.programs import Limit
from proxy.config.settings import Route
from proxy.rules.limits import Asker, Quota, network, quotas

ANN = Asker("192.0.2.1", ("person", "https://idp.example.org", "ann"), ("token", "tok_1"))
NOBODY = Asker("192.0.2.1")


def quota(per: Any = "person", length: float = 60.0) -> Quota:
    return Quota("all", per, 1, length, 0)


@pytest.mark.parametrize(
    ("per", "asker", "counted"),
    [
        pytest.param("person", ANN, ANN.person, id="a person, by issuer and subject"),
        pytest.param("token", ANN, ANN.token, id="a token"),
        pytest.param("address", ANN, ("address", "192.0.2.1"), id="an address"),
        pytest.param("route", ANN, (), id="everybody together"),
        pytest.param("person", NOBODY, ("address", "192.0.2.1"), id="who has no name: the address"),
        pytest.param("token", NOBODY, ("address", "192.0.2.1"), id="no token: the address"),
        pytest.param("route", NOBODY, (), id="nobody counts for the route, too"),
    ],
)
def test_whom_a_request_is_counted_for(per: Any, asker: Asker, counted: tuple[str, ...]) -> None:
    assert quota(per=per).counted_for(asker) == ("all", per, *counted)


@pytest.mark.parametrize(
    ("now", "length", "number", "end"),
    [
        pytest.param(0.0, 60.0, 0, 60.0, id="the first moment"),
        pytest.param(59.999, 60.0, 0, 60.0, id="the last moment"),
        pytest.param(60.0, 60.0, 1, 120.0, id="the next window"),
        pytest.param(1_800_000_001.5, 1.0, 1_800_000_001, 1_800_000_002.0, id="a second"),
        pytest.param(1_800_000_001.5, 86400.0, 20833, 1_800_057_600.0, id="a day"),
    ],
)
def test_windows_begin_where_the_clock_says(
    now: float, length: float, number: int, end: float
) -> None:
    window = quota(length=length).window(now)
    assert (window.number, window.end) == (number, end)
    assert now < window.end < window.forgotten_at  # a clock that is behind finds it still


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, counts_as: str) -> None:
    assert network(address) == counts_as


def test_a_route_has_the_limits_of_all_and_its_own() -> None:
    shared = (Limit(requests=10), Limit(per="route", requests=100, window=3600))
    own = (Limit(per="address", concurrent=2),)
    reads, writes = (
        quotas(shared, Route(path="/api/*", methods=methods, limits=own))
        for methods in (("GET",), ("PUT", "POST"))
    )
    assert [str(found) for found in reads] == [
        "10 requests in 60 s per person",
        "100 requests in 3600 s per route",
        "2 at once per address",
    ]
    places = [[found.counted_for(ANN)[0] for found in route] for route in (reads, writes)]
    assert places[0][0] == places[1][0] == "all"  # one budget for all routes
    assert places[0][1:] == ["every /api/* GET", "route /api/* GET"]
    assert places[1][1:] == ["every /api/* POST PUT", "route /api/* POST PUT"]


def test_no_limits_nothing_to_count() -> None:
    assert quotas((), Route(path="/*")) == ()
