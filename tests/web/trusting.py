"""Issuers as a proxy has them, without the proxy around them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from proxy.config.settings import Settings
from proxy.web.calls import open_session
from proxy.web.issuers import Issuers
from proxy.web.metrics import Metrics
from proxy.web.providers import Providers
from proxy.web.runtime import Runtime, compile_runtime
from proxy.web.sign_in import open_providers
from proxy.web.world import World
from tests.config.configurations import SECRET
from tests.fakes.clock import FakeClock

PUBLIC = "https://app.example.org"


def runtime_of(**sections: Any) -> Runtime:
    """A small valid configuration with more sections."""
    written = {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:1",
        "cookie": {"secret": SECRET},
        "provider": {
            "issuer_url": "https://idp.example.org/",
            "client_id": "app",
            "client_secret": "a secret",
        },
    }
    return compile_runtime(Settings.model_validate(written | sections), os.urandom)


@asynccontextmanager
async def trusting(
    clock: Callable[[], float] | None = None, **sections: Any
) -> AsyncIterator[Issuers]:
    """Made from settings as in the file."""
    async with judging(clock, **sections) as (issuers, _):
        yield issuers


@asynccontextmanager
async def judging(
    clock: Callable[[], float] | None = None, **sections: Any
) -> AsyncIterator[tuple[Issuers, Providers]]:
    """The same, with the providers."""
    clock = clock or FakeClock()
    runtime, metrics = runtime_of(**sections), Metrics()
    async with open_session() as http:
        providers = open_providers(runtime, http, metrics, World(clock=clock))
        yield Issuers(runtime, providers, http, metrics, clock), providers
