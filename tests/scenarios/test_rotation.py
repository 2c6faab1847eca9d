"""Both kinds of key replaced under two real proxies: who stays signed in, which JWTs are good."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.crypto.jwt import JwtInvalid, generate_signing_key
from tests.fakes.upstream import verified_identity
from tests.process.served import PATIENCE, Served, alive, until
from tests.web.place import PUBLIC, Browser

IDLE = 60
"""Seconds; after a tenth of them a cookie is renewed."""


class Replica(Served):
    """One of several proxies with the same keys, provider and upstream: those of the first."""

    def __init__(
        self, folder: Path, ports: list[int], keys: Path, first: Replica | None, **settings: Any
    ) -> None:
        folder.mkdir()
        super().__init__(folder, ports, **settings)
        self._keys = keys
        self._first = first

    async def _start(self) -> None:
        if self._first is None:
            await super()._start()
            return
        self.provider, self.upstream = self._first.provider, self._first.upstream
        self.http = self._first.http
        await self.serve()

    def options(self) -> dict[str, Any]:
        given = super().options()
        given["cookie"] = {"secret_file": str(self._keys / "secret")}
        given["identity"] = {"signing_key_files": [str(self._keys / "signing.pem")]}
        return given

    async def reload(self) -> None:
        """With the files as they are now, until no worker has what was before."""
        told, workers = len(self._reloads()), self.workers()
        self.signal(signal.SIGHUP)
        await until(lambda: len(self._reloads()) > told)
        await until(lambda: not any(map(alive, workers)))

    def _reloads(self) -> list[dict[str, Any]]:
        return self.logged_events("new configuration is in force")


class Rotation:
    """Two replicas, and people who have signed in at either, at any step so far."""

    def __init__(self, replicas: list[Replica], keys: Path) -> None:
        self.replicas = replicas
        self.people: dict[str, Browser] = {}
        self._keys = keys

    def step(self, name: str) -> None:
        for file in ("secret", "signing.pem"):
            assert main(["keys", "rotate", name, str(self._keys / file)]) == 0

    async def arrive(self, when: str) -> None:
        """Somebody signs in at each replica."""
        for number, replica in enumerate(self.replicas):
            browser = replica.browser()
            answer = await browser.sign_in()
            assert answer.status == 303, answer
            self.people[f"{when}, at {number}"] = browser

    async def token(self, browser: Browser, replica: Replica) -> str:
        """The JWT that the upstream gets, if the replica lets that person in; else empty."""
        answer = await browser.get("/", port=replica.port)
        if answer.status == 302:
            return ""
        assert answer.status == 200, answer
        [token] = replica.upstream.header("X-Forwarded-Identity")
        return token

    async def reopened(self, cookies: dict[str, str]) -> list[bool]:
        """Whether these cookies are let in by each replica."""
        browsers = [(replica.browser(), replica) for replica in self.replicas]
        for browser, _ in browsers:
            browser.cookies = dict(cookies)
        return [bool(await self.token(browser, replica)) for browser, replica in browsers]

    async def believed(self, token: str) -> list[bool]:
        """Whether the token is good by the JWKS of each replica."""
        good = []
        for replica in self.replicas:
            try:
                verified_identity(token, await replica.jwks(), PUBLIC, "api", time.time())
                good.append(True)
            except JwtInvalid:
                good.append(False)
        return good

    async def nobody_is_signed_out(self) -> None:
        """Each person at each replica, and each JWT by each JWKS."""
        for who, browser in self.people.items():
            for replica in self.replicas:
                token = await self.token(browser, replica)
                assert token, (who, replica.port)
                assert await self.believed(token) == [True, True], (who, replica.port)

    async def reload(self, *order: int) -> None:
        """One replica after the other; between them they are at different steps."""
        for number in order:
            await self.replicas[number].reload()
            await self.arrive(f"{len(self.people)}")
            await self.nobody_is_signed_out()

    async def renew(self, browser: Browser) -> None:
        """Go on using the app until the cookie is a new one."""
        before, began = browser.session, time.monotonic()
        while browser.session == before:
            assert time.monotonic() - began < IDLE / 10 + PATIENCE
            assert await self.token(browser, self.replicas[0])
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("store", ["cookie", "file"])
async def test_three_steps_sign_nobody_out(
    tmp_path: Path, free_ports: list[int], store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    assert main(["keys", "secret"]) == 0
    (keys / "secret").write_text(capsys.readouterr().out)
    (keys / "signing.pem").write_bytes(generate_signing_key("ES256"))
    session = {"store": store, "idle_timeout": IDLE}
    if store == "file":
        session["file"] = str(tmp_path / "sessions.db")
    async with AsyncExitStack() as stack:
        first = Replica(tmp_path / "one", free_ports[:2], keys, None, session=session)
        await stack.enter_async_context(first)
        second = Replica(tmp_path / "two", free_ports[2:], keys, first, session=session)
        await stack.enter_async_context(second)
        rotation = Rotation([first, second], keys)

        await rotation.arrive("before")
        await rotation.nobody_is_signed_out()
        early = rotation.people["before, at 0"]
        old_token = await rotation.token(early, first)
        rotation.step("add")
        await rotation.reload(1, 0)
        closed = dict(early.cookies)  # of a browser that stays closed from now on

        rotation.step("use")
        await rotation.reload(0, 1)
        assert await rotation.believed(old_token) == [True, True]
        assert await rotation.reopened(closed) == [True, True]

        # What is to outlive the old secret must have been made, or made anew, by the new one.
        if store == "cookie":
            await rotation.renew(early)
        else:
            early.cookies.clear()
            await early.sign_in()
        await rotation.arrive("late")
        late = {who: b for who, b in rotation.people.items() if who.startswith("late")}
        rotation.people = {"renewed": early, **late}

        rotation.step("drop")
        await rotation.reload(1)
        assert await rotation.reopened(closed) == [True, False]
        assert await rotation.believed(old_token) == [True, False]
        await rotation.reload(0)
        assert await rotation.reopened(closed) == [False, False]
        assert await rotation.believed(old_token) == [False, False]
