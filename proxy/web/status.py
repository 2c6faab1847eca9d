"""Alive, ready, metrics and keys; with names of checks on the private listener only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from proxy.config.providers import places_of
from proxy.crypto.jwt import JWKS_SECONDS, public_jwks
from proxy.errors import StoreError
from proxy.oidc.metadata import Incomplete
from proxy.session.store import Store
from proxy.web.admin import Admin
from proxy.web.answers import Answers
from proxy.web.metrics import Metrics
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit

_ONE_OF: Final = "provider "


class Status:
    """The endpoints that machines ask about us."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        providers: Providers | None,
        answers: Answers,
        metrics: Metrics,
        draining: Callable[[], bool],
        admin: Admin | None = None,
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._providers = providers.all if providers else ()
        self._answers = answers
        self._metrics = metrics
        self._draining = draining
        self._admin = admin

    async def ping(self, visit: Visit) -> web.StreamResponse:
        """200 as long as the process answers at all (R141)."""
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
        return self._answers.finish(visit, 200, b"OK\n", headers)

    async def ready(self, visit: Visit) -> web.StreamResponse:
        """200 or 503 and one word, no detail: strangers may ask (R140)."""
        status, word = _verdict(await self.checks())
        return self._answers.json(visit, status, {"status": word})

    async def jwks(self, visit: Visit) -> web.StreamResponse:
        headers = (
            ("Content-Type", "application/jwk-set+json"),
            ("Cache-Control", f"public, max-age={JWKS_SECONDS}"),
            ("Access-Control-Allow-Origin", "*"),
            ("X-Content-Type-Options", "nosniff"),
        )
        return self._answers.finish(visit, 200, self.keys(), headers)

    def keys(self) -> bytes:
        """Our public keys (RFC 7517), as JSON."""
        return json.dumps(public_jwks(self._runtime.signers)).encode()

    async def checks(self) -> dict[str, str]:
        """Each check by name: ``ok``, or the reason why not."""
        return {
            "serving": "stopping" if self._draining() else "ok",
            **self._provider_states(),
            "sessions": await self._store_state(),
            "signing_key": "ok" if self._runtime.signers else "missing",
        }

    def _provider_states(self) -> dict[str, str]:
        """By name, where there are several."""
        if len(self._providers) > 1:
            return {f"{_ONE_OF}{one.name}": _state(one) for one in self._providers}
        return {"provider": _state(self._providers[0]) if self._providers else "ok"}

    def _missing(self) -> list[str]:
        """What the configuration, or a provider's metadata, lacks: options that would mend it."""
        found = [] if self._runtime.signers else ["identity.signing_key_files"]
        places = zip(places_of(self._runtime.settings), self._providers, strict=False)
        for place, provider in places:
            if isinstance(provider.failure, Incomplete):
                found += [f"{place}.{name}" for name in provider.failure.missing]
        return found

    async def _store_state(self) -> str:
        try:
            await self._store.ready()
        except StoreError as exc:
            return str(exc.reason)
        return "ok"

    def private_app(self) -> web.Application:
        """The private listener: metrics, readiness by check, the keys for upstreams, and the
        administrators' API if there is one."""

        async def metrics(_: web.Request) -> web.Response:
            kind = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
            return web.Response(body=self._metrics.render(), headers=kind)

        async def ready(_: web.Request) -> web.Response:
            checks = await self.checks()
            status, word = _verdict(checks)
            body = {"status": word, "checks": checks, "missing": self._missing()}
            return web.json_response(body, status=status)

        async def keys(_: web.Request) -> web.Response:
            return web.Response(body=self.keys(), content_type="application/jwk-set+json")

        async def ping(_: web.Request) -> web.Response:
            return web.Response(text="OK\n")

        app = web.Application()
        paths = self._runtime.paths
        app.router.add_get("/metrics", metrics)
        app.router.add_get(paths.ready, ready)
        app.router.add_get(paths.ping, ping)
        app.router.add_get(paths.jwks, keys)
        if self._admin is not None:
            self._admin.add_to(app)
        return app


def _state(provider: IdentityProvider) -> str:
    if provider.failure is not None:
        return str(provider.failure.reason)
    return "ok" if provider.seen else "not asked yet"


def _verdict(checks: Mapping[str, str]) -> tuple[int, str]:
    """Status and word. Of several providers one is enough to serve, though not for everyone."""
    several = [state for name, state in checks.items() if name.startswith(_ONE_OF)]
    others = [state for name, state in checks.items() if not name.startswith(_ONE_OF)]
    if any(state != "ok" for state in others) or (several and "ok" not in several):
        return 503, "unavailable"
    return 200, "ready" if all(state == "ok" for state in several) else "degraded"
