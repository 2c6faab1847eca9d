"""Debian's Glewlwyd, an OpenID provider written in C, and a browserless person who signs in.

Set up by its own API, as its administrator would. Its habits differ from most: ``token_type`` in
lower case, ID tokens that live as long as access tokens, a ``session_state`` in every callback,
and logout tokens of type JWT without ``sid`` and ``exp``.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.providers.program import Program, free_port

SQL = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
CONFIG = Path("/etc/glewlwyd/glewlwyd.conf")
ADMIN_PAGE = Path("/usr/share/glewlwyd/webapp/admin.js")
PASSWORD = "a long password for the tests"
TOKEN_LIFE = 60
"""Seconds that access tokens and, with them, ID tokens live."""

PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "alice": {"name": "Alice Martin", "email": "alice@example.org", "groups": ["admins", "dev"]},
    "bob": {"name": "Bob Durand", "email": "bob@example.org", "groups": ["dev"]},
}


@dataclass(frozen=True, slots=True)
class GlewlwydClient:
    """One registration; ``url`` is the public URL of the proxy."""

    client_id: str
    client_secret: str
    url: str
    prefix: str = "/oauth2"

    def as_json(self) -> dict[str, Any]:
        return {
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "password": self.client_secret,
            "name": self.client_id,
            "confidential": True,
            "enabled": True,
            "authorization_type": ["code", "refresh_token"],
            "scope": ["openid"],
            "redirect_uri": [f"{self.url}{self.prefix}/callback"],
            "post_logout_redirect_uris": [f"{self.url}{self.prefix}/signed_out"],
            "backchannel_logout_uri": f"{self.url}{self.prefix}/backchannel_logout",
            "token_endpoint_auth_method": ["client_secret_basic"],
        }


class Glewlwyd:
    """A running Glewlwyd with one plugin ``oidc``; made by ``glewlwyd()``."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.issuer = f"{self.url}/api/oidc"
        self._folder = folder
        self._cookie = ""
        config = folder / "glewlwyd.conf"
        config.write_text(self._config())
        with sqlite3.connect(folder / "g.db") as database:
            database.executescript(SQL.read_text())
        database.close()
        command = ["glewlwyd", f"--config-file={config}"]
        self._program = Program(command, self._port, folder / "log")

    def _config(self) -> str:
        """The distribution's own file, with our port, folder and database."""
        text = CONFIG.read_text()
        for name, value in {
            "port": str(self._port),
            "bind_address": '"127.0.0.1"',
            "external_url": f'"{self.url}"',
            "log_mode": '"console"',
        }.items():
            text, found = re.subn(rf"(?m)^#?{name}\s*=.*$", f"{name}={value}", text)
            assert found == 1, name
        path = self._folder / "g.db"
        database = f'database = {{ type = "sqlite3"; path = "{path}"; }};'
        text, found = re.subn(r"(?m)^@include.*$", database, text)
        assert found == 1
        return text

    def start(self) -> None:
        """From nothing to a provider with people; it has to be restarted on the way."""
        self._program.start()
        self._sign_in_as_admin()
        self._add_format("user", "groups", multiple=True)
        self._add_format("client", "post_logout_redirect_uris", multiple=True)
        self._add_format("client", "backchannel_logout_uri", multiple=False)
        self.restart()
        self._sign_in_as_admin()
        self._ask("POST", "/api/mod/plugin/", self._plugin())
        for login, person in PEOPLE.items():
            user = {**person, "username": login, "password": PASSWORD}
            whole = user | {"enabled": True, "scope": ["openid", "g_profile"]}
            self._ask("POST", "/api/user/?source=database", whole)

    def restart(self) -> None:
        """What it keeps in its database comes back: sessions, tokens, clients."""
        self._program.stop()
        self._program.start()

    def stop(self) -> None:
        self._program.stop()

    def register(self, client: GlewlwydClient) -> None:
        self._ask("POST", "/api/client/?source=database", client.as_json())

    def _sign_in_as_admin(self) -> None:
        self._ask("POST", "/api/auth/", {"username": "admin", "password": "password"})

    def _add_format(self, kind: str, name: str, *, multiple: bool) -> None:
        """Allow one more property of users or clients."""
        where = f"/api/mod/{kind}/database"
        module = self._ask("GET", where)
        module["parameters"]["data-format"][name] = {
            "multiple": multiple, "read": True, "write": True,
            "profile-read": True, "profile-write": False,
        }  # fmt: skip
        self._ask("PUT", where, module)

    def _plugin(self) -> dict[str, Any]:
        key, certificate = _pair()
        changed = {
            "iss": self.issuer,
            "oauth-as-iss-id": True,
            "jwt-type": "rsa",
            "key": key,
            "cert": certificate,
            "access-token-duration": TOKEN_LIFE,
            "refresh-token-one-use": "always",
            "auth-type-code-revoke-replayed": True,
            "pkce-allowed": True,
            "pkce-required": True,
            "session-management-allowed": True,
            "introspection-revocation-allowed": True,
            "secret-type": "public",
            "email-claim": "mandatory",
            "name-claim": "mandatory",
            "claims": [
                {
                    "name": "groups", "user-property": "groups", "type": "string",
                    "mandatory": True, "on-demand": False, "scope": [],
                }
            ],
        }  # fmt: skip
        return {
            "module": "oidc",
            "name": "oidc",
            "display_name": "OpenID Connect",
            "parameters": default_parameters(ADMIN_PAGE.read_text()) | changed,
        }

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        """Raises RuntimeError, with its log, when Glewlwyd refuses."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Content-Type": "application/json", "Cookie": self._cookie}
        try:
            connection.request(method, path, json.dumps(document) if document else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text}\n{self._program.told()}")
        if (cookie := answer.headers["Set-Cookie"]) and path.startswith("/api/auth"):
            self._cookie = cookie.partition(";")[0]
        return json.loads(text) if text else None


def default_parameters(script: str) -> dict[str, Any]:
    """The plugin's parameters as the administrator's page begins with them.

    They stand there as one object literal, minified: plain values, some names without quotes.
    """
    start = script.index('{"oauth-as-iss-id":')
    literal = script[start : _end_of_object(script, start)]
    words = re.split(r'("(?:[^"\\]|\\.)*")', literal)  # every other one is a string
    for place in range(0, len(words), 2):
        plain = words[place].replace("!0", "true").replace("!1", "false")
        words[place] = re.sub(r"([A-Za-z_]\w*):", r'"\1":', plain)
    found: dict[str, Any] = json.loads("".join(words))
    return found


def _end_of_object(script: str, start: int) -> int:
    depth = 0
    for match in re.compile(r'"(?:[^"\\]|\\.)*"|[{}]').finditer(script, start):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    raise ValueError("no end of that object")


def _pair() -> tuple[str, str]:
    """An RSA key and a certificate of it, both as PEM."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "glewlwyd")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(pem).decode()


