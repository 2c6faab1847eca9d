"""The full cycle at an independent, certified provider (npm oidc-provider), without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.browser.providers import need_npm
from tests.providers.node import NodeConfig, NodeProvider, browser_session, sign_in, sign_out
from tests.providers.program import free_port
from tests.scenarios.real import Scene, real_scene


@asynccontextmanager
async def scene(
    node: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, **provider: Any
) -> AsyncIterator[Scene[NodeProvider]]:
    """``node`` changes the provider's registration, ``provider`` our settings about it, and
    ``settings`` are further sections."""
    need_npm()
    url = f"http://127.0.0.1:{free_port()}"
    config = replace(
        NodeConfig(
            (f"{url}/oauth2/callback",),
            (f"{url}/oauth2/signed_out",),
            backchannel_logout_uri=f"{url}/oauth2/backchannel_logout",
        ),
        **(node or {}),
    )
    async with NodeProvider(config) as npm:
        told = {
            "issuer_url": npm.issuer,
            "client_id": config.client_id,
            "client_secret": config.client_secret,
            "scope": "openid email profile groups",
        }
        document = {"provider": told | provider, **(settings or {})}
        async with real_scene(npm, sign_in, url, document) as here:
            yield here


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
    async with scene({"pushed": "off"}, client_secret=wrong) as here:
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


@asynccontextmanager
async def two_providers() -> AsyncIterator[tuple[Scene[NodeProvider], NodeProvider]]:
    """One proxy before two independent providers, which know people of the same names."""
    need_npm()
    url = f"http://127.0.0.1:{free_port()}"
    configs = [
        NodeConfig(
            (f"{url}/oauth2/callback/{name}",),
            (f"{url}/oauth2/signed_out",),
            client_secret=f"the-tests-secret-of-the-client-at-{name}",
            backchannel_logout_uri=f"{url}/oauth2/backchannel_logout",
        )
        for name in ("one", "two")
    ]
    async with NodeProvider(configs[0]) as one, NodeProvider(configs[1]) as two:
        entries = [
            {
                "name": name,
                "issuer_url": npm.issuer,
                "client_id": npm.config.client_id,
                "client_secret": npm.config.client_secret,
                "scope": "openid email profile groups",
            }
            for name, npm in (("one", one), ("two", two))
        ]
        routes = [{"path": "/only-two", "rule": {"providers": ["two"]}}]
        document = {"providers": entries, "routes": routes}
        async with real_scene(one, sign_in, url, document) as here:
            yield here, two


def start(name: str, rd: str = "/") -> str:
    return f"/oauth2/start?{urlencode({'provider': name, 'rd': rd})}"


async def test_two_providers_at_once() -> None:
    async with two_providers() as (here, two), browser_session() as other:
        one = here.provider
        status, chooser, _ = await here.get("/x?y=1")
        assert (status, chooser) == (302, f"/oauth2/sign_in?{urlencode({'rd': '/x?y=1'})}")
        _, _, page = await here.get(chooser)
        assert "provider=one" in page
        assert "provider=two" in page
        for name, npm in (("two", two), ("one", one)):
            callback = await here.callback(start(name, "/x?y=1"), "alice")
            assert urlsplit(callback).path == f"/oauth2/callback/{name}"
            assert (await here.get(callback))[:2] == (303, "/x?y=1")
            assert (await here.get("/x?y=1"))[0] == 200
            claims = await here.identity()
            assert (claims["sub"], claims["idp_iss"]) == ("alice", npm.issuer)
            assert (await here.get("/only-two"))[0] == (200 if name == "two" else 403)
            here.http, other = other, here.http
        assert (await here.sign_out_url()).startswith(f"{two.issuer}/session/end?")
        here.http = other
        assert (await here.get("/x?y=1"))[0] == 200  # the same name at another provider
        assert (await here.sign_out_url()).startswith(f"{one.issuer}/session/end?")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url, two: url.replace("/callback/one", "/callback/two"), id="path"),
        pytest.param(lambda url, two: url.replace("/callback/one", "/callback"), id="no name"),
        pytest.param(
            lambda url, two: f"{url.partition('&iss=')[0]}&{urlencode({'iss': two})}", id="iss"
        ),
    ],
)
async def test_an_answer_of_one_provider_is_none_of_the_other(
    change: Callable[[str, str], str],
) -> None:
    """Mix-up (RFC 9700 section 4.4): state, path and iss must all be of the same provider."""
    async with two_providers() as (here, two):
        callback = await here.callback(start("one"), "alice")
        changed = change(callback, two.issuer)
        assert changed != callback
        assert (await here.get(changed))[0] in (403, 404)
        assert "auth_proxy" not in here.cookies()
        assert here.logged("login") == []
