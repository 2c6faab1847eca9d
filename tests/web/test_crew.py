"""What a worker has in common with others, or not, where it is alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.web.app import App
from proxy.web.crew import Crew
from tests.web.place import Place


def test_by_default_a_worker_is_alone_and_speaks() -> None:
    one, other = Crew(), Crew()
    one.metrics.logged_in()
    assert b"auth_proxy_logins_total 0.0" in other.metrics.render()
    assert one.speaks
    assert (one.relieves, one.made) == (False, None)


@asynccontextmanager
async def colleague(place: Place, crew: Crew) -> AsyncIterator[App]:
    """One more proxy on the place's settings."""
    async with App(place.settings(), place.app.parts.log, place.world, crew=crew) as app:
        yield app


async def test_one_worker_speaks_for_all() -> None:
    async with Place() as place, colleague(place, Crew(speaks=False)):
        assert len(place.audited("serving")) == 1


async def test_whoever_relieves_others_knows_the_provider_before_it_serves() -> None:
    async with Place() as place, colleague(place, Crew(relieves=True)) as app:
        assert (await place.browser().get("/ready", page=False, port=app.port)).status == 200
