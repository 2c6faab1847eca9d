"""The npm package oidc-provider as a process, and a browserless person who fills in its forms.

``NodeProvider`` is an independent, certified implementation: what it accepts and sends was not
written by us. ``sign_in`` and ``sign_out`` do what a browser would do on its pages.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from playwright.async_api import Page

HERE = Path(__file__).parent
START_SECONDS = 20.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})

Claims = Mapping[str, object]

PEOPLE: Mapping[str, Claims] = MappingProxyType(
    {
        "alice": {
            "name": "Alice Martin",
            "preferred_username": "alice",
            "email": "alice@example.org",
            "email_verified": True,
            "groups": ["admins", "dev"],
        },
        "bob": {
            "name": "Bob Durand",
            "preferred_username": "bob",
            "email": "bob@example.org",
            "email_verified": True,
            "groups": ["dev"],
        },
        "mallory": {
            "name": "Mallory Smith",
            "preferred_username": "mallory",
            "email": "mallory@elsewhere.example",
            "email_verified": False,
            "groups": [],
        },
    }
)


@cache
def signing_keys() -> list[dict[str, object]]:
    """Private JWKs, one of each kind that ID tokens may be signed with.

    Made here, since Node.js now and then hangs when it makes and exports keys; and the same for
    all, so that a restart loses everything but the keys.
    """
    rsa_key = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True)
    ec_key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    ed_key = OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True)
    # without key_ops: what a key is for is the provider's to say
    return [{k: v for k, v in key.items() if k != "key_ops"} for key in (rsa_key, ec_key, ed_key)]


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What the provider knows: one client (the proxy) and the people by their login.

    ``claims_in_userinfo_only`` is what the specification asks for in a code flow (OpenID Connect
    Core section 5.4); without it the ID token carries the claims as well. ``ttl`` holds seconds
    by oidc-provider's own names, such as ``AccessToken``. ``client_keys`` are the client's public
    JWKs; ``pushed`` is off, offered or required. ``tls`` holds PEM texts (key, cert, and ca of
    client certificates); ``client_name`` is the DNS name in the client's. ``resource`` (audience,
    scope, format jwt or opaque, algorithm) is what access tokens may be asked for (RFC 8707).
    """

    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...] = ()
    client_id: str = "proxy"
    client_secret: str = "the-tests-secret-of-the-proxy-client"
    token_auth_method: str = "client_secret_basic"
    id_token_algorithm: str = "RS256"
    userinfo_algorithm: str = ""
    backchannel_logout_uri: str = ""
    people: Mapping[str, Claims] = field(default_factory=lambda: PEOPLE)
    claims_in_userinfo_only: bool = False
    skip_consent: bool = False
    ttl: Mapping[str, int] = field(default_factory=dict)
    client_keys: tuple[Mapping[str, object], ...] = ()
    pushed: str = "offered"
    tls: Mapping[str, str] | None = None
    client_name: str = ""
    resource: Mapping[str, str] | None = None

    def as_json(self, port: int) -> str:
        return json.dumps(
            {
                "port": port,
                "redirectUris": self.redirect_uris,
                "postLogoutRedirectUris": self.post_logout_redirect_uris,
                "clientId": self.client_id,
                "clientSecret": self.client_secret,
                "tokenAuthMethod": self.token_auth_method,
                "idTokenAlgorithm": self.id_token_algorithm,
                "userinfoAlgorithm": self.userinfo_algorithm,
                "backchannelLogoutUri": self.backchannel_logout_uri,
                "users": {login: dict(claims) for login, claims in self.people.items()},
                "claimsInUserinfoOnly": self.claims_in_userinfo_only,
                "skipConsent": self.skip_consent,
                "ttl": dict(self.ttl),
                "keys": signing_keys(),
                "clientKeys": [dict(key) for key in self.client_keys] or None,
                "pushed": self.pushed,
                "tls": dict(self.tls) if self.tls else None,
                "clientName": self.client_name,
                "resource": dict(self.resource) if self.resource else None,
            }
        )


