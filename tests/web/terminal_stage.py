"""A proxy with the sign-in of terminals, terminals that ask, and people who confirm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.web.pages.document import Document
from tests.web.place import PUBLIC, Answer, Browser, Place

HERE = {"Sec-Fetch-Site": "same-origin"}
DEVICE = "/oauth2/device"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Stage(Place):
    """``async with Stage(tmp_path, tokens={...}) as stage``: as a Place, with terminals."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        tokens = {"terminal": True, **settings.pop("tokens", {})}
        session = {"file": str(folder / "sessions.db"), **settings.pop("session", {})}
        super().__init__(tokens=tokens, session=session, **settings)

    async def person(self, user: str = "alice") -> Browser:
        browser = self.browser()
        await browser.sign_in(user=user)
        return browser

    async def owner(self, terminal: Terminal, token: str) -> tuple[str, str]:
        """Issuer and subject of whom a token stands for."""
        answer = await terminal.use(token, "/oauth2/userinfo")
        found = json.loads(answer.body)
        return found["iss"], found["sub"]

    def terminal(self, program: str = "curl/8.5.0") -> Terminal:
        return Terminal(self, program)


@dataclass
class Terminal:
    """A program without cookies; ``begun`` is what it was told when it began."""

    stage: Stage
    program: str

    def __post_init__(self) -> None:
        self.browser = self.stage.browser()
        self.begun: dict[str, Any] = {}

    async def post(self, path: str, data: Any = None, **headers: str) -> Answer:
        given = {"User-Agent": self.program, **headers}
        return await self.browser.post(f"/oauth2/{path}", page=False, data=data, headers=given)

    # RFC 8628

    async def authorize(self, **form: str) -> Terminal:
        answer = await self.post("device/authorize", form)
        assert answer.status == 200, answer.text
        self.begun = json.loads(answer.body)
        return self

    async def token(self, **form: str) -> tuple[int, dict[str, Any]]:
        given = {"grant_type": GRANT, "device_code": self.begun["device_code"], **form}
        return _read(await self.post("device/token", given))

    async def renew(self, refresh: str) -> tuple[int, dict[str, Any]]:
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        return _read(await self.post("device/token", form))

    # Of LiteLLM's client

    async def start(self) -> Terminal:
        answer = await self.post("cli/start")
        assert answer.status == 200, answer.text
        self.begun = json.loads(answer.body)
        return self

    async def poll(self, query: str = "", secret: str = "") -> tuple[int, dict[str, Any]]:
        path = f"/oauth2/cli/poll/{self.begun['login_id']}{query}"
        headers = {"X-Poll-Secret": secret or self.begun["poll_secret"]}
        return _read(await self.browser.get(path, page=False, headers=headers))

    # With what it got

    async def use(self, token: str, path: str = "/api") -> Answer:
        given = {"Authorization": f"Bearer {token}"}
        return await self.browser.get(path, page=False, headers=given)

    @property
    def code(self) -> str:
        return str(self.begun["user_code"])

    @property
    def secrets(self) -> list[str]:
        """What must never be shown or logged."""
        names = ("user_code", "poll_secret", "device_code")
        return [self.begun[name] for name in names if name in self.begun]


def _read(answer: Answer) -> tuple[int, dict[str, Any]]:
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status, json.loads(answer.body)


async def form_of(browser: Browser) -> dict[str, str]:
    """The hidden fields of the first page."""
    answer = await browser.get(DEVICE)
    assert answer.status == 200, answer.text
    return hidden(answer)


def hidden(answer: Answer) -> dict[str, str]:
    fields = [tag for tag in Document(answer.body).all("input") if tag.get("type") == "hidden"]
    return {str(tag["name"]): str(tag["value"]) for tag in fields}


async def type_code(
    browser: Browser, code: str, headers: Mapping[str, str] = HERE, **more: str
) -> Answer:
    data = {**await form_of(browser), "code": code, **more}
    return await browser.post(DEVICE, data=data, headers=headers)


async def decide(
    browser: Browser, shown: Answer, wish: str = "allow", headers: Mapping[str, str] = HERE
) -> Answer:
    """Press a button of the second page."""
    assert shown.status == 200, shown.text
    return await browser.post(DEVICE, data={**hidden(shown), "wish": wish}, headers=headers)


async def allow(browser: Browser, terminal: Terminal) -> Answer:
    answer = await decide(browser, await type_code(browser, terminal.code))
    assert answer.status == 200, answer.text
    return answer


__all__ = [
    "DEVICE",
    "HERE",
    "PUBLIC",
    "Stage",
    "Terminal",
    "allow",
    "decide",
    "hidden",
    "type_code",
]
