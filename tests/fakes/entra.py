"""Entra as learn.microsoft.com describes it: a dialect for the fake provider, and Graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.demo.behaviour import Behaviour
from proxy.demo.keys import Keys
from proxy.demo.people import Client, User
from proxy.model import Json

HOME = "11111111-aaaa-4bbb-8ccc-000000000001"
GUESTS = "11111111-aaaa-4bbb-8ccc-000000000002"
FOREIGN = "66666666-dddd-4eee-8fff-000000000666"
"""Ids of tenants."""
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


def group(number: int) -> str:
    """The object id of a group."""
    return f"00000000-0000-4000-8000-{number:012d}"


def _person(name: str, tenant: str, groups: int = 0, roles: Sequence[str] = ()) -> User:
    given = name.title()
    oid = f"22222222-0000-4000-8000-{sum(name.encode()):012d}"
    extra: dict[str, Json] = {"oid": oid, "tid": tenant}
    if roles:
        extra["roles"] = list(roles)
    ids = tuple(map(group, range(groups)))
    email = f"{name}@contoso.example"
    return User(name, f"pairwise-{name}", given, given, "Doe", email, groups=ids, extra=extra)


LEE = _person("lee", HOME, groups=3, roles=("internal_user", "proxy_admin"))
MAX = _person("max", HOME, groups=201)
"""In more groups than a token holds."""
GUS = _person("gus", GUESTS)
EVA = _person("eva", FOREIGN, roles=("proxy_admin",))
"""An administrator of a tenant of her own, who may call herself anything."""

_USERINFO = frozenset({"sub", "name", "family_name", "given_name", "picture", "email"})
_DROPPED = frozenset({"acr", "auth_time", "at_hash", "given_name", "family_name"})
_MOST_GROUPS = 200


class Entra(Behaviour):
    """A tenant, or ``organizations`` and the like; tokens are those of each person's tenant."""

    scopes: Mapping[str, tuple[str, ...]] = {
        "openid": ("sub", "tid", "roles", "groups"),
        "profile": ("name", "given_name", "family_name", "preferred_username", "oid"),
        "email": ("email",),
        "User.Read": (),
    }
    auth_methods = ("client_secret_post", "client_secret_basic")

    def __init__(self, issuer: str) -> None:
        """``issuer`` is that below which the endpoints are, such as ``…/organizations/v2.0``."""
        self._origin, self._tenant, _ = issuer.rsplit("/", 2)

    def issuer(self, tenant: str) -> str:
        return f"{self._origin}/{tenant}/v2.0"

    @property
    def many(self) -> bool:
        return self._tenant in ("organizations", "common")

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        """Without what the real one does not say: PKCE, iss in the answer."""
        dropped = {
            "code_challenge_methods_supported",
            "authorization_response_iss_parameter_supported",
        }
        told = {name: value for name, value in document.items() if name not in dropped}
        issuer = self.issuer("{tenantid}" if self.many else self._tenant)
        return await super().discovery(
            told | {"issuer": issuer, "frontchannel_logout_supported": True}
        )

    def callback(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(name, value) for name, value in params if name != "iss"]

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        told = {name: value for name, value in claims.items() if name not in _DROPPED}
        groups = told.pop("groups", None)
        if isinstance(groups, list) and len(groups) > _MOST_GROUPS:
            told["_claim_names"] = {"groups": "src1"}
            endpoint = f"https://graph.windows.net/{told['tid']}/users/{told.get('oid')}"
            told["_claim_sources"] = {"src1": {"endpoint": f"{endpoint}/getMemberObjects"}}
        elif groups:
            told["groups"] = groups
        return told | {"iss": self.issuer(str(told["tid"])), "ver": "2.0"}

    async def userinfo(
        self, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.StreamResponse:
        told = {name: value for name, value in claims.items() if name in _USERINFO}
        return await super().userinfo(told, keys, client)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GROUP = "#microsoft.graph.group"
UNIT = "#microsoft.graph.administrativeUnit"
ROLE = "#microsoft.graph.directoryRole"


def membership(number: int, kind: str = GROUP) -> dict[str, Json]:
    return {"@odata.type": kind, "id": group(number)}


def assignment(number: int, kind: str = "Group") -> dict[str, Json]:
    return {"id": f"a{number}", "principalId": group(number), "principalType": kind}


@dataclass
class FakeGraph:
    """``async with FakeGraph() as graph``: Graph at ``graph.url``; ``size`` entries on a page.

    ``status`` other than 200 refuses everything, ``links_to`` is where next pages are said to
    be, ``changed`` replaces whole answers.
    """

    memberships: Sequence[Mapping[str, Json]] = ()
    assignments: Sequence[Mapping[str, Json]] = ()
    size: int = 100
    principal: str = "33333333-0000-4000-8000-000000000001"
    status: int = 200
    links_to: str = ""
    changed: Any = None
    calls: Counter[str] = field(default_factory=Counter)
    tokens: set[str] = field(default_factory=set)
    """Every token that was shown here."""
    wait: Callable[[], Awaitable[None]] | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1.0/me/transitiveMemberOf", self._memberships)
        app.router.add_get("/v1.0/servicePrincipals/{id}/appRoleAssignedTo", self._assignments)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    async def _memberships(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "groups", self.memberships)

    async def _assignments(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["id"] != self.principal:
            return _error(404, "Request_ResourceNotFound")
        return await self._answer(request, "assignments", self.assignments)

    async def _answer(
        self, request: web.Request, name: str, whole: Sequence[Mapping[str, Json]]
    ) -> web.StreamResponse:
        self.calls[name] += 1
        if self.wait is not None:
            await self.wait()
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            return _error(401, "InvalidAuthenticationToken")
        self.tokens.add(token)
        if self.status != 200:
            return _error(self.status, "Authorization_RequestDenied")
        if self.changed is not None:
            return web.json_response(self.changed)
        size = min(int(request.query.get("$top", "100")), self.size)
        begin = int(request.query.get("$skiptoken", "0"))
        page: dict[str, Json] = {
            "@odata.context": f"{self.url}/v1.0/$metadata#directoryObjects",
            "value": list(whole[begin : begin + size]),
        }
        if begin + size < len(whole):
            base = self.links_to or str(request.url.with_query(None))
            page["@odata.nextLink"] = f"{base}?$top={size}&$skiptoken={begin + size}"
        return web.json_response(page)


def _error(status: int, code: str) -> web.Response:
    said = {"error": {"code": code, "message": "secret-of-the-provider"}}
    return web.json_response(said, status=status)
