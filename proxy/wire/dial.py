"""A new connection to one of an upstream's addresses, before a deadline."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from proxy.errors import Reason, UpstreamError
from proxy.wire.addresses import Address, Addresses
from proxy.wire.connection import Connection
from proxy.wire.failures import why


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tls:
    """How an https upstream is spoken to.

    ``server_name``, if any, is asked for and checked instead of the host of the URL.
    """

    context: ssl.SSLContext
    server_name: str = ""


async def dial(
    addresses: Addresses, tls: Tls | None, timeout: float, make: Callable[[], Connection]
) -> tuple[Connection, Address]:
    """Connect to the next address, or to those after it if need be, ``timeout`` s in all.

    ``make`` makes the protocol. Raises UpstreamError: upstream_unreachable, or upstream_timeout
    (504) when an address did not even refuse.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    try:
        async with asyncio.timeout_at(deadline):
            places = await addresses.in_turn()
    except TimeoutError:
        words = "looking up the upstream's name took too long"
        raise UpstreamError(Reason.UPSTREAM_TIMEOUT, words, status=504) from None
    failures, slow = [], False
    for number, address in enumerate(places):
        # What is left is shared, so that an address that never answers leaves time for the next.
        share = (deadline - loop.time()) / (len(places) - number)
        try:
            async with asyncio.timeout(share):
                return await _open(address, tls, make), address
        except TimeoutError:
            slow, reason = True, "connecting took too long"
            failures.append(f"connecting to {address} took too long")
        except (OSError, UnicodeError) as error:
            reason = why(error)
            failures.append(f"cannot connect to {address}: {reason}")
        addresses.failed(address, reason)
    words = "; ".join(failures)
    if slow:
        raise UpstreamError(Reason.UPSTREAM_TIMEOUT, words, status=504)
    raise UpstreamError(Reason.UPSTREAM_UNREACHABLE, words)


async def _open(address: Address, tls: Tls | None, make: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    if address.origin.socket:
        _, connection = await loop.create_unix_connection(make, address.origin.socket)
        return connection
    name = (tls.server_name or address.origin.host) if tls else None
    _, connection = await loop.create_connection(
        make,
        address.host,
        address.origin.port,
        ssl=tls.context if tls else None,
        server_hostname=name,
    )
    return connection
