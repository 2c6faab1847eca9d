"""The OpenAI SDK, as its makers publish it, talking through the proxy to an API that streams."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from aiohttp import web
from openai.types.chat import ChatCompletionUserMessageParam

from proxy.crypto.token import make
from proxy.session.tokens import Token
from tests.docs.pages import ROOT, blocks
from tests.web.place import Browser, Place

KEY = "sk-the-apis-own-key"
WORDS = ("Hel", "lo ", "Alice")
HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hello"}]


class Api:
    """Chat completions, streamed: each word waits for ``go``. ``full`` makes it refuse."""

    def __init__(self) -> None:
        self.go = asyncio.Semaphore(0)
        self.seen: list[dict[str, str]] = []
        self.full = False

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        assert (await request.json())["messages"] == HELLO
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        if self.full:
            error = {"message": "No seats left.", "type": "own", "param": None, "code": "seats"}
            return web.json_response({"error": error}, status=409)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in WORDS:
            await self.go.acquire()
            await response.write(b"data: " + chunk(word) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def chunk(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    document = {
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [choice],
    }  # fmt: skip
    return web.json_response(document).body  # type: ignore[return-value]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def place(api: Api, tmp_path: Any) -> AsyncIterator[Place]:
    async with api.served() as url:
        api_route = {
            "path": "/v1/*", "upstream": url, "api": True, "errors": "openai",
            "passthrough_prefixes": ["sk-"],
        }  # fmt: skip
        async with Place(
            routes=[
                {**api_route, "path": "/staff/v1/*", "rule": {"groups": {"any": ["staff"]}}},
                {
                    **api_route, "path": "/few/v1/*", "rewrite": "/v1",
                    "limits": [{"per": "token", "requests": 1, "window": "1h"}],
                },
                {**api_route, "path": "/down/v1/*", "upstream": "http://127.0.0.1:9"},
                api_route,
            ],
            server={"hosts": ["*"]},
            session={"file": str(tmp_path / "sessions.db")},
            tokens={"personal": True},
        ) as place:  # fmt: skip
            yield place


async def own_token(place: Place, browser: Browser | None = None) -> str:
    """A personal token of somebody who has just signed in."""
    browser = browser or place.browser()
    await browser.sign_in()
    keeping, now = place.app.parts.keeping, place.clock()
    text = make("apx", "p", os.urandom)
    found = await place.app.parts.keeping.store.load(browser.session or "", now)
    assert found is not None
    who = found.session.identity
    token = Token("personal", "laptop", who.issuer, who.subject, now, now + 3600)
    await keeping.tokens.create(text, token, now)
    return text


@asynccontextmanager
async def sdk(place: Place, key: str, below: str = "") -> AsyncIterator[openai.AsyncOpenAI]:
    url = f"http://127.0.0.1:{place.port}{below}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0) as client:
        yield client


async def said(client: openai.AsyncOpenAI, api: Api) -> list[str]:
    """The words in order; each is let go when the one before has arrived."""
    found = []
    api.go.release()
    stream = await client.chat.completions.create(model="small", messages=HELLO, stream=True)
    async with stream:
        async for part in stream:
            found.append(part.choices[0].delta.content or "")
            api.go.release()
    return found


async def test_words_arrive_one_by_one_under_the_persons_name(place: Place, api: Api) -> None:
    token = await own_token(place)
    async with sdk(place, token) as client:
        for _ in range(3):  # the fast lane as well
            assert await asyncio.wait_for(said(client, api), 10) == list(WORDS)
    for headers in api.seen:
        assert headers["x-forwarded-email"] == "alice@example.org"
        assert headers["x-forwarded-identity"].count(".") == 2
        assert token not in str(headers), "it is no upstream's business"
    assert token not in place.logged()


async def test_the_apis_own_key_passes_without_an_identity(place: Place, api: Api) -> None:
    async with sdk(place, KEY) as client:
        assert await asyncio.wait_for(said(client, api), 10) == list(WORDS)
    [headers] = api.seen
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not [name for name in headers if name in ("x-forwarded-identity", "x-forwarded-email")]


async def refused(place: Place, key: str, below: str = "") -> openai.APIStatusError:
    async with sdk(place, key, below) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model="small", messages=HELLO)
    return caught.value


@pytest.mark.parametrize(
    ("key", "code"),
    [
        pytest.param("nonsense", "no_session", id="no key of anybody's"),
        pytest.param("apx_p" + "x" * 49, "token_invalid", id="a token that nobody made"),
    ],
)
async def test_a_bad_key_is_an_authentication_error(place: Place, key: str, code: str) -> None:
    error = await refused(place, key)
    assert isinstance(error, openai.AuthenticationError)
    assert (error.code, error.type) == (code, "authentication_error")
    assert isinstance(error.body, dict)
    assert error.body["login_url"] == f"{place.public}/oauth2/start"
    assert error.body["message"] in str(error)
    assert error.body["request_id"] == error.response.headers["X-Request-Id"]


async def test_who_may_not_gets_a_permission_error(place: Place) -> None:
    error = await refused(place, await own_token(place), "/staff")
    assert isinstance(error, openai.PermissionDeniedError)
    assert (error.code, error.type) == ("group_not_allowed", "permission_error")


async def test_too_many_requests_are_a_rate_limit_error(place: Place, api: Api) -> None:
    token = await own_token(place)
    async with sdk(place, token, "/few") as client:
        assert await asyncio.wait_for(said(client, api), 10) == list(WORDS)
    error = await refused(place, token, "/few")
    assert isinstance(error, openai.RateLimitError)
    assert (error.code, error.type) == ("too_many_requests", "rate_limit_error")
    assert int(error.response.headers["Retry-After"]) > 0


async def test_an_api_that_is_down_is_a_server_error(place: Place) -> None:
    error = await refused(place, await own_token(place), "/down")
    assert isinstance(error, openai.InternalServerError)
    assert (error.status_code, error.code) == (502, "upstream_unreachable")


async def test_what_the_api_itself_says_is_not_touched(place: Place, api: Api) -> None:
    api.full = True
    error = await refused(place, await own_token(place))
    assert isinstance(error, openai.ConflictError)
    assert (error.code, error.type) == ("seats", "own")


async def test_the_example_of_the_documentation(place: Place, api: Api) -> None:
    page = blocks(ROOT / "docs" / "integrations.md", "python")
    [source] = [text for mark, text in page if mark == "snippet: chat.py"]
    for _ in WORDS:
        api.go.release()
    assert await printed(place, source, await own_token(place)) == "Hello Alice"
    unknown = await printed(place, source, "nonsense")
    assert unknown == f"no_session: sign in at {place.public}/oauth2/start\n"


async def printed(place: Place, source: str, key: str) -> str:
    environ = {
        **os.environ,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{place.port}/v1",
        "OPENAI_API_KEY": key,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, env=environ, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return output.decode()
