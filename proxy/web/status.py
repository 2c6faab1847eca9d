"""Alive, ready, metrics and keys; with names of checks on the private listener only."""

from __future__ import annotations

import json
from collections.abc import Callable

from aiohttp import web

from proxy.crypto.jwt import JWKS_SECONDS, public_jwks
from proxy.errors import StoreError
from proxy.session.store import Store
from proxy.web.admin import Admin
from proxy.web.answers import Answers
from proxy.web.metrics import Metrics
from proxy.web.provider import Provider
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit


class Status:
    """The endpoints that machines ask about us."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        provider: Provider | None,
        answers: Answers,
        metrics: Metrics,
        draining: Callable[[], bool],
        admin: Admin | None = None,
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._provider = provider
        self._answers = answers
        self._metrics = metrics
        self._draining = draining
        self._admin = admin

    async def ping(self, visit: Visit) -> web.StreamResponse:
        """200 as long as the process answers at all (R141)."""
        headers = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
        return self._answers.finish(visit, 200, b"OK\n", headers)

    async def ready(self, visit: Visit) -> web.StreamResponse:
        """200 or 503 and no detail: strangers may ask (R140)."""
        good = all(state == "ok" for state in (await self.checks()).values())
        document = {"status": "ready" if good else "unavailable"}
        return self._answers.json(visit, 200 if good else 503, document)

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
            "provider": await self._provider_state(),
            "sessions": await self._store_state(),
            "signing_key": "ok" if self._runtime.signers else "missing",
        }

    async def _provider_state(self) -> str:
        if self._provider is None:
            return "ok"
        failure = self._provider.failure
        if failure is not None:
            return str(failure.reason)
        return "ok" if self._provider.seen else "not asked yet"

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
            good = all(state == "ok" for state in checks.values())
            word = "ready" if good else "unavailable"
            body = {"status": word, "checks": checks}
            return web.json_response(body, status=200 if good else 503)

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
