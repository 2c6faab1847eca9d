"""Looking into a sign-in: what the provider says of a person, and how that is judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.model import Identity, Kind
from proxy.oidc.attempt import Attempt
from proxy.rules.judged import Denial, Line
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import refusal
from proxy.web.findings import Findings
from proxy.web.forms import only
from proxy.web.own_page import Door, OwnPage
from proxy.web.providers import Providers
from proxy.web.redactor import redact
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.visit import Visit

_AS_JSON: Final = "format=json"


class SignIn(Protocol):
    """Where sign-ins begin: ``web.login``."""

    async def wanted(self, visit: Visit, return_to: str) -> web.StreamResponse: ...

    async def begin(
        self, visit: Visit, return_to: str, *, provider: str, debug: bool
    ) -> web.StreamResponse: ...


class Debug:
    """``{prefix}/debug``, behind ``debug.enabled`` and for people with one of ``debug.roles``.

    Everything raises BadRequest, NOT_FOUND where it is switched off, and StoreError.
    """

    def __init__(
        self,
        runtime: Runtime,
        providers: Providers,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        audit: Audit,
    ) -> None:
        self._runtime = runtime
        self._providers = providers
        self._door = door
        self._sign_in = sign_in
        self._answers = answers
        self._audit = audit
        self._settings = runtime.settings.debug
        path = runtime.paths.debug
        self._page = OwnPage(runtime, self, sign_in, answers, path, "debug-form")

    async def page(self, visit: Visit) -> web.StreamResponse:
        """GET shows a button for each provider; POST begins a sign-in that will be shown."""
        self._check_enabled()
        if visit.goal.method == "POST":
            return await self._begin(visit)
        found = await self._page.visitor(visit)
        if not isinstance(found, Opened):
            return found
        several = len(self._providers.all) > 1
        names = [
            (idp.name, idp.settings.label or (idp.name if several else ""))
            for idp in self._providers.all
        ]
        token = self._page.proof(found)
        if visit.kind is not Kind.NAVIGATION:
            known = [{"name": name, "label": label} for name, label in names]
            return self._answers.json(visit, 200, {"providers": known, "token": token})
        path = self._runtime.paths.debug
        return self._answers.page(visit, 200, "debug", debug_url=path, providers=names, token=token)

    async def shown(self, visit: Visit, attempt: Attempt, findings: Findings) -> web.StreamResponse:
        """The answer to the callback of such a sign-in: no session is begun, changed or ended.

        Whoever began it must still be signed in here, with the role.
        """
        self._check_enabled()
        found = await self.allowed(visit)
        if not isinstance(found, Opened):
            return self._refuse(visit, found)
        self._audit.debug_signed_in(
            visit, found.session.identity, findings.provider, findings.identity,
            str(findings.outcome.reason or findings.outcome.word),
        )  # fmt: skip
        document = findings.document()
        wishes = parse_qsl(attempt.return_to.partition("?")[2])
        if visit.kind is not Kind.NAVIGATION or _AS_JSON in map("=".join, wishes):
            return self._answers.json(visit, 200, document)
        return self._answers.page(
            visit, 200, "debug_result",
            found=document,
            rules=_tree(findings.lines),
            debug_url=self._runtime.paths.debug,
        )  # fmt: skip

    def _check_enabled(self) -> None:
        if not self._settings.enabled:
            raise BadRequest(Reason.NOT_FOUND, status=404)

    async def _begin(self, visit: Visit) -> web.StreamResponse:
        sent = await self._page.sent(visit)
        if not isinstance(sent, tuple):
            return sent
        (_, fields), path = sent, self._runtime.paths.debug
        return_to = f"{path}?{_AS_JSON}" if only(fields, "format") == "json" else path
        name = only(fields, "provider")
        return await self._sign_in.begin(visit, return_to, provider=name, debug=True)

    async def allowed(self, visit: Visit) -> Opened | Denial:
        """The session of somebody who may look; without a role of ``debug.roles`` nobody may."""
        found = await self._door.allowed(visit)
        if not isinstance(found, Opened) or self._has_role(found.session.identity):
            return found
        denial = Denial(Reason.ROLE_NOT_ALLOWED, "debug.roles")
        self._audit.denied(visit, denial, found.session.identity)
        return denial

    def _has_role(self, person: Identity) -> bool:
        return not {person.role, *person.roles}.isdisjoint(filter(None, self._settings.roles))

    def _refuse(self, visit: Visit, why: Denial) -> web.StreamResponse:
        if why.reason is not Reason.NO_SESSION:
            return refusal(visit, why, "", self._answers)
        # To a browser 401 would be JSON: a page that leads to the sign-in is of more use.
        status = 403 if visit.kind is Kind.NAVIGATION else 401
        path = self._runtime.paths.debug
        return self._answers.refuse(visit, status, Reason.NO_SESSION, retry_url=path)


Tree = list[Mapping[str, object]]


def _tree(lines: Iterable[Line]) -> Tree:
    """Each rule with those below it."""
    top: Tree = []
    levels: list[Tree] = [top]
    for line in lines:
        del levels[line.depth + 1 :]
        below: Tree = []
        levels[-1].append({"words": redact(line.words), "holds": line.holds, "below": below})
        levels.append(below)
    return top
