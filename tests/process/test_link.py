"""A worker's end of its channel, on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.process.channel import Channel, Message, Order
from proxy.process.link import Link


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Link, Channel]]:
    ours, theirs = Channel.pair()
    link = Link(theirs, asyncio.get_running_loop())
    yield link, ours
    link.close()
    ours.close()


async def received(channel: Channel, count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            await asyncio.sleep(0)
            found += channel.receive()
    return found


async def test_what_a_worker_says(ends: tuple[Link, Channel]) -> None:
    link, supervisor = ends
    link.ready()
    link.leaving()
    link.failed(["one", "two"])
    assert await received(supervisor, 3) == [
        {"ready": True},
        {"leaving": True},
        {"failed": ["one", "two"]},
    ]


async def test_what_a_worker_hears(ends: tuple[Link, Channel]) -> None:
    link, supervisor = ends
    told: asyncio.Queue[Order] = asyncio.Queue()
    supervisor.send({"order": Order.RETIRE})  # before anybody listens
    link.listen(told.put_nowait)
    assert await asyncio.wait_for(told.get(), 5) is Order.RETIRE
    for order in Order:
        supervisor.send({"order": order})
    assert [await asyncio.wait_for(told.get(), 5) for _ in Order] == list(Order)
    supervisor.close()
    assert await asyncio.wait_for(told.get(), 5) is Order.DRAIN, "there is nobody to serve for"
    await asyncio.sleep(0.01)
    assert told.empty(), "once"


async def test_much_is_told_as_the_supervisor_takes_it(ends: tuple[Link, Channel]) -> None:
    link, supervisor = ends
    for number in range(5000):
        link.failed([f"{number:0100}"])
    messages = await received(supervisor, 5000)
    told = [message["failed"] for message in messages]
    assert told == [[f"{number:0100}"] for number in range(5000)]
