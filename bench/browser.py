"""A browser's part in a sign-in: it follows redirects, keeps cookies, clicks on alice."""

from __future__ import annotations

import re
from html import unescape
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from bench.model import ScenarioFailed

PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9", "Sec-Fetch-Mode": "navigate"}
_MOST_STEPS = 12


class Browser:
    """An asynchronous context manager. Cookies are kept for each host and port."""

    def __init__(self) -> None:
        self._cookies: dict[str, dict[str, str]] = {}
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(30)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    def cookie(self, port: int) -> str:
        """The Cookie header for a port of this machine."""
        kept = self._cookies.get(f"127.0.0.1:{port}", {})
        return "; ".join(f"{name}={value}" for name, value in kept.items())

    def forget(self, port: int) -> None:
        """Sign out there, without saying so."""
        self._cookies.pop(f"127.0.0.1:{port}", None)

    async def sign_in(self, port: int) -> str:
        """From the proxy's start page to the provider and back; the session's Cookie header.

        Raises ScenarioFailed when that does not lead back to the application.
        """
        try:
            return await self._sign_in(port)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise ScenarioFailed(f"the sign-in broke off: {exc!r}") from exc

    async def _sign_in(self, port: int) -> str:
        url, home = f"http://127.0.0.1:{port}/", f"127.0.0.1:{port}"
        form: dict[str, str] | None = None
        for _ in range(_MOST_STEPS):
            status, location, text = await self._step(url, form)
            form = None
            if location:
                url = urljoin(url, location)
            elif fields := _form(text):
                action, form = fields
                url = urljoin(url, action)
            elif status == 200 and urlsplit(url).netloc == home:
                return self.cookie(port)
            else:
                break
        raise ScenarioFailed(f"the sign-in ended at {url} with {status}: {text[:300]}")

    async def _step(self, url: str, form: dict[str, str] | None) -> tuple[int, str, str]:
        host = urlsplit(url).netloc
        kept = self._cookies.setdefault(host, {})
        headers = dict(PAGE)
        if kept:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        async with self._http.request(
            "GET" if form is None else "POST", URL(url, encoded=True), data=form,
            headers=headers, allow_redirects=False,
        ) as response:  # fmt: skip
            for line in response.headers.getall("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                gone = not value or "max-age=0" in line.lower() or "01 Jan 1970" in line
                kept.pop(name, None) if gone else kept.update({name: value})
            return (
                response.status,
                response.headers.get("Location", ""),
                await response.text(errors="replace"),
            )


def _form(text: str) -> tuple[str, dict[str, str]] | None:
    """Where the provider's form goes, filled in; none when this is no such page."""
    action = re.search(r'action="([^"]+)"', text)
    ticket = re.search(r'name="form" value="([^"]+)"', text)
    if not action or not ticket:
        return None
    return unescape(action[1]), {"form": unescape(ticket[1]), "user": "alice"}
