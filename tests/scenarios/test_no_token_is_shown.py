"""No token, code or secret of programs is in a log, a metric, an error, a page, a header or the
arguments of our processes: all that one busy afternoon leaves is searched.

The commands' own arguments are looked at while they run, in test_terminal.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.web.place import PAGE, Answer, Browser
from tests.web.terminal_stage import Stage, allow, type_code
from tests.web.test_tokens_page import made

ROUTES: list[dict[str, Any]] = [
    {"path": "/api/*"},
    {"path": "/staff/*", "rule": {"groups": {"any": ["nobody"]}}},
    {"path": "/few/*", "limits": [{"requests": 1, "window": "1h"}]},
    {"path": "/broken/*", "upstream": "http://127.0.0.1:1"},
    *({"path": f"/{form}/*", "errors": form} for form in ("openai", "jsonrpc", "text")),
]
PATHS = (
    "/api/x",
    "/staff/x",
    "/few/x",
    "/few/x",
    "/broken/x",
    "/openai/x",
    "/jsonrpc/x",
    "/text/x",
)
OURS = ("tokens", "sessions", "device", "userinfo", "identity", "settings", "nothing", "debug")


async def _used(stage: Stage, token: str) -> list[Answer]:
    """As a program, everywhere, good and with a slip, as a bearer and as a password."""
    answers = []
    for text in (token, token[:-1] + ("a" if token[-1] != "a" else "b")):
        for path in (*PATHS, *(f"/oauth2/{name}" for name in OURS)):
            for headers in ({}, PAGE):
                given = {"Authorization": f"Bearer {text}", **headers}
                answers.append(await stage.browser().get(path, page=False, headers=given))
    return answers


async def _pages(browser: Browser) -> list[Answer]:
    return [await browser.get(f"/oauth2/{name}") for name in OURS]


async def test_nothing_of_them_is_left_anywhere(tmp_path: Path) -> None:
    tokens = {"personal": True, "terminal": True}
    async with Stage(tmp_path, tokens=tokens, routes=ROUTES) as stage:
        person = await stage.person()
        secrets = {str((await made(person))["secret"])}
        terminal = await stage.terminal().authorize()
        begun = terminal.begun
        await allow(person, terminal)
        _, granted = await terminal.token()
        secrets |= {granted["access_token"], granted["refresh_token"]}
        answers = [one for token in sorted(secrets) for one in await _used(stage, token)]
        answers += await _pages(person)
        secrets |= {begun["device_code"].partition(".")[2], begun["user_code"]}
        answers.append(await type_code(person, begun["user_code"]))  # again: it is used up
        seen = [stage.logged(), await _metrics(stage), _arguments()]
        seen += [answer.text + str(answer.headers) for answer in answers]
        assert not [secret for secret in secrets for text in seen if secret in text]
        # Neither the whole nor what is random in it.
        assert not [s for s in secrets if len(s) > 40 for text in seen if s[5:40] in text]
        assert {401, 403, 429, 502} <= {answer.status for answer in answers}


async def _metrics(stage: Stage) -> str:
    url = f"http://127.0.0.1:{stage.app.private_port}/metrics"
    async with stage.http.get(url) as answer:
        return await answer.text()


def _arguments() -> str:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue  # it has ended
    return " ".join(found)
