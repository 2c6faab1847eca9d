"""The metadata of this protected resource (RFC 9728): where programs find who may sign them in."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from proxy.config.provider import Provider
from proxy.config.providers import TEMPLATE
from proxy.web.answers import Answers
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit

_SUFFIX: Final = "/.well-known/openid-configuration"


class Resource:
    """The public resource that all routes are together."""

    def __init__(self, runtime: Runtime, answers: Answers) -> None:
        self._answers = answers
        self._document = _document(runtime)

    async def metadata(self, visit: Visit) -> web.StreamResponse:
        """RFC 9728 section 3.2; for everybody, on any page."""
        anywhere = ("Access-Control-Allow-Origin", "*")
        return self._answers.json(visit, 200, self._document, [anywhere])


def _document(runtime: Runtime) -> dict[str, object]:
    settings = runtime.settings
    servers = [_server(one) for one in runtime.providers] if settings.bearer.audiences else []
    servers += [one.issuer_url for one in settings.bearer.issuers]
    scopes = [scope for one in settings.bearer.issuers for scope in one.required_scopes]
    document: dict[str, object] = {
        "resource": settings.public_url,
        "authorization_servers": list(dict.fromkeys(filter(None, servers))),
        "scopes_supported": list(dict.fromkeys(scopes)),
        "bearer_methods_supported": ["header"],
    }
    # what is empty must be left out (section 3.2)
    return {name: value for name, value in document.items() if value}


def _server(provider: Provider) -> str:
    """Its issuer, below which programs find its metadata; ``""`` where there is none."""
    issuer = provider.issuer_url or ""
    if provider.preset == "github":
        return ""
    if not issuer or TEMPLATE in issuer or issuer.endswith(_SUFFIX):
        where = provider.server_metadata_url or issuer
        return where.removesuffix(_SUFFIX) if where.endswith(_SUFFIX) else ""
    return issuer
