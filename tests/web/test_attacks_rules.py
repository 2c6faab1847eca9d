"""Attacks on decisions, through a running proxy."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from proxy.errors import ConfigError
from proxy.web.lists import EmailFiles
from tests.web.lanes import AUTH, acting, cookies
from tests.web.place import Place

READ_ONLY: dict[str, Any] = {"any": [{"methods": ["GET"]}, {"groups": {"any": ["editors"]}}]}
NO_POST: dict[str, Any] = {"not": {"methods": ["POST"]}}


@pytest.mark.parametrize(
    ("access", "lines", "status"),
    [
        pytest.param(READ_ONLY, [("X-Original-Method", "GET")], 202, id="said by the hop"),
        pytest.param(
            READ_ONLY, [("X-Original-Method", "POST"), ("X-Forwarded-Method", "GET")], 403,
            id="and another by the client",
        ),
        pytest.param(
            READ_ONLY, [("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "POST")], 403,
            id="twice",
        ),
        pytest.param(NO_POST, [("X-Original-Method", "GET")], 202, id="one that may"),
        pytest.param(NO_POST, [], 403, id="none"),
        pytest.param(NO_POST, [("X-Original-Method", "post")], 403, id="as some apps read POST"),
        pytest.param(NO_POST, [("X-Original-Method", "GET, POST")], 403, id="two on a line"),
    ],
)  # fmt: skip
async def test_a_client_does_not_choose_its_method(
    access: dict[str, Any], lines: list[tuple[str, str]], status: int
) -> None:
    """nginx hands on every line of the client's that it was not told to set."""
    server = {"trusted_proxies": ["127.0.0.1"]}
    async with acting(access=access, server=server) as scene:
        given = [("Host", scene.place.host), *cookies(scene).items(), *lines]
        head = f"GET {AUTH} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in given)
        data = f"{head}\r\n{head}Connection: close\r\n\r\n".encode()
        for _ in range(2):
            answers = re.findall(rb"HTTP/1\.1 (\d{3}) ", await scene.raw(data))
            assert answers == [b"%d" % status] * 2
            scene.place.only_slow()


async def test_an_api_route_never_answers_with_a_page() -> None:
    """A browser that goes there by a link is told as any program: 401, and what is needed."""
    route = {"path": "/api/*", "api": True, "rule": {"acr_values": ['go"ld', "gold"]}}
    async with Place(routes=[route]) as place:
        browser = place.browser()
        await browser.sign_in("/")
        for page in (True, False):
            answer = await browser.get("/api/x", page=page)
            assert (answer.status, answer.location) == (401, "")
            assert json.loads(answer.body)["error"] == "acr_not_allowed"
            needed = 'Bearer error="insufficient_user_authentication", acr_values="gold"'
            assert answer.headers["WWW-Authenticate"] == needed


async def test_a_form_is_not_sent_again_behind_a_person_s_back() -> None:
    """A POST that needs a stronger sign-in is refused, and leads nowhere by itself."""
    async with Place(routes=[{"path": "/vault/*", "rule": {"acr_values": ["gold"]}}]) as place:
        browser = place.browser()
        await browser.sign_in("/")
        before = len(place.upstream.seen)
        answer = await browser.post("/vault/pay", data=b"amount=1")
        assert (answer.status, answer.location) == (401, "")
        assert len(place.upstream.seen) == before


def test_a_pipe_is_no_list_and_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "people"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no regular file"):
        EmailFiles([str(path)])
    path.unlink()
    path.write_text("a@b.example\n")
    lists = EmailFiles([str(path)])
    path.unlink()
    os.mkfifo(path)
    lists.refresh(lambda level, words: None)
    assert lists.addresses(str(path)) == {"a@b.example"}


def test_a_path_that_is_none_is_a_problem_and_no_crash() -> None:
    with pytest.raises(ConfigError, match="null byte"):
        EmailFiles(["a\0b"])


async def test_others_are_served_while_a_long_list_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people"
    path.write_text("a@b.example\n")
    lists, told = EmailFiles([str(path)], every=0.001), asyncio.Event()
    path.write_text("".join(f"a{number}@b.example\n" for number in range(30_000)))
    watching = asyncio.create_task(lists.watch(lambda level, words: told.set()))
    turns = 0
    try:
        while not told.is_set():
            await asyncio.sleep(0)
            turns += 1
    finally:
        watching.cancel()
    assert len(lists.addresses(str(path))) == 30_000
    assert turns > 1000  # each time somebody could have been answered
