"""Starting, stopping, and the private listener."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from tests.web.place import HOST, Place

OPEN = [{"path": "/*", "access": "public"}]


async def private(place: Place, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{place.app.private_port}{path}"
    async with place.http.get(url) as response:
        return response.status, await response.text()


async def test_metrics_and_named_checks_are_private() -> None:
    async with Place() as place:
        await place.app.parts.provider.check()  # type: ignore[union-attr]
        browser = place.browser()
        await browser.sign_in()
        await browser.get("/")
        status, text = await private(place, "/metrics")
        assert status == 200
        assert 'auth_proxy_requests_total{status="200"}' in text
        assert "auth_proxy_logins_total 1.0" in text
        assert "alice" not in text
        status, text = await private(place, "/ready")
        assert (status, json.loads(text)["checks"]["provider"]) == (200, "ok")
        public = await browser.get("/ready", page=False)
        assert json.loads(public.body) == {"status": "ready"}
        assert (await place.browser().get("/metrics", page=False)).status == 401


async def test_a_provider_that_is_down_at_start_heals_by_itself() -> None:
    async with Place() as place:
        await place.provider.stop()
        app = await place.start_proxy()
        assert (await place.browser().get("/ping")).status == 200
        answer = await place.browser().get("/")
        assert answer.status == 502
        assert (await place.browser().get("/ready", page=False)).status == 503
        status, text = await private(place, "/ready")
        assert status == 503
        assert json.loads(text)["checks"]["provider"] == "provider_unreachable"
        await place.provider.restart()
        place.clock.advance(60)
        assert (await place.browser().get("/")).status == 302
        await app.parts.provider.check()  # type: ignore[union-attr]
        assert (await place.browser().get("/ready", page=False)).status == 200


async def test_draining_lets_running_requests_finish_and_accepts_no_more() -> None:
    async with Place(routes=OPEN) as place:
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", place.port)
        await asyncio.wait_for(place.upstream.arrived.wait(), 2)
        draining = asyncio.create_task(place.app.drain())
        assert await asyncio.wait_for(idle_reader.read(), 2) == b""
        idle_writer.close()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", place.port)
        assert not draining.done()
        place.upstream.release.set()
        async with await running as response:
            assert response.status == 200
            assert response.headers["Connection"] == "close"
        await asyncio.wait_for(draining, 2)


async def test_draining_gives_up_at_its_limit() -> None:
    async with Place(routes=OPEN, server={"drain_timeout": 0.2}) as place:
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        await asyncio.wait_for(place.upstream.arrived.wait(), 2)
        started = time.monotonic()
        await place.app.drain()
        assert 0.15 < time.monotonic() - started < 5
        running.cancel()
