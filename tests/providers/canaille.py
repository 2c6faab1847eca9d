"""PyPI's Canaille, an OpenID provider written with Authlib, and a browserless person.

It lives in an environment of its own, which ``make test`` makes: the versions that it needs are
not ours. Its habits: ``aud`` is an array, and an empty one for a client without
``audience``; ``auth_time`` is a fraction; ID tokens are signed with RS512 unless told otherwise;
a sign-out without ``client_id`` loses its way back.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.providers.node import signing_keys, walk
from tests.providers.program import Program, free_port

HERE = Path(__file__).parent
HOME = HERE.parent.parent / ".venv-canaille" / "bin"
SETUP_SECONDS = 90
PASSWORD = "a long password for the tests"
SCOPES = ("openid", "profile", "email", "groups")

PEOPLE: Mapping[str, Mapping[str, str]] = {
    "alice": {"given-name": "Alice", "family-name": "Martin", "emails": "alice@example.org"},
    "bob": {"given-name": "Bob", "family-name": "Durand", "emails": "bob@example.org"},
}
GROUPS: Mapping[str, Sequence[str]] = {"admins": ["alice"], "dev": ["alice", "bob"]}


@dataclass(frozen=True, slots=True)
class CanailleClient:
    """One registration; ``url`` is the public URL of the proxy."""

    client_id: str
    client_secret: str
    url: str
    audience: bool = True
    algorithm: str = "RS256"

    def commands(self) -> Iterator[list[str]]:
        callback = f"{self.url}/oauth2/callback"
        signed_out = f"{self.url}/oauth2/signed_out"
        options = {
            "client-id": [self.client_id],
            "client-secret": [self.client_secret],
            "client-name": [f"The proxy {self.client_id}"],
            "redirect-uris": [callback],
            "post-logout-redirect-uris": [signed_out],
            "grant-types": ["authorization_code", "refresh_token"],
            "response-types": ["code"],
            "token-endpoint-auth-method": ["client_secret_basic"],
            "scope": list(SCOPES),
        }
        yield ["create", "client", *_options(options)]
        set_up: dict[str, Sequence[str]] = {}
        if self.audience:
            set_up["audience"] = [self.client_id]
        if self.algorithm:
            set_up["id-token-signed-response-alg"] = [self.algorithm]
        if set_up:
            yield ["set", "client", self.client_id, *_options(set_up)]


def _options(options: Mapping[str, Sequence[str]]) -> list[str]:
    return [word for name, values in options.items() for v in values for word in (f"--{name}", v)]


class Canaille:
    """A running Canaille; made by ``canaille()``."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.issuer = f"http://127.0.0.1:{port}"
        self._config = folder / "config.toml"
        self._config.write_text(_config(port, folder))
        self._environment = {"CANAILLE_CONFIG": str(self._config)}
        command = [str(HOME / "canaille"), "run", "--bind", f"127.0.0.1:{port}"]
        self._program = Program(command, port, folder / "log", self._environment)

    def start(self, clients: Sequence[CanailleClient]) -> None:
        self._set_up(list(_everybody(clients)))
        self._program.start()

    def stop(self) -> None:
        self._program.stop()

    def _set_up(self, commands: list[list[str]]) -> None:
        """Raises RuntimeError with its own words."""
        done = subprocess.run(
            [HOME / "python", "-P", HERE / "canaille_setup.py"],
            input=json.dumps(commands).encode(), capture_output=True, check=False,
            env={**os.environ, **self._environment}, timeout=SETUP_SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"Canaille's commands failed: {done.stderr.decode()}")


def _config(port: int, folder: Path) -> str:
    # one key, the RSA key that it insists on; names and values as TOML's inline table wants them
    key = ", ".join(f"{name} = {json.dumps(value)}" for name, value in signing_keys()[0].items())
    return f"""\
SECRET_KEY = "only-for-tests-on-this-machine"
SERVER_NAME = "127.0.0.1:{port}"
PREFERRED_URL_SCHEME = "http"
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{folder}/canaille.db"
[CANAILLE_OIDC]
ACTIVE_JWKS = [{{{key}}}]
"""


def _everybody(clients: Sequence[CanailleClient]) -> Iterator[list[str]]:
    yield ["db", "upgrade"]
    for login, person in PEOPLE.items():
        name = f"{person['given-name']} {person['family-name']}"
        given = {**person, "user-name": login, "formatted-name": name, "password": PASSWORD}
        yield ["create", "user", *_options({key: [value] for key, value in given.items()})]
    for group, members in GROUPS.items():
        yield ["create", "group", *_options({"display-name": [group], "members": members})]
    for client in clients:
        yield from client.commands()


def need_canaille() -> None:
    """Fails the test, in one line, when Canaille is not there."""
    if not (HOME / "canaille").is_file():
        pytest.fail("PyPI's canaille is missing: 'make test' installs it", pytrace=False)


@contextmanager
def canaille(clients: Sequence[CanailleClient]) -> Iterator[Canaille]:
    """Running, with PEOPLE, GROUPS and these clients."""
    need_canaille()
    with tempfile.TemporaryDirectory(prefix="canaille-") as folder:
        provider = Canaille(Path(folder))
        try:
            provider.start(clients)
            yield provider
        finally:
            provider.stop()


async def next_second() -> None:
    """Two of its tokens of one person within one second are equal, and its database refuses."""
    begun = int(time.time())
    while int(time.time()) == begun:  # noqa: ASYNC110 - there is nothing to wait for but time
        await asyncio.sleep(0.02)


async def sign_in(http: aiohttp.ClientSession, url: str, login: str, *, until: str) -> str:
    """Through its pages: name, password, consent."""
    await next_second()
    answers = {"login": login, "password": PASSWORD}
    return await walk(http, url, until, answers, {"answer": "accept"})


async def sign_out(http: aiohttp.ClientSession, url: str, *, until: str) -> str:
    """From the end-session request ``url``; says yes where the page asks."""
    return await walk(http, url, until, {}, {"answer": "logout"})
