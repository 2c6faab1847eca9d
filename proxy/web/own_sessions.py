"""A person sees where they are signed in, and ends what should be over."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from aiohttp import web

from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import BadRequest, Reason
from proxy.model import Identity, Kind
from proxy.rules.judged import Denial
from proxy.rules.target import UNIX_PEER
from proxy.session.cards import Card
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import refusal
from proxy.web.forms import from_here, kind_of_form, only, read_form
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.user_agent import Browser, read_browser
from proxy.web.visit import Visit

OTHERS: Final = "others"
"""What stands for all sessions but the one that asks; no session is called so."""

_MOST: Final = 200
_DONE: Final = "done"


class Register(Protocol):
    """What is asked of ``session.register``. Everything raises StoreError."""

    async def of_person(self, issuer: str, subject: str, now: float) -> list[Card]: ...

    async def find(self, sid: str, now: float) -> Card | None: ...

    async def end_card(self, card: Card, now: float) -> None: ...

    async def end_person(self, issuer: str, subject: str, now: float, spared: str = "") -> int: ...


class Door(Protocol):
    """Who may come in: ``web.auth``."""

    async def allowed(self, visit: Visit) -> Opened | Denial: ...


class SignIn(Protocol):
    """Where to send whoever is not signed in: ``web.login``."""

    async def wanted(self, visit: Visit, return_to: str) -> web.StreamResponse: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A session as a person sees it. Times as in HTML; ``…_ago`` in seconds."""

    sid: str
    is_this: bool
    browser: Browser
    address: str
    started: str
    started_ago: float
    used: str
    used_ago: float

    @classmethod
    def of(cls, card: Card, this: str, now: float) -> Shown:
        """``this`` is the public name of the session that asks, which is in use right now."""
        used = now if card.sid == this else card.seen_at
        return cls(
            sid=card.sid,
            is_this=card.sid == this,
            browser=read_browser(card.browser),
            address=card.address if card.address != UNIX_PEER else "",
            started=_iso(card.created_at),
            started_ago=now - card.created_at,
            used=_iso(used),
            used_ago=now - used,
        )


class OwnSessions:
    """``{prefix}/sessions``: a page with forms for people, JSON for programs."""

    def __init__(
        self,
        runtime: Runtime,
        register: Register,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        audit: Audit,
    ) -> None:
        self._runtime = runtime
        self._register = register
        self._door = door
        self._sign_in = sign_in
        self._answers = answers
        self._audit = audit
        self._pseudonyms = Pseudonyms(runtime.secrets, "sessions-form")

    async def sessions(self, visit: Visit) -> web.StreamResponse:
        """GET shows them; POST ends the one that ``end`` names, or ``others``, and shows the rest.

        Whoever is not signed in is sent to sign in. Raises BadRequest, StoreError.
        """
        if visit.goal.method == "POST":
            return await self._end(visit)
        found = await self._door.allowed(visit)
        if isinstance(found, Denial):
            return await self._turn_away(visit, found)
        cards = await self._cards(visit, found)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.json(visit, 200, self._document(visit, found, cards))
        return self._answers.page(
            visit, 200, "sessions",
            email=found.session.identity.email,
            sessions=[Shown.of(card, found.sid, visit.now) for card in cards[:_MOST]],
            has_more=len(cards) > _MOST,
            is_done=visit.goal.query == _DONE and visit.header("Sec-Fetch-Site") == "same-origin",
            sessions_url=self._runtime.paths.sessions,
            token=self._token(found)[0],
        )  # fmt: skip

    async def _cards(self, visit: Visit, opened: Opened) -> list[Card]:
        """This one first, then by their last use; this one even if nobody has written it down."""
        who = opened.session.identity
        known = await self._register.of_person(who.issuer, who.subject, visit.now)
        others = [card for card in known if card.sid != opened.sid]
        browser, address = visit.header("User-Agent"), visit.goal.client
        mine = [card for card in known if card.sid == opened.sid]
        mine = mine or [Card.of(opened.session, "", browser, address)]
        return mine + sorted(others, key=lambda card: card.seen_at, reverse=True)

    def _document(self, visit: Visit, opened: Opened, cards: list[Card]) -> dict[str, object]:
        sessions = [
            {
                "sid": card.sid,
                "current": card.sid == opened.sid,
                "browser": str(read_browser(card.browser)),
                "address": card.address,
                "started_at": int(card.created_at),
                "last_used_at": int(visit.now if card.sid == opened.sid else card.seen_at),
                "expires_at": int(card.expires_at),
            }
            for card in cards[:_MOST]
        ]
        token = self._token(opened)[0]
        return {"sessions": sessions, "more": len(cards) > _MOST, "token": token}

    async def _end(self, visit: Visit) -> web.StreamResponse:
        # What a form of ours sends is answered with pages, here and in case of trouble.
        visit.target = replace(visit.goal, kind=kind_of_form(visit))
        fields = await read_form(visit)
        if not from_here(visit, self._runtime.settings.public_url):
            return self._refuse(visit, 403, Reason.CROSS_SITE)
        found = await self._door.allowed(visit)
        if isinstance(found, Denial):
            return await self._turn_away(visit, found)
        given = only(fields, "token").encode()
        if not any(hmac.compare_digest(given, token.encode()) for token in self._token(found)):
            return self._refuse(visit, 403, Reason.CROSS_SITE)
        wish, who = only(fields, "end"), found.session.identity
        if wish == found.sid:
            # Signing out is more than that: the cookies go, and the provider hears of it.
            return self._answers.redirect(visit, 303, self._runtime.paths.sign_out)
        if wish == OTHERS:
            ended = await self._register.end_person(
                who.issuer, who.subject, visit.now, spared=found.session.id
            )
        else:
            ended = await self._end_one(visit, who, wish)
            if not ended:
                return self._refuse(visit, 404, Reason.NOT_FOUND)
        self._audit.ended_by_owner(visit, who, "" if wish == OTHERS else wish, ended)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.json(visit, 200, {"ended": ended})
        return self._answers.redirect(visit, 303, f"{self._runtime.paths.sessions}?{_DONE}")

    async def _end_one(self, visit: Visit, who: Identity, sid: str) -> int:
        """One, or none: somebody else's is as unknown as one that there never was."""
        if not sid:
            raise BadRequest(Reason.BAD_BODY, "end comes not once, or empty")
        card = await self._register.find(sid, visit.now)
        if card is None or (card.issuer, card.subject) != (who.issuer, who.subject):
            return 0
        await self._register.end_card(card, visit.now)
        return 1

    async def _turn_away(self, visit: Visit, denial: Denial) -> web.StreamResponse:
        paths = self._runtime.paths
        if denial.reason is not Reason.NO_SESSION:
            return refusal(visit, denial, "", self._answers)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 401, denial.reason)
        if visit.goal.method == "POST":
            return self._answers.redirect(visit, 303, paths.sessions)
        visit.carry(*self._runtime.jar.clear_broken(visit.pairs))
        return await self._sign_in.wanted(visit, paths.sessions)

    def _refuse(self, visit: Visit, status: int, reason: Reason) -> web.StreamResponse:
        return self._answers.refuse(visit, status, reason, retry_url=self._runtime.paths.sessions)

    def _token(self, opened: Opened) -> tuple[str, ...]:
        """What only a page for this very session can hold; the first is the newest secret's."""
        return self._pseudonyms.of(opened.session.id)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
