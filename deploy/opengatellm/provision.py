"""Makes a user in OpenGateLLM for each person whom auth-proxy lets in: a small server of its own.

auth-proxy calls it at ``provisioning.url`` before a person's first session. It believes the signed
identity alone, asks OpenGateLLM's admin API for a user with that e-mail address, and makes one
with the default role where there is none. The admin key stays here: the proxy never has it.

It runs in the image of auth-proxy (``python provision.py``), and reads its environment:

    OPENGATELLM_URL              where the API is, such as http://api:8000
    OPENGATELLM_ADMIN_KEY        a key with the permission to make users, or …
    OPENGATELLM_ADMIN_KEY_FILE   … a file that holds it
    OPENGATELLM_DEFAULT_ROLE     the number of the role that new users get
    OPENGATELLM_ORGANIZATION     the number of their organization, if they get one
    IDENTITY_JWKS_URL            such as http://proxy:4181/oauth2/.well-known/jwks.json
    IDENTITY_ISSUER              identity.issuer of the proxy, else its public_url
    IDENTITY_AUDIENCE            identity.audience of the proxy; api unless set
    LISTEN                       address and port; 0.0.0.0:8090 unless set
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiohttp import web

LOG = logging.getLogger("provision")
USERS = "/v1/admin/users"
LARGEST_ANSWER = 1024 * 1024
REQUIRED = ["iss", "aud", "exp", "iat", "sub", "jti"]


class Mistake(Exception):
    """The API said no, and will say no again: somebody has to look at the configuration."""


class Unavailable(Exception):
    """The API cannot be used now, and may be later."""


@dataclass(frozen=True)
class Config:
    """What the environment says."""

    api_url: str
    admin_key: str = field(repr=False)
    role: int
    organization: int | None
    jwks_url: str
    issuer: str
    audience: str = "api"
    listen: str = "0.0.0.0:8090"

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Config:
        """Raises ValueError that names what is missing or no number."""
        key, file = environ.get("OPENGATELLM_ADMIN_KEY"), environ.get("OPENGATELLM_ADMIN_KEY_FILE")
        if not key and file:
            key = Path(file).read_text(encoding="utf-8").strip()
        needed = {
            "OPENGATELLM_ADMIN_KEY": key,
            **{name: environ.get(name) for name in (
                "OPENGATELLM_URL", "OPENGATELLM_DEFAULT_ROLE", "IDENTITY_JWKS_URL",
                "IDENTITY_ISSUER",
            )},
        }  # fmt: skip
        if missing := sorted(name for name, value in needed.items() if not value):
            raise ValueError(f"not set: {', '.join(missing)}")
        return cls(
            api_url=environ["OPENGATELLM_URL"].rstrip("/"),
            admin_key=str(key),
            role=_number(environ, "OPENGATELLM_DEFAULT_ROLE"),
            organization=_number(environ, "OPENGATELLM_ORGANIZATION")
            if environ.get("OPENGATELLM_ORGANIZATION")
            else None,
            jwks_url=environ["IDENTITY_JWKS_URL"],
            issuer=environ["IDENTITY_ISSUER"],
            audience=environ.get("IDENTITY_AUDIENCE") or cls.audience,
            listen=environ.get("LISTEN") or cls.listen,
        )


def _number(environ: Mapping[str, str], name: str) -> int:
    if not environ[name].isdecimal():
        raise ValueError(f"{name}: not a number")
    return int(environ[name])


class Users:
    """The users of OpenGateLLM, by its admin API."""

    def __init__(self, config: Config, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._http = http

    async def ensure(self, email: str, name: str) -> bool:
        """Make the user unless there is one; returns whether it was made.

        Raises Mistake and Unavailable. Two that come at once make one: the API keeps addresses
        unique, and answers the second with 409.
        """
        # Older versions look for the whole address and answer 404, newer ones for a part of it
        # and answer a list: only a user with this very address counts.
        status, found = await self._call("GET", params={"email": email, "limit": "100"})
        if status == 200 and any(_address(user) == email.casefold() for user in _data(found)):
            return False
        if status not in (200, 404):
            raise Mistake(f"GET {USERS} answered {status}")
        status, _ = await self._call("POST", json=self._user(email, name))
        if status not in (200, 201, 409):
            raise Mistake(f"POST {USERS} answered {status}")
        return status != 409

    def _user(self, email: str, name: str) -> dict[str, object]:
        """Role and organization by both names that versions of the API have for them."""
        config = self._config
        # The API wants a password. Nobody ever learns this one.
        password = secrets.token_urlsafe(32)
        user: dict[str, object] = {"email": email, "name": name or None, "password": password}
        user |= {"role": config.role, "role_id": config.role}
        if config.organization is not None:
            user |= {"organization": config.organization, "organization_id": config.organization}
        return user

    async def _call(self, method: str, **options: Any) -> tuple[int, object]:
        headers = {"Authorization": f"Bearer {self._config.admin_key}"}
        url = self._config.api_url + USERS
        try:
            async with self._http.request(
                method, url, headers=headers, allow_redirects=False, **options
            ) as response:
                body = await response.content.read(LARGEST_ANSWER)
                status = response.status
        except (aiohttp.ClientError, OSError) as exc:  # a timeout is an OSError
            raise Unavailable(f"{method} {USERS}: {type(exc).__name__}") from exc
        if status == 429 or status >= 500:
            raise Unavailable(f"{method} {USERS} answered {status}")
        try:
            return status, json.loads(body) if body else None
        except ValueError:
            return status, None


def _data(document: object) -> list[object]:
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        raise Mistake(f"GET {USERS} answered no list of users")
    return data


def _address(user: object) -> str:
    email = user.get("email") if isinstance(user, dict) else None
    return email.casefold() if isinstance(email, str) else ""


class Server:
    """``POST`` with the proxy's JWT, anywhere; ``GET /ping`` for health checks."""

    def __init__(self, config: Config, users: Users, keys: jwt.PyJWKClient) -> None:
        self._config = config
        self._users = users
        self._keys = keys

    async def provision(self, request: web.Request) -> web.StreamResponse:
        """What the answers mean to the proxy stands in docs/hooks.md."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme != "Bearer":
                raise jwt.InvalidTokenError("no bearer token")
            claims = await asyncio.to_thread(self._verified, token)
        except jwt.PyJWKClientConnectionError as exc:
            return self._failed(request, 503, f"no keys: {type(exc).__name__}")
        except jwt.PyJWTError as exc:
            return self._failed(request, 401, f"no good identity: {type(exc).__name__}: {exc}")
        email, name = claims.get("email"), claims.get("name")
        if not isinstance(email, str) or claims.get("email_verified") is False:
            message = "Your account has no verified e-mail address, and a user needs one."
            return web.json_response({"message": message}, status=403)
        try:
            made = await self._users.ensure(email, name if isinstance(name, str) else "")
        except Mistake as exc:
            return self._failed(request, 424, str(exc))  # trying again would not help
        except Unavailable as exc:
            return self._failed(request, 503, str(exc))
        outcome = "made a user for" if made else "there is a user for"
        LOG.info("%s sub=%s request_id=%s", outcome, claims["sub"], _request_id(request))
        return web.json_response({}, status=201 if made else 200)

    def _verified(self, token: str) -> dict[str, Any]:
        key = self._keys.get_signing_key_from_jwt(token)
        config = self._config
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["ES256", "RS256"],
            issuer=config.issuer,
            audience=config.audience,
            leeway=30,
            options={"require": REQUIRED},
        )
        return claims

    def _failed(self, request: web.Request, status: int, words: str) -> web.Response:
        LOG.warning("%s: %s request_id=%s", status, words, _request_id(request))
        return web.json_response({}, status=status)


def _request_id(request: web.Request) -> str:
    return ascii(request.headers.get("X-Request-Id", ""))[1:-1][:64]


def application(config: Config) -> web.Application:
    """Everything but the socket."""
    app = web.Application(client_max_size=256 * 1024)
    http = web.AppKey("http", aiohttp.ClientSession)
    keys = jwt.PyJWKClient(config.jwks_url, lifespan=300, timeout=5)

    async def running(app: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=4)  # sooner than provisioning.timeout
        async with aiohttp.ClientSession(timeout=timeout) as app[http]:
            yield

    async def provision(request: web.Request) -> web.StreamResponse:
        return await Server(config, Users(config, request.app[http]), keys).provision(request)

    async def ping(request: web.Request) -> web.StreamResponse:
        return web.Response(text="OK")

    app.cleanup_ctx.append(running)
    app.router.add_get("/ping", ping)
    app.router.add_post("/{path:.*}", provision)
    return app


def main() -> None:
    """Serve until told to stop; 2 when the environment lacks something."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config = Config.read(os.environ)
    except (OSError, ValueError) as exc:
        sys.exit(f"provision.py: {exc}")
    host, _, port = config.listen.rpartition(":")
    web.run_app(application(config), host=host or None, port=int(port), access_log=None)


if __name__ == "__main__":
    main()
