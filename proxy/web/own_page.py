"""What our pages share on which people act: who may, whether a form is theirs, the way back."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import Reason
from proxy.model import Kind
from proxy.rules.judged import Denial
from proxy.web.answers import Answers
from proxy.web.auth import refusal
from proxy.web.forms import LARGEST, MOST_FIELDS, Fields, from_here, kind_of_form, only, read_form
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.visit import Visit


class Door(Protocol):
    """Who may come in: ``web.auth``."""

    async def allowed(self, visit: Visit) -> Opened | Denial: ...


class SignIn(Protocol):
    """Where to send whoever is not signed in: ``web.login``."""

    async def wanted(self, visit: Visit, return_to: str) -> web.StreamResponse: ...


class OwnPage:
    """One of them, at ``path``. ``purpose`` keeps its forms apart from those of others."""

    def __init__(
        self,
        runtime: Runtime,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        path: str,
        purpose: str,
    ) -> None:
        self._runtime = runtime
        self._door = door
        self._sign_in = sign_in
        self._answers = answers
        self._path = path
        self._pseudonyms = Pseudonyms(runtime.secrets, purpose)

    async def visitor(self, visit: Visit) -> Opened | web.StreamResponse:
        """Whoever may see it, or what to answer instead. Raises BadRequest, StoreError."""
        found = await self._door.allowed(visit)
        return found if isinstance(found, Opened) else await self._turn_away(visit, found)

    async def sent(
        self, visit: Visit, about: str = "", largest: int = LARGEST, most: int = MOST_FIELDS
    ) -> tuple[Opened, Fields] | web.StreamResponse:
        """Whose form it is and what it says, or what to answer instead.

        ``about`` is the field that names what the form's proof is about, beyond the session.
        Raises BadRequest, StoreError.
        """
        # What a form of ours sends is answered with pages, here and in case of trouble.
        visit.target = replace(visit.goal, kind=kind_of_form(visit))
        fields = await read_form(visit, largest=largest, most=most)
        if not from_here(visit, self._runtime.settings.public_url):
            return self.refuse(visit, 403, Reason.CROSS_SITE)
        found = await self.visitor(visit)
        if not isinstance(found, Opened):
            return found
        given = only(fields, "token").encode()
        known = self._proofs(found, only(fields, about) if about else "")
        if not any(hmac.compare_digest(given, proof.encode()) for proof in known):
            return self.refuse(visit, 403, Reason.CROSS_SITE)
        return found, fields

    def proof(self, opened: Opened, about: str = "") -> str:
        """What only a page for this very session can hold, for the field ``token``."""
        return self._proofs(opened, about)[0]

    def refuse(self, visit: Visit, status: int, reason: Reason) -> web.StreamResponse:
        """With the way back to the page."""
        return self._answers.refuse(visit, status, reason, retry_url=self._path)

    def _proofs(self, opened: Opened, about: str) -> tuple[str, ...]:
        """One for each secret; the first is the newest's."""
        return self._pseudonyms.of(opened.session.id, *filter(None, [about]))

    async def _turn_away(self, visit: Visit, denial: Denial) -> web.StreamResponse:
        if denial.reason is not Reason.NO_SESSION:
            return refusal(visit, denial, "", self._answers)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.refuse(visit, 401, denial.reason)
        if visit.goal.method == "POST":
            return self._answers.redirect(visit, 303, self._path)
        visit.carry(*self._runtime.jar.clear_broken(visit.pairs))
        return await self._sign_in.wanted(visit, self._path)
