"""``auth-proxy demo``: provider, playground and proxy in one process, with nothing to set up."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TextIO
from urllib.parse import urlsplit

import uvloop
from aiohttp import web

from proxy.config.access import AccessRules
from proxy.config.keeping import Cookie
from proxy.config.provider import Provider
from proxy.config.settings import IdentityJwt, Route, Server, Settings
from proxy.config.types import Secret, parse_listen
from proxy.demo.playground import PlaygroundConfig, create_playground
from proxy.demo.provider import Client, ProviderConfig, create_provider
from proxy.errors import ConfigError
from proxy.process.serve import make_log
from proxy.web.app import App

CLIENT_ID = "auth-proxy-demo"


def provider_config(issuer: str, public_url: str, client_secret: str) -> ProviderConfig:
    """The demo's provider, with the proxy at ``public_url`` as its one client."""
    client = Client(
        client_id=CLIENT_ID,
        secret=client_secret,
        redirect_uris=(f"{public_url}/oauth2/callback",),
        post_logout_redirect_uris=(f"{public_url}/oauth2/signed_out",),
    )
    return ProviderConfig(issuer=issuer, clients=(client,))


def demo_settings(
    host: str, public_url: str, issuer: str, app_port: int, client_secret: str
) -> Settings:
    """The proxy's configuration: what a first ``proxy.cfg`` would say, in values."""
    secret = base64.urlsafe_b64encode(os.urandom(32)).decode()
    port = public_url.rpartition(":")[2]
    return Settings(
        public_url=public_url,
        upstream=(f"http://127.0.0.1:{app_port}",),
        provider=Provider(
            issuer_url=issuer,
            client_id=CLIENT_ID,
            client_secret=Secret(client_secret),
            scope="openid email profile groups",
        ),
        cookie=Cookie(secret=(Secret(secret),)),
        access=AccessRules(email_domains=("example.org",)),
        identity=IdentityJwt(ttl=300),
        routes=(Route.model_validate({"path": "/ping", "access": "public"}),),
        server=Server(listen=(f"{host}:{port}",), private_listen=(f"127.0.0.1:{free_port(4181)}",)),
    )


@contextlib.asynccontextmanager
async def listening(app: web.Application, address: str) -> AsyncIterator[int]:
    """Serve ``app`` at host:port while the block runs; yields the port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, *parse_listen(address)).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: where people go, and where its provider and metrics are."""

    public_url: str
    issuer: str
    metrics_url: str
    app: App


@contextlib.asynccontextmanager
async def demo(host: str, port: int, stream: TextIO) -> AsyncIterator[Demo]:
    """Everything at once while the block runs; the log goes to ``stream``.

    The proxy gets ``port``; the others their usual ports, or any if those are taken.
    """
    public_url = f"http://localhost:{port}"
    # A path of its own: cookies know no ports, so the app would see the provider's otherwise.
    issuer = f"http://localhost:{free_port(4455)}/provider"
    client_secret = base64.urlsafe_b64encode(os.urandom(24)).decode()
    playground = PlaygroundConfig(
        jwks_url=f"http://127.0.0.1:{port}/oauth2/.well-known/jwks.json",
        issuer=public_url,
        audience="api",
    )
    async with contextlib.AsyncExitStack() as stack:
        provider = create_provider(provider_config(issuer, public_url, client_secret))
        address = f"127.0.0.1:{urlsplit(issuer).port}"
        await stack.enter_async_context(listening(provider, address))
        app_port = await stack.enter_async_context(
            listening(create_playground(playground), "127.0.0.1:0")
        )
        settings = demo_settings(host, public_url, issuer, app_port, client_secret)
        app = await stack.enter_async_context(App(settings, make_log(settings, stream)))
        yield Demo(public_url, issuer, f"http://127.0.0.1:{app.private_port}/metrics", app)


def free_port(wanted: int) -> int:
    """``wanted`` if nobody listens there on this machine, else any that is free."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise OSError("no port is free")


def run(host: str = "127.0.0.1", port: int = 4180) -> int:
    """Serve the whole demo until told to stop; 1 when the port is taken."""

    async def serve() -> None:
        async with demo(host, port, sys.stderr) as running:
            sys.stdout.write(welcome(running))
            sys.stdout.flush()
            await _until_stopped()
            await running.app.drain()

    try:
        uvloop.run(serve())
    except ConfigError as exc:
        sys.stderr.write(f"auth-proxy demo: {exc}\n")
        return 1
    except OSError as exc:
        sys.stderr.write(f"auth-proxy demo: cannot listen: {exc}\n")
        return 1
    return 0


def welcome(running: Demo) -> str:
    """What to open, and who can sign in."""
    return f"""
  auth-proxy demo is running.

    Open      {running.public_url}
    Sign in   as alice (groups admins, dev) or bob (group dev): a click, no password;
              mallory (type the name) is a stranger, and will be shown the door
    Metrics   {running.metrics_url}

  Ctrl-C stops it.

"""


async def _until_stopped() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def run_provider(listen: str, issuer: str, public_url: str, client_secret: str) -> int:
    """``auth-proxy demo provider``: the provider alone, for compose."""
    config = provider_config(issuer, public_url, client_secret)
    return _run_alone(create_provider(config), listen)


def run_playground(listen: str, jwks_url: str, issuer: str, audience: str) -> int:
    """``auth-proxy demo playground``: the application alone, for compose."""
    config = PlaygroundConfig(jwks_url=jwks_url, issuer=issuer, audience=audience)
    return _run_alone(create_playground(config), listen)


def _run_alone(app: web.Application, listen: str) -> int:
    async def serve() -> None:
        async with listening(app, listen):
            await _until_stopped()

    try:
        uvloop.run(serve())
    except OSError as exc:
        sys.stderr.write(f"auth-proxy demo: cannot listen: {exc}\n")
        return 1
    return 0
