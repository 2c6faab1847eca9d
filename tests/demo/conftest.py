"""A running provider for the tests of this room."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.demo.conversation import OTHER, SPA, WEB
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider


@pytest_asyncio.fixture
async def clock() -> FakeClock:
    return FakeClock()


@pytest_asyncio.fixture
async def fake(clock: FakeClock) -> AsyncIterator[FakeProvider]:
    async with FakeProvider(WEB, OTHER, SPA, algorithm="ES256", clock=clock) as provider:
        yield provider
