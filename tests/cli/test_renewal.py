"""Tokens that end soon are renewed, once; a sign-in that has ended is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.cli.origin import Failure, Origin, origin_of
from proxy.cli.remote import Unreachable
from proxy.cli.renewal import NotSignedIn, fresh, granted
from proxy.cli.stored import Drawer, Stored
from tests.fakes.device import DeviceServer, device_server

NOW = 1_000_000.0
PATIENCE = 20.0


def clock() -> float:
    return NOW


@pytest.fixture
def server() -> Iterator[DeviceServer]:
    with device_server() as running:
        running.refreshing.add("apx_rOld")
        yield running


@pytest.fixture
def here(server: DeviceServer) -> Origin:
    return origin_of(server.url)


@pytest.fixture
def kept(folder: Path) -> Drawer:
    return Drawer(folder / "auth-proxy")


def put(kept: Drawer, here: Origin, lasts: float, refresh: str = "apx_rOld") -> Stored:
    stored = Stored("apx_tOld", refresh, NOW + lasts)
    kept.put(here, stored)
    return stored


def test_one_that_lasts_is_taken_as_it_is(server: DeviceServer, here: Origin, kept: Drawer) -> None:
    stored = put(kept, here, 61)
    assert fresh(kept, here, clock) == stored
    assert server.asked == []


@pytest.mark.parametrize("lasts", [60, 0, -1e5])
def test_one_that_ends_within_a_minute_is_renewed(
    server: DeviceServer, here: Origin, kept: Drawer, lasts: float
) -> None:
    put(kept, here, lasts)
    new = fresh(kept, here, clock)
    assert new.token in server.good
    assert new.refresh_token in server.refreshing
    assert new.expires_at == NOW + 3600
    assert kept.get(here) == new
    assert server.asked[0].form == {"grant_type": "refresh_token", "refresh_token": "apx_rOld"}


def test_of_many_at_once_one_renews(server: DeviceServer, here: Origin, kept: Drawer) -> None:
    put(kept, here, 0)
    server.release.clear()
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(fresh(kept, here, clock).token))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert server.arrived.wait(PATIENCE)
    server.release.set()
    for thread in threads:
        thread.join()
    assert (len(server.asked), len(found), len(set(found))) == (1, 8, 1)


def test_another_origin_waits_for_nobody(server: DeviceServer, here: Origin, kept: Drawer) -> None:
    other = origin_of("https://app.example.org")
    put(kept, other, 61)
    put(kept, here, 0)
    server.release.clear()
    thread = threading.Thread(target=fresh, args=(kept, here, clock))
    thread.start()
    assert server.arrived.wait(PATIENCE)
    kept.put(other, replace(put(kept, other, 61), token="apx_tNew"))
    assert fresh(kept, other, clock).token == "apx_tNew"
    assert fresh(kept, here, lambda: NOW - 1000).token == "apx_tOld"  # which lasts, as it sees it
    server.release.set()
    thread.join()
    assert kept.get(other) == Stored("apx_tNew", "apx_rOld", NOW + 61)


def test_a_refused_renewal_ends_it(server: DeviceServer, here: Origin, kept: Drawer) -> None:
    put(kept, here, 30, "apx_rUnknown")
    with pytest.raises(NotSignedIn, match=f"any more; run: auth-proxy login {here}"):
        fresh(kept, here, clock)
    assert kept.get(here) is None
    with pytest.raises(NotSignedIn, match=f"not signed in at {here}; run: auth-proxy login"):
        fresh(kept, here, clock)


def test_while_nobody_answers_the_old_one_is_used_as_long_as_it_lasts(
    server: DeviceServer, here: Origin, kept: Drawer
) -> None:
    server.away = 503
    stored = put(kept, here, 30)
    assert fresh(kept, here, clock) == stored
    stored = put(kept, here, -1)
    with pytest.raises(Unreachable):
        fresh(kept, here, clock)
    assert kept.get(here) == stored


def test_one_that_cannot_be_renewed_is_used_to_its_end(
    server: DeviceServer, here: Origin, kept: Drawer
) -> None:
    stored = put(kept, here, 1, "")
    assert fresh(kept, here, clock) == stored
    put(kept, here, 0, "")
    with pytest.raises(NotSignedIn):
        fresh(kept, here, clock)
    assert server.asked == []


def test_a_refresh_token_that_is_not_replaced_stays() -> None:
    answer = {"access_token": "a", "token_type": "bearer", "expires_in": 60}
    assert granted(answer, NOW, Stored("", "r", 0)) == Stored("a", "r", NOW + 60)


@pytest.mark.parametrize(
    "changed",
    [
        {"access_token": None},
        {"access_token": "a\nb"},
        {"token_type": "mac"},
        {"expires_in": None},
        {"expires_in": 0},
        {"expires_in": float("nan")},
        {"expires_in": "60"},
    ],
)
def test_an_answer_without_a_token_is_none(changed: dict[str, object]) -> None:
    answer = {"access_token": "a", "token_type": "Bearer", "expires_in": 60, **changed}
    with pytest.raises(Failure):
        granted(answer, NOW, Stored("", "", 0))


def test_a_token_lasts_no_longer_than_can_be_written_down() -> None:
    answer = {"access_token": "a", "token_type": "Bearer", "expires_in": 10**400}
    assert granted(answer, NOW, Stored("", "", 0)).expires_at < 1e11
