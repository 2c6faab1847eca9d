"""Real sign-ins with each way of client authentication, at an independent, certified provider.

Sign-in, refresh and sign-out: the pushed request, both token requests and the revocation prove
who we are, and the provider takes no other proof.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.crypto.forge import Key, ec_key, ed_key, rsa_key
from tests.fakes.authority import Authority
from tests.providers.node import NodeProvider, sign_in
from tests.scenarios.real import Scene
from tests.scenarios.test_real_provider import scene

REFRESHES = {"session": {"refresh_every": "1s"}, "access": {"email_domains": ["example.org"]}}


def written(key: Key, folder: Path) -> str:
    file = folder / f"{key.kid}.pem"
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private)
    return str(file)


def called(here: Scene[NodeProvider], call: str, outcome: str) -> bool:
    """Has the provider answered so?"""
    counted = here.app.parts.metrics.render().decode()
    return f'auth_proxy_provider_seconds_count{{call="{call}",outcome="{outcome}"}}' in counted


async def full_cycle(here: Scene[NodeProvider], *, pushed: bool = True) -> None:
    """In, refreshed, and out: with every call that needs to prove who we are."""
    status, location, _ = await here.get("/deep")
    assert status == 302
    asked = parse_qs(urlsplit(location).query)
    assert (set(asked) == {"client_id", "request_uri"}) is pushed
    callback = await sign_in(here.http, location, "alice", until=f"{here.url}/oauth2/callback")
    status, location, text = await here.get(callback)
    assert (status, location) == (303, "/deep"), text

    async with asyncio.timeout(10):
        while not called(here, "refresh", "200"):  # session.refresh_every, by the real clock
            assert (await here.get("/deep"))[0] == 200
            await asyncio.sleep(0.1)
    claims = await here.identity()
    assert (claims["sub"], claims["groups"]) == ("alice", ["admins", "dev"])
    status, _, _ = await here.get("/oauth2/sign_out", **{"Sec-Fetch-Site": "same-origin"})
    assert status == 303
    assert here.app.parts.logout is not None
    await here.app.parts.logout.close()

    assert called(here, "token", "200")
    assert called(here, "revoke", "200")
    assert called(here, "push", "201") is pushed
    lines = map(json.loads, here.all_logged().splitlines())
    warned = [line["event"] for line in lines if line["level"] not in ("debug", "info")]
    assert [event for event in warned if "signing_key_files" not in event] == []


@pytest.mark.parametrize(
    ("method", "pushed"),
    [
        pytest.param("client_secret_basic", "offered", id="basic, pushed"),
        pytest.param("client_secret_basic", "off", id="basic"),
        pytest.param("client_secret_post", "required", id="post, pushed"),
        pytest.param("client_secret_jwt", "offered", id="client_secret_jwt, pushed"),
        pytest.param("none", "offered", id="a public client, pushed"),
    ],
)
async def test_with_a_secret_or_without(method: str, pushed: str) -> None:
    node = {"token_auth_method": method, "pushed": pushed}
    options: dict[str, Any] = {"token_auth_method": method}
    if method == "none":
        options["client_secret"] = ""
    async with scene(node, REFRESHES, **options) as here:
        await full_cycle(here, pushed=pushed != "off")


@pytest.mark.parametrize(
    ("key", "audience", "pushed"),
    [
        pytest.param(rsa_key, "issuer", "required", id="RSA, pushed"),
        pytest.param(rsa_key, "token_endpoint", "off", id="RSA, for the token endpoint"),
        pytest.param(ec_key, "issuer", "offered", id="P-256, pushed"),
        pytest.param(ed_key, "issuer", "off", id="Ed25519"),
    ],
)
async def test_with_a_key_of_our_own(key: Any, audience: str, pushed: str, tmp_path: Path) -> None:
    ours: Key = key()
    node = {
        "token_auth_method": "private_key_jwt",
        "client_keys": (ours.jwk(),),
        "pushed": pushed,
    }
    options = {
        "client_secret": "",
        "client_key_file": written(ours, tmp_path),
        "client_key_id": ours.kid,
        "client_assertion_audience": audience,
    }
    async with scene(node, REFRESHES, **options) as here:
        await full_cycle(here, pushed=pushed != "off")


async def test_another_s_key_opens_nothing(tmp_path: Path) -> None:
    registered = ec_key("registered", ec.SECP256R1)
    node = {"token_auth_method": "private_key_jwt", "client_keys": (registered.jwk(),)}
    stolen = written(ec_key("stolen"), tmp_path)
    options: dict[str, Any] = {"client_secret": "", "client_key_file": stolen}
    async with scene(node, **options) as here:
        status, location, text = await here.get("/deep")
        assert (status, location) == (502, ""), "who cannot push sends nobody anywhere"
        assert "provider_error" in text
        assert "invalid_client" in here.all_logged()


@asynccontextmanager
async def over_tls(
    folder: Path, client: str, options: Mapping[str, Any]
) -> AsyncIterator[Scene[NodeProvider]]:
    """A provider that speaks TLS, and knows ``client`` by the name in its certificate."""
    authority = Authority(folder)
    certificate, key = authority.issue("127.0.0.1")
    tls = {"cert": certificate, "key": key, "ca": authority.file}
    ours, our_key = authority.issue(client)
    node = {
        "token_auth_method": "tls_client_auth",
        "tls": {name: file.read_text() for name, file in tls.items()},
        "client_name": "proxy.example.org",
    }
    files = {"tls_certificate_file": str(ours), "tls_key_file": str(our_key)}
    given = {"client_secret": "", "ca_file": str(authority.file), **files, **options}
    async with (
        scene(node, REFRESHES, **given) as here,
        aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            connector=aiohttp.TCPConnector(ssl=authority.client()),
        ) as http,
    ):
        here.http = http
        yield here


async def test_with_a_certificate_at_the_aliases_for_those_who_have_one(tmp_path: Path) -> None:
    async with over_tls(tmp_path, "proxy.example.org", {}) as here:
        await full_cycle(here)
        assert here.app.parts.providers is not None
        metadata = await here.app.parts.providers.first.metadata()
        assert metadata.token_endpoint != f"{here.provider.issuer}/token"
        assert metadata.authorization_endpoint == f"{here.provider.issuer}/auth"


@pytest.mark.parametrize(
    ("client", "options"),
    [
        pytest.param("somebody.example.org", {}, id="another's certificate"),
        pytest.param(
            "proxy.example.org",
            {
                "tls_certificate_file": "",
                "tls_key_file": "",
                "token_auth_method": "tls_client_auth",
            },
            id="no certificate",
        ),
    ],
)
async def test_without_the_right_certificate_nobody_is_sent_anywhere(
    client: str, options: Mapping[str, Any], tmp_path: Path
) -> None:
    async with over_tls(tmp_path, client, options) as here:
        status, location, _ = await here.get("/deep")
        assert (status, location) == (502, "")
