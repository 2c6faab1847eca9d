"""What is counted of a request, and against which limit: the pure half of web/limits.py."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from proxy.config.programs import Limit
from proxy.config.settings import Route as RouteSettings

_SLACK: Final = 10.0
"""Seconds that a counter outlives its window: clocks of replicas differ."""
_NEIGHBOURS: Final = 64
"""Bits of an IPv6 address that tell networks apart: the rest is its owner's to choose."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom a request is counted for; ``person`` and ``token`` are empty where there is none."""

    address: str
    person: tuple[str, ...] = ()
    token: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The one of ``length`` seconds that a moment is in: all replicas know the same ones."""

    number: int
    length: float

    @property
    def end(self) -> float:
        return (self.number + 1) * self.length

    @property
    def forgotten_at(self) -> float:
        return self.end + _SLACK


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit as it is in force on a route; ``place`` tells it from those of other places, and is
    the same in every replica. A ``requests`` or ``concurrent`` of 0 sets no limit.
    """

    place: str
    per: Literal["person", "token", "address", "route"]
    requests: int
    length: float
    concurrent: int

    def counted_for(self, asker: Asker) -> tuple[str, ...]:
        """What one counter is for. Who has no person or token counts as their address."""
        whom: tuple[str, ...] = ()
        if self.per == "person":
            whom = asker.person
        elif self.per == "token":
            whom = asker.token
        if not whom and self.per != "route":
            whom = ("address", network(asker.address))
        return (self.place, self.per, *whom)

    def window(self, now: float) -> Window:
        return Window(int(now // self.length), self.length)

    def __str__(self) -> str:
        rate = f"{self.requests} requests in {self.length:g} s" if self.requests else ""
        at_once = f"{self.concurrent} at once" if self.concurrent else ""
        return f"{', '.join(filter(None, (rate, at_once)))} per {self.per}"


def quotas(shared: Sequence[Limit], route: RouteSettings) -> tuple[Quota, ...]:
    """Every limit that holds on a route: ``shared`` ones, and its own."""
    own = f"{route.path} {' '.join(sorted(route.methods))}"
    return (
        *(_quota(limit, f"every {own}" if limit.per == "route" else "all") for limit in shared),
        *(_quota(limit, f"route {own}") for limit in route.limits),
    )


def _quota(limit: Limit, place: str) -> Quota:
    return Quota(place, limit.per, limit.requests, limit.window, limit.concurrent)


def network(address: str) -> str:
    """The network that counts as one address; text that is none counts as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), _NEIGHBOURS), strict=False))
