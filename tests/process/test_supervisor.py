"""Workers, from outside: replaced, reloaded, stopped; and what one learns all know."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.process.served import Load, Served, alive, cookie_header, until
from tests.web.place import HOST, PUBLIC

OPEN = [{"path": "/open/*", "access": "public"}, {"path": "/hold", "access": "public"}]


async def test_a_worker_that_dies_is_replaced_within_a_second(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place, Load(place.port) as load:
        await until(lambda: load.answers > 50)
        before = place.workers()
        served = await place.metric('requests_total{status="200"}')
        killed = time.monotonic()
        os.kill(before[0], signal.SIGKILL)
        took = await until(lambda: len(set(place.workers()) - set(before)) == 1)
        assert took < 1
        answered = load.answers
        await until(lambda: load.answers > answered + 100)
        # Only what was in that very worker may be lost: at most each kept connection, and the
        # few of the others that were being answered.
        assert len(load.failures) <= load.kept + 3, load.failures
        assert all(failed - killed < 1 for failed, _ in load.failures)
        assert await place.metric("worker_restarts_total") == 1
        assert await place.metric("workers") == 2
        assert await place.metric('requests_total{status="200"}') > served, "it counts on"
        assert place.logged_events("worker 1 ended (SIGKILL)")


async def test_a_reload_loses_no_request(tmp_path: Path, free_ports: list[int]) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place, Load(place.port) as load:
        await until(lambda: load.answers > 100)
        for number in (1, 2):
            await reloaded(place, number)
        answered = load.answers
        await until(lambda: load.answers > answered + 100)
        assert load.failures == []
        assert await place.metric('config_reloads_total{outcome="reloaded"}') == 2
        assert await place.metric("workers") == 2
        assert await place.metric('requests_total{status="200"}') >= answered


async def reloaded(place: Served, number: int) -> None:
    """The reload of that number is over, and the workers of before have ended."""
    before = set(place.workers())
    place.signal(signal.SIGHUP)
    await until(lambda: len(place.logged_events("new configuration")) == number)
    await until(lambda: not before & set(place.workers()))


async def test_more_or_fewer_workers_lose_no_request(tmp_path: Path, free_ports: list[int]) -> None:
    """The sockets of workers that are gone are dealt to those that stay."""
    async with Served(tmp_path, free_ports, workers=3) as place, Load(place.port) as load:
        await until(lambda: load.answers > 50)
        for number, workers in ((1, 1), (2, 2)):
            place.configure(server={**place.options()["server"], "workers": workers})
            await reloaded(place, number)
            assert len(place.workers()) == workers
        answered = load.answers
        await until(lambda: load.answers > answered + 100)
        assert load.failures == []


async def test_reloads_in_quick_succession_leave_one_generation(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2, routes=OPEN) as place:
        before = set(place.workers())
        for _ in range(5):
            place.signal(signal.SIGHUP)
            await asyncio.sleep(0.02)
        await until(lambda: place.logged_events("new configuration"))
        await until(lambda: len(place.workers()) == 2 and not before & set(place.workers()))
        assert (await place.browser().get("/open/x")).status == 200
        place.signal(signal.SIGHUP)
        place.signal(signal.SIGTERM)
        assert await place.end() == 0
        assert not place.logged_events("not reloaded")


async def test_a_reload_brings_what_has_changed(tmp_path: Path, free_ports: list[int]) -> None:
    async with Served(tmp_path, free_ports, routes=OPEN) as place:
        keys, browser = await place.jwks(), place.browser()
        await browser.sign_in()
        assert (await browser.get("/open/x")).status == 200
        moved = f"127.0.0.1:{free_ports[2]}"
        server = {**place._settings["server"], "listen": moved, "workers": 2}
        place.configure(routes=[], server=server)
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("new configuration"))
        await until(lambda: refused(free_ports[0]))
        assert (await browser.get("/", port=free_ports[2])).status == 200, "sessions live on"
        answer = await place.browser().get("/open/x", port=free_ports[2])
        assert answer.status == 302, "the route is gone"
        where = "/oauth2/.well-known/jwks.json"
        answer = await place.browser().get(where, page=False, port=free_ports[2])
        assert json.loads(answer.body) == keys, "the key that was made at the start stays"
        assert await place.metric("workers") == 2


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"nonsense": 1}, "nonsense: unknown option", id="unknown key"),
        pytest.param(
            {"identity": {"signing_key_files": ["/nowhere/key.pem"]}},
            "identity.signing_key_files[0]: /nowhere/key.pem",
            id="key file",
        ),
        pytest.param(
            {"server": {"listen": "127.0.0.1:{taken}", "private_listen": "off"}},
            "server.listen: cannot listen on 127.0.0.1:{taken}",
            id="address in use",
        ),
    ],
)
async def test_a_bad_configuration_changes_nothing(
    tmp_path: Path, free_ports: list[int], changes: dict[str, Any], told: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = str(other.getsockname()[1])
        changes = json.loads(json.dumps(changes).replace("{taken}", taken))
        async with Served(tmp_path, free_ports) as place:
            before = place.workers()
            place.configure(**changes)
            place.signal(signal.SIGHUP)
            await until(lambda: place.logged_events("not reloaded"))
            (problem,) = place.logged_events(told.replace("{taken}", taken))
            assert problem["level"] == "error"
            assert place.workers() == before
            assert (await place.browser().get("/ping")).status == 200
            failed = await place.metric('config_reloads_total{outcome="config_reload_failed"}')
            assert failed == 1


async def test_a_half_written_file_is_named_with_its_line(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports) as place:
        place.config.write_text("public_url: http://localhost\nserver: [")
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("not reloaded"))
        assert place.logged_events(f"{place.config}:")
        assert (await place.browser().get("/ping")).status == 200


async def test_signed_out_at_one_worker_is_signed_out_at_all(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place:
        browser = place.browser()
        await browser.sign_in()
        cookies = cookie_header(browser.cookies)
        before = [await asked(place, cookies) for _ in range(12)]
        assert [status for status, _ in before] == [200] * 12
        answer = await browser.post("/oauth2/sign_out")
        assert answer.status == 303
        await asyncio.sleep(0.1)
        after = [await asked(place, cookies) for _ in range(12)]
        assert [status for status, _ in after] == [401] * 12
        await until(lambda: served_by(place, before) == served_by(place, after) == {1, 2})
        (killed, _) = place.workers()
        os.kill(killed, signal.SIGKILL)
        await until(lambda: killed not in place.workers() and len(place.workers()) == 2)
        later = [await asked(place, cookies) for _ in range(12)]
        assert [status for status, _ in later] == [401] * 12, "also at one that came later"
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("new configuration"))
        later = [await asked(place, cookies) for _ in range(6)]
        assert [status for status, _ in later] == [401] * 6, "and after a reload"


async def asked(place: Served, cookies: str) -> tuple[int, str]:
    """The status that a program with these cookies gets, on a new connection, and the id."""
    headers = {"Host": HOST, "Cookie": cookies, "Connection": "close"}
    async with place.http.get(f"http://127.0.0.1:{place.port}/", headers=headers) as answer:
        return answer.status, answer.headers["X-Request-Id"]


def served_by(place: Served, answers: list[tuple[int, str]]) -> set[int]:
    ids = {request_id for _, request_id in answers}
    return {line["worker"] for line in place.lines() if line.get("request_id") in ids}


async def test_an_attempt_used_at_one_worker_is_used_at_all(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place:
        browser = place.browser()
        url = await browser.callback_url()
        kept = {"Host": HOST, "Cookie": cookie_header(browser.cookies), "Connection": "close"}
        path = url.removeprefix(PUBLIC)
        assert (await browser.get(url)).status == 303
        tokens = len([r for r in place.provider.requests if r.endpoint == "token"])
        for _ in range(12):
            target = f"http://127.0.0.1:{place.port}{path}"
            async with place.http.get(target, headers=kept, allow_redirects=False) as answer:
                assert answer.status == 403
        now = len([r for r in place.provider.requests if r.endpoint == "token"])
        assert now == tokens, "nobody asked the provider again"


async def test_a_stop_lets_running_requests_finish(tmp_path: Path, free_ports: list[int]) -> None:
    async with Served(tmp_path, free_ports, workers=2, routes=OPEN) as place:
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        place.signal(signal.SIGTERM)
        await until(lambda: place.logged_events("stopping"))
        await until(lambda: refused(place.port), 1)
        await until(lambda: len(place.workers()) == 1)
        place.upstream.release.set()
        async with await running as response:
            assert response.status == 200
        assert await place.end() == 0
        assert place.logged_events("stopped")


async def test_a_signal_to_the_whole_group_is_no_second_one(
    tmp_path: Path, free_ports: list[int]
) -> None:
    """systemd signals each process of a unit, and a terminal each of the foreground."""
    async with Served(tmp_path, free_ports, workers=2, routes=OPEN) as place:
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        for pid in (place.process.pid, *place.workers()):
            os.kill(pid, signal.SIGTERM)
        await until(lambda: len(place.workers()) == 1)
        await asyncio.sleep(0.2)
        place.upstream.release.set()
        async with await running as response:
            assert response.status == 200
        assert await place.end() == 0


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
async def test_a_second_signal_ends_at_once(
    tmp_path: Path, free_ports: list[int], first: signal.Signals
) -> None:
    async with Served(tmp_path, free_ports, routes=OPEN) as place:
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        place.signal(first)
        await until(lambda: place.logged_events("stopping"))
        place.signal(signal.SIGTERM)
        asked_again = time.monotonic()
        assert await place.end() == 0
        assert time.monotonic() - asked_again < 1
        with pytest.raises(aiohttp.ClientError):
            await running


async def test_workers_end_when_their_supervisor_vanishes(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place:
        workers = place.workers()
        assert len(workers) == 2
        place.signal(signal.SIGKILL)
        await until(lambda: not any(map(alive, workers)), 5)
        await until(lambda: refused(place.port), 1)


async def test_a_worker_that_is_told_to_stop_is_replaced_before_it_has_drained(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, routes=OPEN) as place:
        (worker,) = place.workers()
        url = f"http://127.0.0.1:{place.port}/hold"
        running = asyncio.create_task(place.http.get(url, headers={"Host": HOST}))
        await asyncio.wait_for(place.upstream.arrived.wait(), 5)
        os.kill(worker, signal.SIGTERM)
        await until(lambda: len(place.workers()) == 2, 2)
        assert (await place.browser().get("/ping")).status == 200
        place.upstream.release.set()
        async with await running as response:
            assert response.status == 200
        await until(lambda: not alive(worker))


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2], ids=lambda s: s.name)
async def test_signals_that_mean_nothing_do_nothing(
    tmp_path: Path, free_ports: list[int], number: signal.Signals
) -> None:
    async with Served(tmp_path, free_ports) as place:
        place.signal(number)
        os.kill(place.workers()[0], number)
        assert (await place.browser().get("/ping")).status == 200
        assert (await place.browser().get("/ping")).status == 200
        place.signal(signal.SIGTERM)
        assert await place.end() == 0


async def test_what_cannot_start_says_so_once(tmp_path: Path, free_ports: list[int]) -> None:
    with socket.create_server(("127.0.0.1", free_ports[0])):
        async with Served(tmp_path, free_ports, workers=4) as place:
            assert await place.end() == 2
            (line,) = place.lines()
            assert line["level"] == "error"
            assert f"cannot listen on 127.0.0.1:{free_ports[0]}" in line["event"]


async def test_two_proxies_do_not_share_a_port_unnoticed(
    tmp_path: Path, free_ports: list[int]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ports = free_ports[:1] + free_ports[2:]
    async with (
        Served(tmp_path, free_ports, workers=2),
        Served(other, ports, workers=2) as second,
    ):
        assert await second.end() == 2
