"""The administrators' API on the private listener: who is signed in, and who shall be no more."""

from __future__ import annotations

import functools
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from proxy.errors import Reason, StoreError
from proxy.session.cards import Card
from proxy.web.audit import Audit

Handler = Callable[[web.Request], Awaitable[web.Response]]

_MOST: Final = 1000
_USUAL: Final = 100
_AGAIN: Final = {"Retry-After": "5"}
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="auth-proxy administration"'}
_LISTED_BY: Final = frozenset({"person", "issuer", "email", "limit"})
_ENDED_BY: Final = frozenset({"person", "issuer", "email", "all"})


class Register(Protocol):
    """What is asked of ``session.register``. Everything raises StoreError."""

    async def of_person(self, issuer: str, subject: str, now: float) -> list[Card]: ...

    async def find(self, sid: str, now: float) -> Card | None: ...

    def everybody(self, now: float) -> AsyncIterator[Card]: ...

    async def end_card(self, card: Card, now: float) -> None: ...

    async def end_person(self, issuer: str, subject: str, now: float) -> int: ...

    async def end_everybody(self, now: float) -> int: ...


class _Misread(Exception):
    """A query that does not say what is wanted; the text says why."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose sessions a query is about; an empty field does not matter."""

    person: str = ""
    issuer: str = ""
    email: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> _Wanted:
        # Addresses are kept in lower case, see Identity.
        return cls(query.get("person", ""), query.get("issuer", ""), query.get("email", "").lower())

    def fits(self, card: Card) -> bool:
        found = ((self.person, card.subject), (self.issuer, card.issuer), (self.email, card.email))
        return all(wanted in ("", is_there) for wanted, is_there in found)


class Admin:
    """Lists, shows and ends anybody's sessions for whoever has ``token``, which is not empty.

    ``issuer`` is the provider's: a person who is named without one is looked for among all
    sessions, and ended there in any case. ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        token: str,
        issuer: str,
        register: Register,
        audit: Audit,
        clock: Callable[[], float],
    ) -> None:
        self._token = token.encode()
        self._issuer = issuer
        self._register = register
        self._audit = audit
        self._clock = clock

    def add_to(self, app: web.Application) -> None:
        """Serve it under ``/sessions``."""
        app.router.add_get("/sessions", self._guarded(self._list))
        app.router.add_delete("/sessions", self._guarded(self._end))
        app.router.add_get("/sessions/{sid}", self._guarded(self._show))
        app.router.add_delete("/sessions/{sid}", self._guarded(self._end_one))

    def _guarded(self, handler: Handler) -> Handler:
        """Let administrators in, and tell every failure as JSON."""

        @functools.wraps(handler)
        async def guarded(request: web.Request) -> web.Response:
            if not self._knows(request):
                words = "a bearer token is needed: server.admin_token"
                return _answer(401, _error(Reason.NO_SESSION, words), _CHALLENGE)
            try:
                return await handler(request)
            except _Misread as exc:
                return _answer(400, _error("bad_request", str(exc)))
            except StoreError as exc:
                words = "sessions cannot be read or ended at the moment"
                return _answer(503, _error(exc.reason, words), _AGAIN)

        return guarded

    def _knows(self, request: web.Request) -> bool:
        given = request.headers.getall("Authorization", [])
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(" ")
        sent = token.strip().encode("utf-8", "surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(sent, self._token)

    async def _list(self, request: web.Request) -> web.Response:
        query = _read_query(request, _LISTED_BY)
        limit, found = _limit(query.pop("limit", str(_USUAL))), []
        async for card in self._matching(_Wanted.of(query)):
            found.append(card)
            if len(found) > limit:
                break
        shown = [card.shown() for card in found[:limit]]
        return _answer(200, {"sessions": shown, "more": len(found) > limit})

    async def _show(self, request: web.Request) -> web.Response:
        card = await self._register.find(request.match_info["sid"], self._clock())
        return _answer(200, card.shown()) if card is not None else _unknown()

    async def _end_one(self, request: web.Request) -> web.Response:
        now = self._clock()
        card = await self._register.find(request.match_info["sid"], now)
        if card is None:
            return _unknown()
        await self._register.end_card(card, now)
        whose = {"sid": card.sid, "iss": card.issuer, "sub": card.subject, "email": card.email}
        return self._ended(request, 1, whose)

    async def _end(self, request: web.Request) -> web.Response:
        query = _read_query(request, _ENDED_BY)
        if len({"person", "email", "all"} & set(query)) != 1:
            raise _Misread("say whose: exactly one of person, email and all=true")
        if "issuer" in query and "person" not in query:
            raise _Misread("issuer goes with person")
        if "all" in query:
            if query["all"] != "true":
                raise _Misread("all can only be true")
            ended = await self._register.end_everybody(self._clock())
        else:
            ended = await self._end_people(_Wanted.of(query))
        return self._ended(request, ended, query)

    async def _end_people(self, wanted: _Wanted) -> int:
        """All sessions of everybody who has one that fits."""
        people = {(card.issuer, card.subject) async for card in self._matching(wanted)}
        if wanted.person and (wanted.issuer or self._issuer):
            # Also those that nobody has written down.
            people.add((wanted.issuer or self._issuer, wanted.person))
        now = self._clock()
        return sum([await self._register.end_person(*who, now) for who in sorted(people)])

    async def _matching(self, wanted: _Wanted) -> AsyncIterator[Card]:
        now = self._clock()
        if wanted.person and wanted.issuer:
            for card in await self._register.of_person(wanted.issuer, wanted.person, now):
                if wanted.fits(card):
                    yield card
            return
        async for card in self._register.everybody(now):
            if wanted.fits(card):
                yield card

    def _ended(self, request: web.Request, ended: int, whose: Mapping[str, str]) -> web.Response:
        self._audit.ended_by_admin(request.remote or "", ended, whose)
        return _answer(200, {"ended": ended})


def _read_query(request: web.Request, known: frozenset[str]) -> dict[str, str]:
    """Each name once and with a value; a name that is not known may have been meant otherwise."""
    query = dict(request.query)
    if len(query) != len(request.query) or not all(query.values()):
        raise _Misread("each parameter once, and none empty")
    if unknown := sorted(set(query) - known):
        raise _Misread(f"unknown parameter: {unknown[0][:40]}")
    return query


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= _MOST):
        raise _Misread(f"limit is a number from 1 to {_MOST}")
    return int(text)


def _unknown() -> web.Response:
    return _answer(404, _error(Reason.NOT_FOUND, "there is no such session"))


def _error(reason: str, message: str) -> dict[str, object]:
    return {"error": str(reason), "message": message}


def _answer(
    status: int, document: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> web.Response:
    always = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return web.json_response(document, status=status, headers={**always, **(headers or {})})
