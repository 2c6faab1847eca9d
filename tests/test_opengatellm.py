"""deploy/opengatellm: who signs in becomes a user of OpenGateLLM, by a fake of its admin API."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest
import yaml
from aiohttp import web

from proxy.config.load import Sources, load
from proxy.crypto.jwt import generate_signing_key, load_signer
from tests.fakes.opengatellm import OpenGateLLM
from tests.web.place import Place

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "deploy" / "opengatellm"
ENVIRON = {
    "OPENGATELLM_URL": "http://api:8000/",
    "OPENGATELLM_ADMIN_KEY": "sk-admin",
    "OPENGATELLM_DEFAULT_ROLE": "7",
    "IDENTITY_JWKS_URL": "http://proxy:4181/oauth2/.well-known/jwks.json",
    "IDENTITY_ISSUER": "playground",
}


@pytest.fixture
def provision(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module provision.py."""
    spec = importlib.util.spec_from_file_location("provision", FOLDER / "provision.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "provision", module)
    spec.loader.exec_module(module)
    return module


class Town:
    """OpenGateLLM, provision.py, and a whole place whose proxy calls it."""

    def __init__(
        self, provision: ModuleType, private_port: int, *, older: bool = False, **settings: Any
    ) -> None:
        self.api = OpenGateLLM(older=older)
        self._provision = provision
        self._jwks = f"http://127.0.0.1:{private_port}/oauth2/.well-known/jwks.json"
        self._settings = {"retries": 1, **settings}
        self._private = f"127.0.0.1:{private_port}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Town:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        await enter(self.api)
        environ = {
            "OPENGATELLM_URL": self.api.url,
            "OPENGATELLM_ADMIN_KEY": self.api.admin_key,
            "IDENTITY_JWKS_URL": self._jwks,
        }
        self.config = self._provision.Config.read(ENVIRON | environ)
        app = self._provision.application(self.config)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/users"
        self.place = Place(
            identity={"issuer": "playground"},
            provisioning={"url": self.url, **self._settings},
            server={"private_listen": self._private},
            access={"email_domains": ["example.org"]},
        )
        self.place.clock.now = time.time()  # whoever verifies has no other clock
        await enter(self.place)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()


@pytest.mark.parametrize("older", [False, True], ids=["newer", "older"])
async def test_who_is_not_there_is_made_with_the_default_role(
    provision: ModuleType, free_ports: list[int], older: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with Town(provision, free_ports[0], older=older) as town:
        town.api.add("not-alice@example.org")  # the newer one looks for a part of the address
        browser = town.place.browser()
        assert (await browser.sign_in("/")).status == 303
        assert (await browser.get("/")).status == 200
        assert town.api.emails() == ["not-alice@example.org", "alice@example.org"]
        made = town.api.users[1]
        assert (made["role"], made["name"]) == (7, "Alice Martin")
        assert len(made["password"]) == 43
        assert [method for method, _ in town.api.calls] == ["GET", "POST"]
        assert (await town.place.browser().sign_in("/")).status == 303
        assert len(town.api.calls) == 2, "once is enough"
        [line] = town.place.audited("provisioned")
        assert line["request_id"] in {each["request_id"] for each in town.place.audited("login")}
        assert line["email"] == "alice@example.org"
        assert f"request_id={line['request_id']}" in caplog.text
        for secret in (town.api.admin_key, made["password"]):
            assert secret not in caplog.text + town.place.logged() + repr(town.config)


@pytest.mark.parametrize("older", [False, True], ids=["newer", "older"])
async def test_who_is_there_stays_as_they_are(
    provision: ModuleType, free_ports: list[int], older: bool
) -> None:
    async with Town(provision, free_ports[0], older=older) as town:
        town.api.add("alice@example.org", role=2)
        assert (await town.place.browser().sign_in("/")).status == 303
        assert town.api.calls == [("GET", 200)]
        assert [user["role"] for user in town.api.users] == [2]


async def test_two_at_once_make_one_user(provision: ModuleType, free_ports: list[int]) -> None:
    async with Town(provision, free_ports[0], when="always") as town:
        town.api.together = 2
        browsers = [town.place.browser() for _ in range(2)]
        urls = [await browser.callback_url("/") for browser in browsers]
        answers = await asyncio.gather(
            *(browser.get(url) for browser, url in zip(browsers, urls, strict=True))
        )
        assert [answer.status for answer in answers] == [303, 303]
        assert town.api.emails() == ["alice@example.org"]
        assert sorted(town.api.calls)[-2:] == [("POST", 201), ("POST", 409)]


FAULTS = [
    pytest.param([401], "answered 424", 1, id="a key that is not good any more"),
    pytest.param([404, 404], "answered 424", 2, id="a role that is not there"),
    pytest.param([500, 500], "answered 503", 2, id="the API fails, twice"),
    pytest.param([503, 404, 429], "answered 503", 3, id="the API is busy"),
]


@pytest.mark.parametrize("failure", ["refuse", "allow"])
@pytest.mark.parametrize(("fail", "words", "calls"), FAULTS)
async def test_a_fault_is_answered_as_the_settings_say(
    provision: ModuleType,
    free_ports: list[int],
    failure: str,
    fail: list[int],
    words: str,
    calls: int,
) -> None:
    async with Town(provision, free_ports[0], failure=failure) as town:
        town.api.fail = list(fail)
        browser = town.place.browser()
        answer = await browser.sign_in("/")
        assert answer.status == (502 if failure == "refuse" else 303)
        assert ("provisioning_failed" in answer.text) is (failure == "refuse")
        assert (browser.session is None) is (failure == "refuse")
        [line] = town.place.audited("provisioning_failed")
        assert (line["detail"], line["goes_on"]) == (words, failure == "allow")
        assert len(town.api.calls) == calls
        assert (await town.place.browser().sign_in("/")).status == 303
        assert town.api.emails() == ["alice@example.org"], "the next sign-in tries again"


async def test_a_fault_that_passes_is_not_seen(
    provision: ModuleType, free_ports: list[int]
) -> None:
    async with Town(provision, free_ports[0]) as town:
        town.api.fail = [500]
        assert (await town.place.browser().sign_in("/")).status == 303
        assert town.api.emails() == ["alice@example.org"]


# Whom provision.py believes


def signed() -> str:
    now = int(time.time())
    claims = {"iss": "playground", "aud": "api", "sub": "a", "jti": "1", "iat": now}
    claims |= {"exp": now + 60, "email": "mallory@example.org", "email_verified": True}
    return load_signer(generate_signing_key("ES256"), "ES256").sign(claims)


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="nobody"),
        pytest.param("Basic YTpi", id="no bearer"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer nonsense", id="no JWT"),
        pytest.param(f"Bearer {signed()}", id="signed by a stranger"),
    ],
)
async def test_nobody_else_makes_users(
    provision: ModuleType, free_ports: list[int], authorization: str | None
) -> None:
    async with Town(provision, free_ports[0]) as town:
        headers = {"Authorization": authorization} if authorization else {}
        body = {"email": "mallory@example.org", "role": "admin"}
        async with town.place.http.post(town.url, json=body, headers=headers) as answer:
            assert answer.status == 401
        assert town.api.calls == []