def need_glewlwyd() -> None:
    """Fails the test, in one line, when Glewlwyd is not there."""
    if shutil.which("glewlwyd") is None or not SQL.is_file():
        pytest.fail("Debian's glewlwyd is missing: 'make test' installs it", pytrace=False)


@contextmanager
def glewlwyd() -> Iterator[Glewlwyd]:
    """Running, with PEOPLE and no client."""
    need_glewlwyd()
    with tempfile.TemporaryDirectory(prefix="glewlwyd-") as folder:
        provider = Glewlwyd(Path(folder))
        try:
            provider.start()
            yield provider
        finally:
            provider.stop()


async def sign_in(http: aiohttp.ClientSession, url: str, login: str, *, until: str) -> str:
    """What its login page does by script: password, consent, and on to ``until``."""
    origin, asked = urljoin(url, "/"), parse_qs(urlsplit(url).query)
    who = {"username": login, "password": PASSWORD}
    (client_id,) = asked["client_id"]
    await _said(http, "POST", f"{origin}api/auth/", who)
    await _said(http, "PUT", f"{origin}api/auth/grant/{client_id}", {"scope": "openid"})
    async with http.get(f"{url}&g_continue", allow_redirects=False) as answer:
        location = answer.headers.get("Location", "")
        assert location.startswith(until), (answer.status, location, await answer.text())
        return location


async def sign_out(http: aiohttp.ClientSession, url: str) -> str:
    """What its page does when a person says yes: end the session, then go where it says."""
    async with http.get(url, allow_redirects=False) as answer:
        location = answer.headers.get("Location", "")
        assert answer.status == 302, (answer.status, location, await answer.text())
    told = parse_qs(urlsplit(location).query)
    await end_session(http, urljoin(url, "/api/oidc"), told["sid"][0])
    return told.get("callback_url", [""])[0]


async def end_session(http: aiohttp.ClientSession, issuer: str, sid: str) -> None:
    """End one session there; soon after, clients are told by the back channel."""
    await _said(http, "DELETE", f"{issuer}/session/{sid}", None)


async def _said(http: aiohttp.ClientSession, method: str, url: str, document: Any) -> None:
    async with http.request(method, url, json=document) as answer:
        assert answer.status == 200, (method, url, answer.status, await answer.text())
