"""The full cycle at an independent, certified provider (npm oidc-provider), without a browser."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from proxy.config.settings import Settings
from proxy.web.app import App
from proxy.web.log import Log
from tests.browser.providers import need_npm
from tests.browser.stage import free_ports
from tests.fakes.upstream import EchoUpstream, verified_identity
from tests.providers.node import NodeConfig, NodeProvider, browser_session, sign_in, sign_out

SECRET = base64.urlsafe_b64encode(bytes(range(32))).decode()
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@dataclass(slots=True)
class Scene:
    """Provider, proxy, upstream and one person's client, all running."""

    url: str
    provider: NodeProvider
    app: App
    upstream: EchoUpstream
    http: aiohttp.ClientSession
    log: io.StringIO

    async def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        """Status, Location and text of an answer to a browser's navigation."""
        where = path if path.startswith("http") else self.url + path
        async with self.http.get(
            where, headers={**PAGE, **headers}, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def callback(self, path: str = "/", login: str = "alice") -> str:
        """As far as the provider's redirect back to us."""
        status, location, _ = await self.get(path)
        assert status == 302
        return await sign_in(self.http, location, login, until=f"{self.url}/oauth2/callback")

    async def sign_in(self, path: str = "/", login: str = "alice") -> None:
        status, location, text = await self.get(await self.callback(path, login))
        assert (status, location) == (303, path), text
        assert (await self.get(path))[0] == 200

    async def identity(self) -> dict[str, Any]:
        """The newest request's identity, believed because of our JWKS and of nothing else."""
        (token,) = self.upstream.header("X-Forwarded-Identity")
        async with self.http.get(f"{self.url}/oauth2/.well-known/jwks.json") as answer:
            return verified_identity(token, await answer.json(), self.url, "api", time.time())

    def cookies(self) -> list[str]:
        """The names of our cookies that the client holds."""
        names = {cookie.key for cookie in self.http.cookie_jar}
        return sorted(name for name in names if name.startswith("auth_proxy"))

    def logged(self, event: str) -> list[dict[str, Any]]:
        self.app.parts.log.flush()
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@asynccontextmanager
async def scene(
    node: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **provider: Any
) -> AsyncIterator[Scene]:
    """``node`` changes the provider's registration, ``provider`` our settings about it, and
    ``settings`` are further sections."""
    need_npm()
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    config = replace(
        NodeConfig(
            (f"{url}/oauth2/callback",),
            (f"{url}/oauth2/signed_out",),
            backchannel_logout_uri=f"{url}/oauth2/backchannel_logout",
        ),
        **(node or {}),
    )
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        npm, upstream = await enter(NodeProvider(config)), await enter(EchoUpstream())
        told = {
            "issuer_url": npm.issuer,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "scope": "openid email profile groups",
        }
        document = {
            "public_url": url,
            "upstream": upstream.url,
            "provider": told | provider,
            "cookie": {"secret": SECRET},
            "access": {"email_domains": ["example.org"]},
            "server": {"listen": f"127.0.0.1:{port}", "private_listen": ""},
        }
        log = io.StringIO()
        valid = Settings.model_validate(document | (settings or {}))
        app = await enter(App(valid, Log(log, time.time, "json", "debug")))
        http = await enter(browser_session())
        yield Scene(url, npm, app, upstream, http, log)


async def test_a_full_cycle_from_the_deep_link_to_the_sign_out() -> None:
    async with scene() as here:
        callback = await here.callback("/chat?m=1")
        assert parse_qs(urlsplit(callback).query)["iss"] == [here.provider.issuer]
        assert (await here.get(callback))[:2] == (303, "/chat?m=1")
        assert (await here.get("/chat?m=1"))[0] == 200
        assert here.cookies() == ["auth_proxy"]
        claims = await here.identity()
        assert (claims["sub"], claims["email"]) == ("alice", "alice@example.org")
        assert claims["groups"] == ["admins", "dev"]
        assert claims["idp_iss"] == here.provider.issuer
        assert here.upstream.header("X-Forwarded-Email") == ["alice@example.org"]
        # the provider's own cookies are on this host as well; of ours the upstream gets none
        assert "auth_proxy" not in "".join(here.upstream.header("Cookie"))

        status, end, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        asked = parse_qs(urlsplit(end).query)
        assert status == 303
        assert end.startswith(f"{here.provider.issuer}/session/end?")
        assert set(asked) == {"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}
        back = await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")
        assert parse_qs(urlsplit(back).query)["state"] == asked["state"]
        assert (await here.get(back))[0] == 200
        assert here.cookies() == []

        status, location, _ = await here.get("/chat?m=1")
        assert status == 302
        async with here.http.get(location) as form:
            assert 'name="login"' in await form.text()  # signed out there as well: it asks
        for event in ("login", "logout"):
            (line,) = here.logged(event)
            assert (line["sub"], line["iss"]) == ("alice", here.provider.issuer)


@pytest.mark.parametrize(
    ("node", "provider"),
    [
        pytest.param(
            {"token_auth_method": "client_secret_post"},
            {"token_auth_method": "client_secret_post"},
            id="secret in the body",
        ),
        pytest.param(
            {"client_secret": "a secret: 100% of + & = / and %41, and long enough"}, {},
            id="secret that must be form-encoded for basic",
        ),
        pytest.param(
            {"token_auth_method": "none"},
            {"token_auth_method": "none", "client_secret": ""},
            id="public client",
        ),
        pytest.param({"id_token_algorithm": "ES256"}, {}, id="ID tokens with ES256"),
        pytest.param({"id_token_algorithm": "PS256"}, {}, id="ID tokens with PS256"),
        pytest.param({"id_token_algorithm": "EdDSA"}, {}, id="ID tokens with EdDSA"),
        pytest.param({"userinfo_algorithm": "RS256"}, {"userinfo_format": "jwt"},
                     id="userinfo as a signed JWT"),
        pytest.param({"claims_in_userinfo_only": True}, {}, id="claims in userinfo only"),
        pytest.param({"skip_consent": True}, {}, id="no consent"),
    ],
)  # fmt: skip
async def test_a_registration_of_another_kind(
    node: dict[str, Any], provider: dict[str, Any]
) -> None:
    async with scene(node, **provider) as here:
        await here.sign_in("/x?y=1", "bob")
        claims = await here.identity()
        assert (claims["sub"], claims["email"]) == ("bob", "bob@example.org")
        assert claims["groups"] == ["dev"]


async def test_our_session_outlives_a_provider_that_forgets_everything() -> None:
    async with scene() as here:
        await here.sign_in("/")
        await here.provider.kill()
        assert (await here.get("/while-it-is-down"))[0] == 200
        await here.provider.start()
        assert (await here.get("/after"))[0] == 200
        assert (await here.identity())["email"] == "alice@example.org"
        _, end, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        back = await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")
        assert (await here.get(back))[0] == 200
        await here.sign_in("/", "bob")


async def test_a_sign_out_while_the_provider_is_down_ends_our_session() -> None:
    async with scene() as here:
        await here.sign_in("/")
        await here.provider.kill()
        status, end, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        assert (status, end.startswith(here.provider.issuer)) == (303, True)  # known from before
        assert here.cookies() == ["auth_proxy_logout"]
        await here.provider.start()


async def test_a_wrong_secret_ends_on_our_page_with_its_reason() -> None:
    wrong = "not-the-secret-that-was-registered"
    async with scene(client_secret=wrong) as here:
        status, _, text = await here.get(await here.callback("/x?y=1"))
        assert status == 502
        assert "token_refused" in text
        assert "/oauth2/start?rd=/x%3Fy%3D1" in text
        assert wrong not in text + here.log.getvalue()
        assert here.cookies() == []
        (failed,) = here.logged("login_failed")
        assert failed["reason"] == "token_refused"
        assert "invalid_client" in failed["detail"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda url: url.replace("&iss=", "&iss=http%3A%2F%2Felsewhere%2F"),
                     "issuer_mismatch", id="of another provider (RFC 9207 section 2.4)"),
        pytest.param(lambda url: url.partition("&iss=")[0],
                     "issuer_mismatch", id="of no provider, though this one always says"),
        pytest.param(lambda url: url.replace("code=", "code=x"),
                     "token_refused", id="with a code that was never given"),
        pytest.param(lambda url: url.replace("state=", "state=x"),
                     "attempt_missing", id="with a state of nobody"),
    ],
)  # fmt: skip
async def test_a_changed_callback_signs_nobody_in(
    change: Callable[[str], str], reason: str
) -> None:
    async with scene() as here:
        _, _, text = await here.get(change(await here.callback()))
        assert reason in text
        assert "auth_proxy" not in here.cookies()


async def test_a_person_of_another_domain_is_denied_and_finds_the_way_out() -> None:
    async with scene() as here:
        status, _, text = await here.get(await here.callback("/", "mallory"))
        assert status == 403
        assert "mallory@elsewhere.example" in text
        assert 'action="/oauth2/sign_out"' in text
        assert here.cookies() == []
        _, end, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
        back = await sign_out(here.http, end, until=f"{here.url}/oauth2/signed_out")
        assert (await here.get(back))[0] == 200
        await here.sign_in("/", "alice")