class NodeProvider:
    """A running provider; ``async with`` starts and stops it.

    ``issuer`` is known after ``start``. ``stop`` and ``start`` again keep the port, so that the
    same issuer comes back with an empty memory.
    """

    def __init__(self, config: NodeConfig, port: int = 0) -> None:
        self.config = config
        self.issuer = ""
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns when it listens. Raises RuntimeError with its own words when it does not."""
        with tempfile.TemporaryFile() as errors:
            self._process = await asyncio.create_subprocess_exec(
                "node",
                str(HERE / "op.mjs"),
                self.config.as_json(self._port),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
            line = await self._first_line()
            if not line.startswith("ready "):
                await self.kill()
                errors.seek(0)
                raise RuntimeError(f"the provider did not start: {errors.read().decode()}")
        self.issuer = line.removeprefix("ready ").strip()
        self._port = int(self.issuer.rpartition(":")[2])

    async def _first_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                return (await self._process.stdout.readline()).decode()
        except TimeoutError:
            return ""

    async def stop(self) -> None:
        """Ends it as an operator would (SIGTERM)."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
        await self._reap()

    async def kill(self) -> None:
        """Ends it without a chance to say goodbye."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._reap()

    async def _reap(self) -> None:
        if self._process is not None:
            await self._process.communicate()
            self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()


@dataclass(slots=True)
class Form:
    """The first form of a page: where it goes and what it holds already."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(given.get("action", ""))
            self._inside = True
        elif tag == "input" and self._inside and self.form is not None and "name" in given:
            self.form.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def read_form(html: str) -> Form:
    """The first form of a page. Raises ValueError, with the page, when there is none."""
    reader = _FormReader()
    reader.feed(html)
    if reader.form is None:
        raise ValueError(f"no form on this page: {html}")
    return reader.form


def browser_session() -> aiohttp.ClientSession:
    """A client with a cookie jar that, as a browser's, takes cookies from IP addresses too."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


async def sign_in(http: aiohttp.ClientSession, url: str, login: str, *, until: str) -> str:
    """From the authorization request ``url`` to the first redirect that begins with ``until``.

    Signs in as ``login`` and consents wherever the provider asks; returns that redirect's URL
    without following it.
    """
    return await walk(http, url, until, {"login": login, "password": "any will do"}, {})


async def sign_out(http: aiohttp.ClientSession, url: str, *, until: str) -> str:
    """From the end-session request ``url`` to the redirect that begins with ``until``.

    Says yes to the provider's question.
    """
    return await walk(http, url, until, {}, {"logout": "yes"})


async def walk(
    http: aiohttp.ClientSession,
    url: str,
    until: str,
    answers: Mapping[str, str],
    button: Mapping[str, str],
) -> str:
    """Follows redirects and fills in forms, up to a redirect that begins with ``until``.

    ``answers`` are for the fields that a form has, ``button`` is pressed on every one.
    """
    method, data = "GET", None
    for _ in range(15):
        async with http.request(method, url, data=data, allow_redirects=False) as response:
            if response.status in REDIRECTS:
                url = urljoin(url, response.headers["Location"])
                if url.startswith(until):
                    return url
                method, data = "GET", None
                continue
            html = await response.text()
            if response.status != 200:
                raise ValueError(f"{method} {url} answered {response.status}: {html}")
        form = read_form(html)
        url, method = urljoin(url, form.action), "POST"
        data = {**{name: answers.get(name, value) for name, value in form.fields.items()}, **button}
    raise ValueError(f"no redirect to {until} after 15 steps, the last at {url}")


async def sign_in_with_browser(page: Page, login: str, *, consent: bool = True) -> None:
    """On the provider's sign-in form in Chromium; ``consent`` tells whether it will ask."""
    await page.fill("input[name=login]", login)
    await page.fill("input[name=password]", "any will do")
    await page.get_by_role("button", name="Sign-in").click()
    if consent:
        await page.get_by_role("button", name="Continue").click()


async def sign_out_with_browser(page: Page) -> None:
    """On the provider's question whether to sign out, in Chromium: yes."""
    await page.get_by_role("button", name="Yes, sign me out").click()
