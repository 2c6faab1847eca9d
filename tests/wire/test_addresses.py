"""Whose turn it is: round robin, and who is left out for how long."""

from __future__ import annotations

import socket

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.wire.addresses import STRIKES, Address, Addresses
from proxy.wire.origin import Origin
from tests.fakes.clock import FakeClock
from tests.fakes.names import Names
from tests.wire.stage import eventually

ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Place:
    """Addresses, their clock, those that were given up, and what was told."""

    def __init__(self, *urls: str, names: Names | None = None, ttl: float = 3600) -> None:
        self.clock = FakeClock()
        self.out: list[str] = []
        self.told: list[tuple[str, str]] = []
        origins = [Origin.parse(url) for url in urls]
        resolve = names or Names({})
        self.addresses = Addresses(origins, resolve, ttl, self.clock, self._gone, self._tell)

    def _gone(self, address: Address) -> None:
        self.out.append(address.host)

    def _tell(self, address: Address, reason: str) -> None:
        self.told.append((address.host, reason))

    async def turn(self) -> list[str]:
        return [address.host for address in await self.addresses.in_turn()]

    async def get(self, host: str) -> Address:
        return next(one for one in await self.addresses.in_turn() if one.host == host)


def literal(*hosts: str) -> Place:
    return Place(*(f"http://{host}:80" for host in hosts))


async def test_each_has_its_turn() -> None:
    place = literal(ONE, TWO, THREE)
    assert await place.turn() == [ONE, TWO, THREE]
    assert await place.turn() == [TWO, THREE, ONE]
    assert await place.turn() == [THREE, ONE, TWO]
    assert await place.turn() == [ONE, TWO, THREE]


async def test_an_address_that_fails_is_left_out_twice_as_long_each_time() -> None:
    place = literal(ONE, TWO)
    one = await place.get(ONE)
    for pause in (1, 2, 4, 8, 16, 30, 30):
        place.addresses.failed(one, "refused")
        place.clock.advance(pause - 0.5)
        assert await place.turn() == [TWO, ONE]
        place.clock.advance(1)
        assert sorted(await place.turn()) == [ONE, TWO]
    assert place.out == [ONE] * 7


async def test_an_answer_makes_an_address_well_again() -> None:
    place = literal(ONE, TWO)
    one = await place.get(ONE)
    place.addresses.failed(one, "refused")
    place.clock.advance(1)
    place.addresses.failed(one, "refused")
    assert one.has_failed
    place.addresses.worked(one)
    assert not one.has_failed
    place.addresses.failed(one, "refused")
    assert one.paused_until == place.clock() + 1


async def test_many_who_find_the_same_failure_count_as_one() -> None:
    place = literal(ONE, TWO)
    one = await place.get(ONE)
    for _ in range(100):
        place.addresses.failed(one, "refused")
    assert (one.pause, place.out) == (1, [ONE])


async def test_when_all_fail_the_one_that_is_due_soonest_comes_first() -> None:
    place = literal(ONE, TWO, THREE)
    for host in (TWO, THREE, ONE):
        place.addresses.failed(await place.get(host), "refused")
        place.clock.advance(0.1)
    assert await place.turn() == [TWO, THREE, ONE]


async def test_the_only_address_is_never_left_out() -> None:
    place = literal(ONE)
    one = await place.get(ONE)
    for _ in range(STRIKES):
        place.addresses.failed(one, "refused")
        place.addresses.broke(one, "closed")
    assert place.out == []


async def test_broken_exchanges_count_when_they_come_in_a_row() -> None:
    place = literal(ONE, TWO)
    one = await place.get(ONE)
    for _ in range(STRIKES - 1):
        place.addresses.broke(one, "closed")
    place.addresses.worked(one)
    for _ in range(STRIKES - 1):
        place.addresses.broke(one, "closed")
    assert place.out == []
    place.addresses.broke(one, "closed")
    assert place.out == [ONE]


async def test_several_names_with_several_addresses_are_one_round() -> None:
    names = Names({"a": [ONE, TWO], "b": [THREE]})
    place = Place("http://a", "http://b", names=names)
    await place.turn()
    await eventually(lambda: len(place.addresses) == 3)
    assert sorted(await place.turn()) == [ONE, TWO, THREE]
    place.addresses.close()


async def test_two_spellings_of_one_origin_are_one_address() -> None:
    assert await Place(f"http://{ONE}", f"http://{ONE}:80").turn() == [ONE]


async def test_one_name_that_is_not_found_leaves_the_others() -> None:
    names = Names({"a": socket.gaierror(-2, "Name or service not known"), "b": [THREE]})
    place = Place("http://a", "http://b", names=names)
    assert await place.turn() == [THREE]
    place.addresses.close()


async def test_no_address_at_all_names_the_host() -> None:
    names = Names({"app": socket.gaierror(-2, "Name or service not known")})
    with pytest.raises(UpstreamError) as caught:
        await Place("http://app", names=names).turn()
    assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)
    assert "cannot resolve app: Name or service not known" in str(caught.value)


async def test_an_address_that_vanishes_is_given_up_and_the_others_keep_what_is_known() -> None:
    names = Names({"app": [ONE, TWO]})
    place = Place("http://app", names=names, ttl=0.01)
    two = await place.get(TWO)
    place.addresses.failed(two, "refused")
    names.answers["app"] = [THREE, TWO]
    await eventually(lambda: ONE in place.out)
    assert await place.turn() == [THREE, TWO]
    assert await place.get(TWO) is two
    place.addresses.close()


@pytest.mark.parametrize(
    ("origin", "host", "shown"),
    [
        ("http://app:81", ONE, f"app:81 ({ONE})"),
        (f"http://{ONE}:81", ONE, f"{ONE}:81"),
        ("unix:/run/a.sock", "/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_how_an_address_is_shown(origin: str, host: str, shown: str) -> None:
    assert str(Address(Origin.parse(origin), host)) == shown


async def test_what_befalls_an_address_is_told_once_until_it_is_back() -> None:
    place = literal(ONE, TWO)
    one = await place.get(ONE)
    for pause in (1, 2, 4):
        place.addresses.failed(one, "Connection refused")
        place.clock.advance(pause)
    place.addresses.worked(one)
    place.addresses.worked(one)
    assert place.told == [(ONE, "Connection refused"), (ONE, "")]
    for _ in range(STRIKES):
        place.addresses.broke(one, "closed")
    reason = f"{STRIKES} exchanges in a row broke, at last: closed"
    assert place.told[2:] == [(ONE, reason)]


async def test_nothing_is_told_of_the_only_address_nor_of_a_single_mishap() -> None:
    alone, two = literal(ONE), literal(ONE, TWO)
    alone.addresses.failed(await alone.get(ONE), "refused")
    one = await two.get(ONE)
    two.addresses.broke(one, "closed")
    two.addresses.worked(one)
    assert (alone.told, two.told) == ([], [])
