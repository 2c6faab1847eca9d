"""A person signs a terminal in: types its code, sees which one it is, and decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from proxy.errors import BadRequest, Reason, TooMany
from proxy.model import Identity
from proxy.session.device import LIFE, State, Terminal, Terminals
from proxy.session.people import People
from proxy.web.answers import Answers
from proxy.web.forms import only
from proxy.web.limits import Failures
from proxy.web.own_page import Door, OwnPage, SignIn
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.visit import Visit

_WISHES: Final = {"allow": State.ALLOWED, "deny": State.DENIED}


class DevicePage:
    """``{prefix}/device``, for people with a session that the rules let in.

    No code is ever taken from the address, nor shown again. Who allows a terminal must have typed
    its code in the same session: the second form carries a proof of that.
    """

    def __init__(
        self,
        runtime: Runtime,
        people: People,
        terminals: Terminals,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        failures: Failures,
    ) -> None:
        self._runtime = runtime
        self._people = people
        self._terminals = terminals
        self._answers = answers
        self._failures = failures
        path = runtime.paths.device
        self._page = OwnPage(runtime, door, sign_in, answers, path, "device-form")

    async def page(self, visit: Visit) -> web.StreamResponse:
        """GET asks for the code; POST takes it, and after that the decision.

        Whoever is not signed in does so first, and comes back. Raises BadRequest, TooMany,
        StoreError.
        """
        if visit.goal.method == "POST":
            return await self._take(visit)
        found = await self._page.visitor(visit)
        if not isinstance(found, Opened):
            return found
        return self._answers.page(
            visit, 200, "device",
            account=_account(found.session.identity),
            device_url=self._runtime.paths.device,
            token=self._page.proof(found),
        )  # fmt: skip

    async def _take(self, visit: Visit) -> web.StreamResponse:
        sent = await self._page.sent(visit, about="login")
        if not isinstance(sent, tuple):
            return sent
        found, fields = sent
        name = only(fields, "login")
        if name:
            return await self._decide(visit, found, name, only(fields, "wish"))
        return await self._find(visit, found, only(fields, "code"))

    async def _find(self, visit: Visit, opened: Opened, typed: str) -> web.StreamResponse:
        """The terminal with that code, to be looked at."""
        who, address, now = opened.session.identity, visit.goal.client, visit.now
        wait = self._failures.allow(address, now)
        if wait:
            raise TooMany(wait)
        if not await self._terminals.try_code(who.issuer, who.subject, now):
            raise TooMany(LIFE, "too many wrong codes of one person")
        terminal = await self._terminals.of_code(typed, now)
        if terminal is None or not terminal.is_open(now):
            self._failures.failed(address, now)
            return self._gone(visit, terminal)
        await self._terminals.was_right(who.issuer, who.subject, now)
        return self._answers.page(
            visit, 200, "device_confirm",
            account=_account(who),
            program=terminal.program,
            address=terminal.place,
            is_elsewhere=terminal.address != address,
            begun=_iso(terminal.created_at),
            begun_ago=now - terminal.created_at,
            scopes=terminal.scopes,
            login=terminal.id,
            device_url=self._runtime.paths.device,
            token=self._page.proof(opened, terminal.id),
        )  # fmt: skip

    async def _decide(
        self, visit: Visit, opened: Opened, name: str, wish: str
    ) -> web.StreamResponse:
        state, who, now = _WISHES.get(wish), opened.session.identity, visit.now
        if state is None:
            raise BadRequest(Reason.BAD_BODY, "wish is neither allow nor deny")
        terminal = await self._terminals.get(name, now)
        if terminal is None or not terminal.is_open(now):
            return self._gone(visit, terminal)
        if state is State.ALLOWED:
            await self._remember(opened, now)
        address = visit.goal.client
        if not await self._terminals.decide(terminal, state, who.issuer, who.subject, address, now):
            return self._gone(visit, terminal)
        page = "device_allowed" if state is State.ALLOWED else "device_denied"
        return self._answers.page(visit, 200, page, account=_account(who))

    async def _remember(self, opened: Opened, now: float) -> None:
        """Tokens are judged by what was known at the last sign-in, which may have come before
        anybody remembered people, or before they were forgotten as somebody who may not come in
        any more: then it is known since then, and no longer than the session is good."""
        who, since = opened.session.identity, opened.session.created_at
        if await self._people.known(who.issuer, who.subject, now) is None:
            end = since + self._runtime.settings.tokens.identity_max_age
            await self._people.remember(who, since, min(end, opened.session.expires_at))

    def _gone(self, visit: Visit, terminal: Terminal | None) -> web.StreamResponse:
        """There is none, or none any more."""
        if terminal is None:
            return self._page.refuse(visit, 404, Reason.CODE_WRONG)
        return self._page.refuse(visit, 410, Reason.CODE_EXPIRED)


def _account(who: Identity) -> str:
    return who.email or who.user


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
