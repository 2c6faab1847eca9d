"""A person sees where they are signed in, and ends what should be over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.model import Identity, Kind
from proxy.rules.target import UNIX_PEER
from proxy.session.cards import Card
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.forms import only
from proxy.web.own_page import Door, OwnPage, SignIn
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
        self._path = runtime.paths.sessions
        self._sign_out = runtime.paths.sign_out
        self._register = register
        self._answers = answers
        self._audit = audit
        self._page = OwnPage(runtime, door, sign_in, answers, self._path, "sessions-form")

    async def sessions(self, visit: Visit) -> web.StreamResponse:
        """GET shows them; POST ends the one that ``end`` names, or ``others``, and shows the rest.

        Whoever is not signed in is sent to sign in. Raises BadRequest, StoreError.
        """
        if visit.goal.method == "POST":
            return await self._end(visit)
        found = await self._page.visitor(visit)
        if not isinstance(found, Opened):
            return found
        cards = await self._cards(visit, found)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.json(visit, 200, self._document(visit, found, cards))
        return self._answers.page(
            visit, 200, "sessions",
            email=found.session.identity.email,
            sessions=[Shown.of(card, found.sid, visit.now) for card in cards[:_MOST]],
            has_more=len(cards) > _MOST,
            is_done=visit.goal.query == _DONE and visit.header("Sec-Fetch-Site") == "same-origin",
            sessions_url=self._path,
            token=self._page.proof(found),
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
        token = self._page.proof(opened)
        return {"sessions": sessions, "more": len(cards) > _MOST, "token": token}

    async def _end(self, visit: Visit) -> web.StreamResponse:
        sent = await self._page.sent(visit)
        if not isinstance(sent, tuple):
            return sent
        found, fields = sent
        wish, who = only(fields, "end"), found.session.identity
        if wish == found.sid:
            # Signing out is more than that: the cookies go, and the provider hears of it.
            return self._answers.redirect(visit, 303, self._sign_out)
        if wish == OTHERS:
            ended = await self._register.end_person(
                who.issuer, who.subject, visit.now, spared=found.session.id
            )
        else:
            ended = await self._end_one(visit, who, wish)
            if not ended:
                return self._page.refuse(visit, 404, Reason.NOT_FOUND)
        self._audit.ended_by_owner(visit, who, "" if wish == OTHERS else wish, ended)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.json(visit, 200, {"ended": ended})
        return self._answers.redirect(visit, 303, f"{self._path}?{_DONE}")

    async def _end_one(self, visit: Visit, who: Identity, sid: str) -> int:
        """One, or none: somebody else's is as unknown as one that there never was."""
        if not sid:
            raise BadRequest(Reason.BAD_BODY, "end comes not once, or empty")
        card = await self._register.find(sid, visit.now)
        if card is None or (card.issuer, card.subject) != (who.issuer, who.subject):
            return 0
        await self._register.end_card(card, visit.now)
        return 1


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
