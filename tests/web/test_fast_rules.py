"""Rules about the request itself: remembering who was let in is no answer to them, in any lane."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.web.lanes import AUTH, Scene, acting, cookies

LANES = pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
READ_ONLY = {"path": "/read/*", "rule": {"methods": ["GET"]}}


async def statuses(scene: Scene, is_fast: bool, *asked: tuple[str, str]) -> list[int]:
    """The answers to requests with the very same header lines, one after another."""
    if not is_fast:
        scene.place.only_slow()
    found, before = [], len(scene.lanes.taken)
    for method, path in asked:
        answer = await scene.browser.request(method, path, page=False, headers=cookies(scene))
        found.append(answer.status)
    assert len(scene.lanes.taken) - before == (len(asked) if is_fast else 0)
    return found


@LANES
async def test_a_method_is_judged_each_time(is_fast: bool) -> None:
    async with acting(routes=[READ_ONLY]) as scene:
        get, post = ("GET", "/read/a"), ("POST", "/read/a")
        asked = (get, get, post, get, post, ("HEAD", "/read/a"), ("DELETE", "/read/a"))
        assert await statuses(scene, is_fast, *asked) == [200, 200, 403, 200, 403, 200, 403]
        if is_fast:
            assert scene.lanes.taken[-7:] == [True, True, False, True, False, True, False]
    assert [line["reason"] for line in scene.place.audited("denied")] == [
        "method_not_permitted"
    ] * 3


async def test_methods_on_one_connection_with_the_same_lines() -> None:
    """As pipelining programs do: only the first line differs."""
    async with acting(routes=[READ_ONLY]) as scene:
        lines = "".join(f"{name}: {value}\r\n" for name, value in cookies(scene).items())
        one = f"/read/a HTTP/1.1\r\nHost: {scene.place.host}\r\n{lines}"
        end = "Connection: close\r\n\r\n"
        parts = [f"GET {one}\r\n", f"GET {one}\r\n", f"POST {one}\r\n", f"GET {one}\r\n"]
        before = len(scene.lanes.taken)
        answer = await scene.raw(("".join(parts) + f"POST {one}{end}").encode())
        found = re.findall(rb"HTTP/1\.1 (\d{3}) \w", answer)
        assert found == [b"200", b"200", b"403", b"200", b"403"]
        assert scene.lanes.taken[before:].count(True) >= 1


@LANES
async def test_a_list_that_changes_counts_from_the_next_request_on(
    is_fast: bool, tmp_path: Path
) -> None:
    people = tmp_path / "people"
    people.write_text("alice@example.org\n")
    rule = {"emails_file": str(people)}
    async with acting(
        routes=[{"path": "/listed/*", "rule": rule}], access={"emails": ["alice@example.org"]}
    ) as scene:
        lists = scene.place.app.parts.runtime.lists
        asked = ("GET", "/listed/a")
        assert await statuses(scene, is_fast, asked, asked, asked) == [200, 200, 200]
        assert scene.lanes.taken[-1] or not is_fast
        people.write_text("# nobody\n")
        lists.refresh(lambda level, words: None)
        assert await statuses(scene, is_fast, asked, asked) == [403, 403]
        people.write_text("alice@example.org # again\n")
        lists.refresh(lambda level, words: None)
        assert await statuses(scene, is_fast, asked, asked) == [200, 200]


@LANES
@pytest.mark.parametrize("path", ["/fresh/a", AUTH])
async def test_a_sign_in_grows_old_while_the_connection_is_open(is_fast: bool, path: str) -> None:
    """And forward-auth asks the global rules as often."""
    limit: dict[str, Any] = {"max_age": "10m"}
    settings = {"access": limit} if path == AUTH else {}
    async with acting(routes=[{"path": "/fresh/*", "rule": limit}], **settings) as scene:
        asked = ("GET", path)
        good = 202 if path == AUTH else 200
        assert await statuses(scene, is_fast, asked, asked, asked) == [good, good, good]
        assert scene.lanes.taken[-1] or not is_fast
        scene.place.clock.advance(590)
        assert await statuses(scene, is_fast, asked) == [good]
        scene.place.clock.advance(20)
        assert await statuses(scene, is_fast, asked, asked) == [401, 401]


@LANES
async def test_forward_auth_asks_for_a_list_each_time(is_fast: bool, tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.write_text("alice@example.org\n")
    async with acting(access={"emails_file": str(people)}) as scene:
        asked = ("GET", AUTH)
        assert await statuses(scene, is_fast, asked, asked, asked) == [202, 202, 202]
        assert scene.lanes.taken[-1] or not is_fast
        people.write_text("\n")
        scene.place.app.parts.runtime.lists.refresh(lambda level, words: None)
        assert await statuses(scene, is_fast, asked, asked) == [403, 403]


@LANES
async def test_a_client_is_judged_by_its_own_address(is_fast: bool) -> None:
    """Behind a trusted hop many clients come over one connection."""
    rule = {"networks": ["192.0.2.0/24"]}
    async with acting(
        routes=[{"path": "/office/*", "rule": rule}], server={"trusted_proxies": ["127.0.0.1"]}
    ) as scene:
        if not is_fast:
            scene.place.only_slow()
        for address, status in (
            ("192.0.2.9", 200), ("192.0.2.9", 200), ("198.51.100.1", 403), ("192.0.2.9", 200),
            ("::ffff:192.0.2.9", 200), ("198.51.100.1", 403),
        ):  # fmt: skip
            headers = {**cookies(scene), "X-Forwarded-For": address}
            answer = await scene.browser.get("/office/a", page=False, headers=headers)
            assert answer.status == status, address
            await asyncio.sleep(0)


async def test_what_is_about_the_person_alone_is_not_asked_again() -> None:
    """What is remembered is worth remembering: the table is asked once for many requests."""
    async with acting(routes=[{"path": "/staff/*", "rule": {"groups": {"any": ["admins"]}}}]) as s:
        await statuses(s, True, ("GET", "/staff/a"), ("GET", "/staff/a"))
        lane, asked = s.place.app.parts.fast, []
        decide = lane._judge.decide

        def noting(*given: Any) -> Any:
            asked.append(given)
            return decide(*given)

        lane._judge.decide = noting  # type: ignore[assignment, method-assign]
        await statuses(s, True, *[("GET", f"/staff/{n % 3}") for n in range(9)])
        assert asked == []