GOOD = {"email": "jean@example.org", "email_verified": True}


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        pytest.param(GOOD, 201, id="good"),
        pytest.param({"email": "jean@example.org"}, 201, id="a provider that does not say"),
        pytest.param(GOOD | {"iss": "else"}, 401, id="another issuer"),
        pytest.param(GOOD | {"aud": "else"}, 401, id="for somebody else"),
        pytest.param(GOOD | {"exp": 1}, 401, id="expired"),
        pytest.param(GOOD | {"jti": None}, 401, id="incomplete"),
        pytest.param(GOOD | {"email_verified": False}, 403, id="not verified"),
        pytest.param({}, 403, id="no address"),
    ],
)
async def test_what_the_identity_must_say(
    provision: ModuleType, free_ports: list[int], claims: dict[str, Any], status: int
) -> None:
    async with Town(provision, free_ports[0]) as town:
        now = int(time.time())
        every = {"iss": "playground", "aud": "api", "sub": "a", "jti": "1", "iat": now}
        every |= {"exp": now + 60, **claims}
        token = town.place.app.parts.runtime.signers[0].sign(
            {name: value for name, value in every.items() if value is not None}
        )
        headers = {"Authorization": f"Bearer {token}"}
        body = {"email": "mallory@example.org"}
        async with town.place.http.post(town.url, json=body, headers=headers) as answer:
            assert answer.status == status
            assert ("message" in await answer.json()) is (status == 403)
        assert town.api.emails() == (["jean@example.org"] if status == 201 else [])


async def test_the_keys_cannot_be_had(provision: ModuleType, free_ports: list[int]) -> None:
    async with Town(provision, free_ports[0]) as town:
        token = town.place.app.parts.runtime.signers[0].sign({"iss": "playground"})
        await town.place.app.__aexit__(None, None, None)
        headers = {"Authorization": f"Bearer {token}"}
        async with town.place.http.post(town.url, headers=headers) as answer:
            assert answer.status == 503, "to be tried again"


# Its configuration


def test_the_environment(provision: ModuleType, tmp_path: Path) -> None:
    config = provision.Config.read(ENVIRON)
    assert (config.api_url, config.role, config.organization) == ("http://api:8000", 7, None)
    assert (config.audience, config.listen) == ("api", "0.0.0.0:8090")
    file = tmp_path / "key"
    file.write_text("sk-from-a-file\n")
    by_file = ENVIRON | {"OPENGATELLM_ADMIN_KEY": "", "OPENGATELLM_ADMIN_KEY_FILE": str(file)}
    config = provision.Config.read(by_file | {"OPENGATELLM_ORGANIZATION": "3"})
    assert (config.admin_key, config.organization) == ("sk-from-a-file", 3)
    assert "sk-from-a-file" not in repr(config)


@pytest.mark.parametrize("name", ENVIRON)
def test_what_is_missing_is_named(provision: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match=f"not set: {name}"):
        provision.Config.read(ENVIRON | {name: ""})


def test_a_role_is_a_number(provision: ModuleType) -> None:
    with pytest.raises(ValueError, match="OPENGATELLM_DEFAULT_ROLE: not a number"):
        provision.Config.read(ENVIRON | {"OPENGATELLM_DEFAULT_ROLE": "member"})


def test_proxy_and_compose_file_fit_together(provision: ModuleType) -> None:
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    given = dict.fromkeys(services["proxy"]["environment"], "id.example.org")
    given |= {"PUBLIC_URL": "https://play.example.org"}
    given |= {"COOKIE_SECRET": "ERSXpVkkpYWY3mgcqHvqyL4o0yNRmBD9xzAfZm2sJ1Y"}
    text = (FOLDER / "proxy.cfg").read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(services["proxy"]["environment"])
    settings = load(Sources("proxy.cfg", text, given, {}), lambda path: "")
    environment = services["provision"]["environment"]
    assert environment["IDENTITY_ISSUER"] == settings.identity.issuer
    assert settings.identity.audience == (provision.Config.audience,)
    assert settings.provisioning.url == "http://provision:8090/users"
    assert settings.server.private_listen == ("0.0.0.0:4181",)
    known = set(re.findall(r"^    ([A-Z_]+)", str(provision.__doc__), re.M))
    assert set(environment) <= known
    assert set(ENVIRON) <= known
