"""Starting, stopping, and the private listener."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from collections.abc import Awaitable
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.web.app import App
from proxy.web.listeners import bind, close_all
from proxy.web.log import Log
from tests.fakes.authority import Authority
from tests.web.place import HOST, Place

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
OPEN = [{"path": "/*", "access": "public"}]


async def private(place: Place, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{place.app.private_port}{path}"
    async with place.http.get(url) as response:
        return response.status, await response.text()


async def test_metrics_and_named_checks_are_private() -> None:
    async with Place() as place:
        await place.app.parts.providers.first.check()  # type: ignore[union-attr]
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
        await app.parts.providers.first.check()  # type: ignore[union-attr]
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


# listening


async def status_at(opening: Awaitable[Connection]) -> bytes:
    """The status line of GET /ping on a new connection."""
    reader, writer = await opening
    writer.write(f"GET /ping HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer.partition(b"\r\n")[0]


async def test_everything_listens_until_the_drain(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue(HOST)
    path, inner = tmp_path / "x.sock", tmp_path / "private.sock"
    server = {
        "listen": ["127.0.0.1:0", f"unix:{path}"],
        "tls_listen": "127.0.0.1:0",
        "certificate_file": str(certificate),
        "key_file": str(key),
        "private_listen": ["127.0.0.1:0", f"unix:{inner}"],
    }
    async with Place(server=server) as place:
        app, tls = place.app, authority.client()
        assert 0 not in (app.port, app.tls_port, app.private_port)

        def everything() -> list[Awaitable[Connection]]:
            return [
                asyncio.open_connection("127.0.0.1", app.port),
                asyncio.open_unix_connection(path),
                asyncio.open_connection("127.0.0.1", app.tls_port, ssl=tls, server_hostname=HOST),
                asyncio.open_unix_connection(inner),
                asyncio.open_connection("127.0.0.1", app.private_port),
            ]

        found = [await status_at(opening) for opening in everything()]
        assert found == [b"HTTP/1.1 200 OK"] * 5
        await app.drain()
        *public, private_unix, private = everything()
        for opening in public:
            with pytest.raises(OSError, match="Connect"):
                await opening
        for opening in (private_unix, private):
            assert await status_at(opening) == b"HTTP/1.1 200 OK"
    assert not path.exists()
    assert not inner.exists()


async def test_sockets_that_are_handed_over_are_used_and_their_files_left(tmp_path: Path) -> None:
    async with Place() as place:
        path = tmp_path / "x.sock"
        settings = place.settings()
        server = settings.server.model_copy(update={"listen": ("127.0.0.1:0", f"unix:{path}")})
        listeners = bind(server)
        port = listeners[0].port
        async with App(settings, Log(io.StringIO(), place.clock), place.world, listeners) as app:
            assert app.port == port
            for opening in (
                asyncio.open_connection("127.0.0.1", port),
                asyncio.open_unix_connection(path),
            ):
                assert await status_at(opening) == b"HTTP/1.1 200 OK"
        assert path.exists()
        close_all(listeners)
        assert not path.exists()


async def test_files_and_addresses_are_complained_of_at_once(tmp_path: Path) -> None:
    async with Place() as place:
        server = place.settings().server.model_copy(
            update={
                "listen": (f"127.0.0.1:{place.port}", f"unix:{tmp_path}/x.sock"),
                "tls_listen": ("127.0.0.1:0",),
                "certificate_file": "/nowhere/tls.pem",
            }
        )
        settings = place.settings().model_copy(update={"server": server})
        with pytest.raises(ConfigError) as caught:
            async with App(settings, Log(io.StringIO(), place.clock), place.world):
                pytest.fail("it started")
        assert [problem.partition(":")[0] for problem in caught.value.problems] == [
            "server.certificate_file",
            "server.listen",
        ]
        assert not (tmp_path / "x.sock").exists()
