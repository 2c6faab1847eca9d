"""A cached value: fetched once for all who wait, kept while its source fails."""

from __future__ import annotations

import asyncio

import pytest

from proxy.errors import ProviderError, Reason
from proxy.web.cached import Cached
from tests.fakes.clock import FakeClock


class Source:
    """Something to fetch: counts, waits while told to, fails while told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()
        self.failing = False

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        await self.open.wait()
        if self.failing:
            raise ProviderError(Reason.PROVIDER_TIMEOUT, f"call {number}", status=504)
        return number


async def ready(source: Source, cached: Cached[int], count: int) -> list[asyncio.Task[int]]:
    """So many tasks that wait for one fetch."""
    source.open.clear()
    tasks = [asyncio.ensure_future(cached.get())]
    await asyncio.sleep(0)
    tasks += [asyncio.ensure_future(cached.get()) for _ in range(count - 1)]
    await asyncio.sleep(0)
    return tasks


async def test_a_value_is_fetched_once_until_it_is_old() -> None:
    source, clock = Source(), FakeClock()
    cached = Cached(source, 100, clock)
    assert [await cached.get(), await cached.get()] == [1, 1]
    clock.advance(99)
    assert await cached.get() == 1
    clock.advance(1)
    assert await cached.get() == 2


async def test_whoever_comes_during_a_fetch_shares_it() -> None:
    source = Source()
    cached = Cached(source, 100, FakeClock())
    tasks = await ready(source, cached, 20)
    source.open.set()
    assert await asyncio.gather(*tasks) == [1] * 20
    assert source.calls == 1


async def test_whoever_comes_during_a_fetch_that_fails_fails_with_it() -> None:
    source = Source()
    cached = Cached(source, 100, FakeClock())
    tasks = await ready(source, cached, 20)
    source.failing = True
    source.open.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(exc, ProviderError) and exc.status == 504 for exc in found)
    assert len({id(exc) for exc in found}) == 20
    assert source.calls == 1


async def test_a_client_that_leaves_takes_nobody_with_it() -> None:
    source = Source()
    cached = Cached(source, 100, FakeClock())
    first, *others = await ready(source, cached, 5)
    first.cancel()
    await asyncio.sleep(0)
    source.open.set()
    assert await asyncio.gather(*others) == [2] * 4
    assert first.cancelled()
    assert source.calls == 2


async def test_the_old_value_serves_while_the_source_fails() -> None:
    source, clock = Source(), FakeClock()
    cached = Cached(source, 100, clock)
    await cached.get()
    source.failing = True
    clock.advance(100)
    assert [await cached.get(), await cached.get()] == [1, 1]
    assert cached.failure is not None
    assert source.calls == 2


async def test_renewing_tries_again_after_a_failure_and_heals() -> None:
    source, clock = Source(), FakeClock()
    cached = Cached(source, 100, clock)
    await cached.get()
    clock.advance(29)
    await cached.renew(30)
    assert source.calls == 1
    clock.advance(1)
    source.failing = True
    await cached.renew(30)
    assert (source.calls, await cached.get()) == (2, 1)
    assert cached.failure is not None
    source.failing = False
    await cached.renew(30)
    assert (source.calls, await cached.get(), cached.value) == (3, 3, 3)
    assert cached.failure is None


async def test_nobody_with_an_older_value_waits_for_a_renewal() -> None:
    source, clock = Source(), FakeClock()
    cached = Cached(source, 100, clock)
    await cached.get()
    clock.advance(200)
    source.open.clear()
    renewal = asyncio.ensure_future(cached.renew(30))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await cached.get() == 1
    source.open.set()
    await renewal
    assert await cached.get() == 2


async def test_a_renewal_without_an_older_value_says_why_it_failed() -> None:
    source = Source()
    source.failing = True
    cached = Cached(source, 100, FakeClock())
    with pytest.raises(ProviderError):
        await cached.renew(30)
    assert cached.value is None


async def test_a_refresh_is_spared_when_somebody_was_faster() -> None:
    source = Source()
    cached = Cached(source, 100, FakeClock())
    await cached.get()
    seen = cached.version
    assert [await cached.refresh(seen), await cached.refresh(seen)] == [2, 2]
