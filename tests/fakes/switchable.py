"""A behaviour whose faults a test switches on and off, over any honest dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from aiohttp import web

from proxy.demo.behaviour import Behaviour
from proxy.demo.keys import Keys
from proxy.demo.people import Client
from proxy.model import Json
from tests.fakes import misbehaviour as faults

F = TypeVar("F")
BETWEEN_DRIPS = 0.05
"""Seconds."""


class Switchable(Behaviour):
    """Does what ``dialect`` does, then bends it by the names in ``active``.

    ``elsewhere`` is a URL of another origin. A hanging endpoint sets ``reached`` and then
    waits for ``release``, a dripping one ends with it.
    """

    def __init__(self, dialect: Behaviour, elsewhere: str, issuer: str) -> None:
        self._dialect = dialect
        self._elsewhere = elsewhere
        self._issuer = issuer
        self.active: frozenset[str] = frozenset()
        self.more_metadata: dict[str, Json] = {}
        self.userinfo_change: Callable[[dict[str, Json]], dict[str, Json]] = dict
        self.reached = asyncio.Event()
        self.release = asyncio.Event()
        self.paths = dialect.paths
        self.scopes = dialect.scopes
        self.auth_methods = dialect.auth_methods
        self.code_life = dialect.code_life
        self.token_life = dialect.token_life
        self.refresh_life = dialect.refresh_life
        self.acr = dialect.acr

    def check_request(self, params: Mapping[str, str], client: Client) -> None:
        self._dialect.check_request(params, client)

    def check_logout(self, params: Mapping[str, str], client: Client | None) -> None:
        self._dialect.check_logout(params, client)

    def callback(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        params = self._dialect.callback(params)
        for change in self._chosen(faults.CALLBACK):
            params = change(params)
        return params

    def id_token_claims(self, claims: dict[str, Json]) -> dict[str, Json]:
        claims = self._dialect.id_token_claims(claims)
        for change in self._chosen(faults.ID_TOKEN):
            claims = change(claims)
        return claims

    def sign_id_token(self, keys: Keys, claims: Mapping[str, Json]) -> str:
        for sign in self._chosen(faults.SIGN):
            return sign(keys, claims)
        return self._dialect.sign_id_token(keys, claims)

    async def discovery(self, document: dict[str, Json]) -> web.StreamResponse:
        document = document | self.more_metadata
        return await self._answer("discovery", faults.DISCOVERY, document) or (
            await self._dialect.discovery(document)
        )

    async def jwks(self, document: dict[str, Json]) -> web.StreamResponse:
        return await self._answer("jwks", faults.JWKS, document) or (
            await self._dialect.jwks(document)
        )

    async def token(self, document: dict[str, Json]) -> web.StreamResponse:
        return await self._answer("token", faults.TOKEN, document) or (
            await self._dialect.token(document)
        )

    async def revoke(self) -> web.StreamResponse:
        return await self._answer("revoke", faults.REVOKE, {}) or web.Response()

    async def push(self, document: dict[str, Json]) -> web.StreamResponse:
        wrong = await self._answer("push", faults.PUSH, document)
        return wrong or web.json_response(document, status=201)

    async def userinfo(
        self, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.StreamResponse:
        claims = self.userinfo_change(claims)
        wrong = await self._answer("userinfo", faults.USERINFO, claims)
        if wrong is not None:
            return wrong
        for name in self.active & faults.USERINFO_SIGNED:
            return self._signed_userinfo(name, claims, keys, client)
        return await self._dialect.userinfo(claims, keys, client)

    def _signed_userinfo(
        self, name: str, claims: dict[str, Json], keys: Keys, client: Client
    ) -> web.Response:
        claims = claims | {"iss": self._issuer, "aud": client.client_id}
        sign: Mapping[str, Callable[[Keys, Mapping[str, Json]], str]] = {
            "userinfo_jwt": lambda keys, claims: keys.sign(claims),
            "userinfo_jwt_bad_signature": faults.SIGN["id_token_bad_signature"],
            "userinfo_jwt_stranger": faults.SIGN["id_token_stranger_known_kid"],
        }
        body = sign[name](keys, claims).encode()
        return web.Response(body=body, content_type="application/jwt")

    async def _answer(
        self, endpoint: str, table: Mapping[str, faults.Answer], document: dict[str, Json]
    ) -> web.StreamResponse | None:
        if f"{endpoint}_hang" in self.active:
            self.reached.set()
            await self.release.wait()
        if f"{endpoint}_drip" in self.active:
            return web.Response(body=self._blanks(), content_type="application/json")
        if f"{endpoint}_redirect" in self.active:
            return web.Response(status=307, headers={"Location": self._elsewhere})
        for answer in self._chosen(table):
            return answer(document)
        return None

    async def _blanks(self) -> AsyncIterator[bytes]:
        while not self.release.is_set():
            yield b" "
            with suppress(TimeoutError):
                await asyncio.wait_for(self.release.wait(), BETWEEN_DRIPS)

    def _chosen(self, table: Mapping[str, F]) -> list[F]:
        return [value for name, value in table.items() if name in self.active]
