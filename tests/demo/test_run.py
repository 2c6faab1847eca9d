"""The whole demo, as ``auth-proxy demo`` runs it."""

from __future__ import annotations

import io
import logging
import re
import socket
from collections.abc import Iterator
from html import unescape
from urllib.parse import urljoin

import aiohttp
import pytest

from proxy.demo.run import demo, free_port, welcome

PAGE = {"Accept": "text/html"}


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


async def test_alice_signs_in_and_mallory_is_shown_the_door(free_port: int) -> None:
    async with demo("127.0.0.1", free_port, io.StringIO()) as running:
        assert running.public_url in welcome(running)
        for name, status in (("alice", 200), ("mallory", 403)):
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar, headers=PAGE) as http:
                async with http.get(running.public_url) as response:
                    form, where = await response.text(), str(response.url)
                action = re.search(r'action="([^"]+)"', form)
                ticket = re.search(r'name="form" value="([^"]+)"', form)
                assert action
                assert ticket
                data = {"form": unescape(ticket[1]), "user": name}
                async with http.post(urljoin(where, unescape(action[1])), data=data) as response:
                    text = await response.text()
                    assert response.status == status
                if name == "alice":
                    assert "alice@example.org" in text
                    async with http.get(f"{running.public_url}/whoami") as response:
                        assert (await response.json())["cookies"] == []


def test_a_taken_port_is_avoided() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port
