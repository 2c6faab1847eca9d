"""The sign-in of terminals: what programs ask (RFC 8628, RFC 7009, requirements R150 to R155)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.config.providers import installation
from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.errors import BadRequest, Reason, TooMany
from proxy.rules.limits import network
from proxy.session.device import INTERVAL, LIFE, Begun, State, Terminal, Terminals
from proxy.session.keeping import Keeping
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.device_page import DevicePage
from proxy.web.forms import Fields, only, read_form
from proxy.web.limits import Failures
from proxy.web.own_page import Door, SignIn
from proxy.web.runtime import Runtime
from proxy.web.terminal_tokens import (
    Choice,
    Claimed,
    Gone,
    Granted,
    NotTheirs,
    Refused,
    TerminalTokens,
)
from proxy.web.user_agent import read_browser
from proxy.web.visit import Visit

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_RENEWAL: Final = "refresh_token"
_SECRET: Final = "X-Poll-Secret"
_PROGRAM: Final = "terminal"
_MOST_PLACES: Final = 60

_ERRORS: Final[Mapping[str, str]] = {
    "authorization_pending": "nobody has confirmed it yet",
    "slow_down": "asked too soon: wait longer between two questions",
    "access_denied": "it was refused",
    "expired_token": "it took too long: begin anew",
    "invalid_grant": "unknown, used up or expired",
    "invalid_request": "the form cannot be understood",
    "invalid_scope": "no such scope can be had here",
    "unsupported_grant_type": "grant_type is none that is known here",
    "team_selection_required": "choose one of teams, and ask again with team_id",
    "team_not_allowed": "team_id is none of teams",
}


@dataclass(frozen=True, slots=True)
class Pending:
    """Nobody has decided yet. ``interval``: 0 for who asked in time, else the seconds to wait."""

    interval: int


class Device:
    """``{prefix}/device/…`` and ``{prefix}/cli/…``, behind ``tokens.terminal``.

    ``random``: n → n random bytes. Everything raises BadRequest, NOT_FOUND where it is switched
    off, TooMany for those who guess, and StoreError.
    """

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        audit: Audit,
        failures: Failures,
        random: Callable[[int], bytes],
    ) -> None:
        self._runtime = runtime
        self._answers = answers
        self._failures = failures
        purpose = f"terminal {installation(runtime.settings)}"
        self._terminals = Terminals(
            keeping.shelf,
            Sealer(runtime.secrets, purpose, random),
            Pseudonyms(runtime.secrets, purpose),
            random,
        )
        self._tokens = TerminalTokens(runtime, keeping, self._terminals, audit, random)
        self._page = DevicePage(
            runtime, keeping.people, self._terminals, door, sign_in, answers, failures
        )

    async def page(self, visit: Visit) -> web.StreamResponse:
        """Where a person types the code of a terminal, sees which one it is, and decides."""
        self._check_enabled()
        return await self._page.page(visit)

    # RFC 8628 and RFC 7009

    async def authorize(self, visit: Visit) -> web.StreamResponse:
        """A terminal begins (RFC 8628 section 3.1); whose client it is does not matter here."""
        self._check_enabled()
        fields = await _form(visit)
        if fields is None:
            return self._error(visit, "invalid_request")
        scopes = tuple(dict.fromkeys(only(fields, "scope").split()))
        if not set(scopes) <= set(self._tokens.scopes()):
            return self._error(visit, "invalid_scope")
        begun = await self._begin(visit, scopes)
        # Who knows it, and the public name in it, may ask for the token.
        document = {"device_code": f"{begun.terminal.id}.{begun.secret}", **self._told(begun)}
        return self._answers.json(visit, 200, document)

    async def token(self, visit: Visit) -> web.StreamResponse:
        """A terminal asks for its token (RFC 8628 section 3.4), or for a new one."""
        self._check_enabled()
        fields = await _form(visit)
        if fields is None:
            return self._error(visit, "invalid_request")
        grant = only(fields, "grant_type")
        if grant == _RENEWAL:
            return await self._renew(visit, only(fields, "refresh_token"))
        if grant != _GRANT:
            known = "unsupported_grant_type" if grant else "invalid_request"
            return self._error(visit, known)
        name, _, secret = only(fields, "device_code").partition(".")
        terminal = await self._terminals.of_secret(name, secret, visit.now)
        if terminal is None:
            self._failed(visit)
            return self._error(visit, "invalid_grant")
        return await self._answer(visit, terminal, only(fields, "team_id"))

    async def _answer(self, visit: Visit, terminal: Terminal, team: str) -> web.StreamResponse:
        found = await self._outcome(visit, terminal, team, renews=True)
        match found:
            case Granted():
                return self._granted(visit, found)
            case Choice():
                return self._error(visit, "team_selection_required", _teams(found.teams))
            case NotTheirs():
                return self._error(visit, "team_not_allowed")
            case Refused():
                return self._error(visit, "access_denied")
            case Gone():
                return self._error(visit, "expired_token")
            case Pending(interval=0):
                return self._error(visit, "authorization_pending")
            case Pending(interval=interval):
                return self._error(visit, "slow_down", {"interval": interval})

    async def _renew(self, visit: Visit, text: str) -> web.StreamResponse:
        granted = await self._tokens.renew(visit, text)
        if granted is None:
            self._failed(visit)
            return self._error(visit, "invalid_grant")
        return self._granted(visit, granted)

    async def revoke(self, visit: Visit) -> web.StreamResponse:
        """A terminal is signed out by its token (RFC 7009 section 2.1): 200 for an unknown one as
        well, since it is good for nothing."""
        self._check_enabled()
        fields = await _form(visit)
        if fields is None or not only(fields, "token"):
            return self._error(visit, "invalid_request")
        if not await self._tokens.revoke(visit, only(fields, "token")):
            self._failed(visit)
        return self._answers.json(visit, 200, {})

    def _granted(self, visit: Visit, granted: Granted) -> web.StreamResponse:
        scopes = granted.token.scopes or self._tokens.scopes(granted.person)
        document: dict[str, object] = {
            "access_token": granted.access,
            "token_type": "Bearer",
            "expires_in": int(granted.token.expires_at - visit.now),
            "scope": " ".join(scopes),
        }
        if granted.refresh:
            document["refresh_token"] = granted.refresh
        return self._answers.json(visit, 200, document)

    def _error(
        self, visit: Visit, error: str, more: Mapping[str, object] | None = None
    ) -> web.StreamResponse:
        """RFC 6749 section 5.2, RFC 8628 section 3.5."""
        document = {"error": error, "error_description": _ERRORS[error], **(more or {})}
        return self._answers.json(visit, 400, document)

    # The same for clients of LiteLLM's shape

    async def cli_start(self, visit: Visit) -> web.StreamResponse:
        """A terminal begins (R150)."""
        self._check_enabled()
        await _form(visit)  # whatever it sends
        begun = await self._begin(visit, ())
        document = {"login_id": begun.terminal.id, "poll_secret": begun.secret}
        return self._answers.json(visit, 200, {**document, **self._told(begun)})

    async def cli_poll(self, visit: Visit) -> web.StreamResponse:
        """A terminal asks for its token (R152); ``team_id`` in the query chooses a group (R153)."""
        self._check_enabled()
        name = visit.goal.path.removeprefix(self._runtime.paths.cli_poll)
        terminal = await self._terminals.of_secret(name, visit.header(_SECRET), visit.now)
        if terminal is None:
            self._failed(visit)
            raise BadRequest(Reason.NOT_FOUND, status=404)
        wishes = parse_qsl(visit.goal.query, keep_blank_values=True)
        found = await self._outcome(visit, terminal, only(wishes, "team_id"), renews=False)
        match found:
            case Granted():
                return self._key(visit, found)
            case Choice():
                known = {"user_id": found.person.user, **_teams(found.teams)}
                choice = {"status": "ready", "requires_team_selection": True, **known}
                return self._answers.json(visit, 200, choice)
            case NotTheirs():
                return self._answers.json(visit, 403, {"status": "team_not_allowed"})
            case Refused():
                return self._answers.json(visit, 200, {"status": "denied"})
            case Gone():
                return self._answers.json(visit, 410, {"status": "expired"})
            case Pending(interval=0):
                return self._answers.json(visit, 200, {"status": "pending"})
            case Pending(interval=interval):
                slower = {"status": "slow_down", "interval": interval}
                again = [("Retry-After", str(interval))]
                return self._answers.json(visit, 429, slower, again)

    def _key(self, visit: Visit, granted: Granted) -> web.StreamResponse:
        document = {
            "status": "ready",
            "key": granted.access,
            "user_id": granted.person.user,
            "team_id": granted.team or None,
            "expires_in": int(granted.token.expires_at - visit.now),
            **_teams(granted.teams),
        }
        return self._answers.json(visit, 200, document)

    # What both have in common

    async def _begin(self, visit: Visit, scopes: tuple[str, ...]) -> Begun:
        address = visit.goal.client
        if not await self._terminals.may_begin(network(address), visit.now):
            raise TooMany(_MOST_PLACES, "too many terminals wait for somebody to confirm them")
        program = str(read_browser(visit.header("User-Agent"))) or _PROGRAM
        return await self._terminals.begin(program, address, scopes, visit.now)

    def _told(self, begun: Begun) -> dict[str, object]:
        # No verification_uri_complete: a link with the code in it could be sent to a victim,
        # who would only have to press a button (requirements E3.5, RFC 8628 section 5.4).
        return {
            "user_code": begun.user_code,
            "verification_uri": self._runtime.public(self._runtime.paths.device),
            "expires_in": LIFE,
            "interval": INTERVAL,
        }

    async def _outcome(
        self, visit: Visit, terminal: Terminal, team: str, *, renews: bool
    ) -> Claimed | Pending:
        """What has become of it."""
        if terminal.state is State.DENIED:
            return Refused()
        if terminal.state is State.USED or visit.now >= terminal.expires_at:
            return Gone()
        if terminal.state is State.PENDING:
            return Pending(await self._terminals.hasty(terminal, visit.now))
        return await self._tokens.claim(visit, terminal, team, renews=renews)

    def _failed(self, visit: Visit) -> None:
        """Something unknown was shown: those who do so often must wait, and nobody beside them
        who knows what is right."""
        address, now = visit.goal.client, visit.now
        wait = self._failures.allow(address, now)
        self._failures.failed(address, now)
        if wait:
            raise TooMany(wait)

    def _check_enabled(self) -> None:
        if not self._runtime.settings.tokens.terminal:
            raise BadRequest(Reason.NOT_FOUND, status=404)


async def _form(visit: Visit) -> Fields | None:
    """The form in the body, none of which is needed; None for what is no form."""
    if visit.request.length == 0:
        return ()
    try:
        return await read_form(visit)
    except BadRequest as exc:
        if exc.status == 400 and exc.reason is Reason.BAD_BODY:
            return None
        raise


def _teams(teams: tuple[str, ...]) -> dict[str, object]:
    details = [{"team_id": team, "team_alias": None} for team in teams]
    return {"teams": list(teams), "team_details": details}
