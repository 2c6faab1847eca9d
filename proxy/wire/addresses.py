"""The addresses of one upstream: taken in turn, left out for a while when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from proxy.errors import Reason, UpstreamError
from proxy.wire.lookup import Lookup, Resolve
from proxy.wire.origin import Origin

SHORTEST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds that a failing address is left out: twice as long each time."""

Tell = Callable[["Address", str], None]
"""Hears of an address that is left out, and why; or, without a reason, that it is back."""

STRIKES = 3
"""Exchanges in a row that break before any byte came until an address counts as failing.

One would be too few: a request that crashes the app could take away one address after another.
"""


class Address:
    """One place to connect to: ``host`` is an IP address, or the path of a unix socket.

    ``paused_until`` (by the pool's clock) is when it will be tried again; 0 while it is well.
    ``has_failed`` tells whether anything went wrong since it last answered.
    """

    __slots__ = ("has_failed", "host", "origin", "pause", "paused_until", "strikes")

    def __init__(self, origin: Origin, host: str) -> None:
        self.origin = origin
        self.host = host
        self.pause = self.paused_until = 0.0
        self.strikes = 0
        self.has_failed = False

    def __str__(self) -> str:
        known = self.host in (self.origin.host, self.origin.socket)
        return str(self.origin) if known else f"{self.origin} ({self.host})"


class Addresses:
    """All addresses of all names of one upstream; round robin over those that are well.

    ``on_out`` is called with an address that new requests should keep away from: it fails, or
    its name does not lead there any more. ``tell`` hears once when an address begins to fail,
    and once when it has answered again.
    """

    def __init__(
        self,
        origins: Sequence[Origin],
        resolve: Resolve,
        ttl: float,
        clock: Callable[[], float],
        on_out: Callable[[Address], None],
        tell: Tell = lambda address, reason: None,
    ) -> None:
        self._lookups = [Lookup(origin, resolve, ttl, self._collect) for origin in origins]
        self._clock = clock
        self._on_out = on_out
        self._tell = tell
        self._known: list[Address] = []
        self._turn = 0
        self._collect()

    def __len__(self) -> int:
        return len(self._known)

    async def in_turn(self) -> list[Address]:
        """Every address, in the order to try them: those that are well first, then the others,
        the one that is due soonest first. Raises UpstreamError when no name has an address.
        """
        tasks = {task for lookup in self._lookups if (task := lookup.first())}
        while tasks and not self._known:
            _, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not self._known:
            failed = [f"{it.origin.host}: {it.error or 'no answer'}" for it in self._lookups]
            words = "; ".join(failed)
            raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, f"cannot resolve {words}")
        now = self._clock()
        well = [address for address in self._known if address.paused_until <= now]
        failing = [address for address in self._known if address.paused_until > now]
        failing.sort(key=lambda address: address.paused_until)
        if well:
            first = self._turn % len(well)
            self._turn += 1
            well = well[first:] + well[:first]
        return well + failing

    def failed(self, address: Address, reason: str) -> None:
        """No connection to ``address``: it is left out for a while, unless it is the only one."""
        if len(self._known) < 2 or address.paused_until > self._clock():
            return
        was_well = not address.pause
        address.pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * address.pause))
        address.paused_until = self._clock() + address.pause
        address.strikes = 0
        address.has_failed = True
        if was_well:
            self._tell(address, reason)
        self._on_out(address)

    def broke(self, address: Address, reason: str) -> None:
        """An exchange with ``address`` broke before any byte of a response came."""
        address.strikes += 1
        address.has_failed = True
        if address.strikes >= STRIKES:
            self.failed(address, f"{address.strikes} exchanges in a row broke, at last: {reason}")

    def worked(self, address: Address) -> None:
        """``address`` has answered."""
        was_out = address.pause > 0
        address.pause = address.paused_until = 0.0
        address.strikes = 0
        address.has_failed = False
        if was_out:
            self._tell(address, "")

    def close(self) -> None:
        """Ask for no address any more."""
        for lookup in self._lookups:
            lookup.close()

    def _collect(self) -> None:
        before = {(address.origin, address.host): address for address in self._known}
        # Two spellings of one origin are one place.
        places = dict.fromkeys((it.origin, host) for it in self._lookups for host in it.found)
        self._known = [before.get(place) or Address(*place) for place in places]
        for place in before.keys() - places.keys():
            self._on_out(before[place])
