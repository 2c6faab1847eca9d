"""One line for each decision about a person: who, from where, what, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.judged import Denial
from proxy.session.device import Terminal
from proxy.session.tokens import Token
from proxy.web.log import Log, plain_path
from proxy.web.metrics import Metrics
from proxy.web.redactor import redact
from proxy.web.visit import Visit

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class Audit:
    """Writes login, denied, login_failed, logout, provider_logout, logout_failed, session_ended,
    token_made, token_revoked, terminal_signed_in and debug_sign_in lines, and counts them.

    ``claims`` names further claims of a person to write, such as idp_id (requirements R087).
    """

    def __init__(self, log: Log, metrics: Metrics, claims: tuple[str, ...] = ()) -> None:
        self._log = log
        self._metrics = metrics
        self._claims = claims

    def signed_in(self, visit: Visit, person: Identity) -> None:
        self._metrics.logged_in()
        self._write("login", visit, Reason.SIGNED_IN, person)

    def denied(self, visit: Visit, denial: Denial, person: Identity) -> None:
        """Refused by a rule, which the line names."""
        self._metrics.refuse(denial.reason)
        self._write("denied", visit, denial.reason, person, more={"rule": denial.rule})

    def signed_out(self, visit: Visit, person: Identity | None) -> None:
        self._metrics.logged_out()
        self._write("logout", visit, Reason.SIGNED_OUT, person)

    def signed_out_by_provider(
        self, visit: Visit, issuer: str, subject: str, sessions: int
    ) -> None:
        """The provider ended so many sessions of a person; ``subject`` if it said who it is."""
        self._metrics.logged_out(sessions)
        whose: dict[str, object] = {"iss": issuer, "sub": subject, "sessions": sessions}
        self._write("provider_logout", visit, Reason.SIGNED_OUT_BY_PROVIDER, None, more=whose)

    def ended_by_owner(self, visit: Visit, person: Identity, sid: str, sessions: int) -> None:
        """A person ended a session of theirs from afar; without ``sid``, all others."""
        self._metrics.logged_out(sessions)
        more: dict[str, object] = {"by": "self", "sessions": sessions}
        if sid:
            more["sid"] = sid
        self._write("session_ended", visit, Reason.SESSION_ENDED, person, more=more)

    def ended_by_admin(self, client: str, sessions: int, whose: Mapping[str, str]) -> None:
        """An administrator ended sessions; ``whose`` says which were meant."""
        self._metrics.logged_out(sessions)
        fields: dict[str, object] = {"reason": str(Reason.SESSION_ENDED), "client": client}
        fields |= {"by": "admin", "sessions": sessions}
        fields |= {name: redact(value)[:200] for name, value in whose.items()}
        self._log.audit("session_ended", fields)

    def token_made(self, visit: Visit, person: Identity, token: Token) -> None:
        """A person has made a token, or a terminal got one in their name."""
        more = {**_named(token), "expires_at": int(token.expires_at)}
        self._write("token_made", visit, Reason.TOKEN_MADE, person, more=more)

    def token_revoked(self, visit: Visit, person: Identity, token: Token) -> None:
        """A person has ended a token of theirs, and all of its family."""
        self._write("token_revoked", visit, Reason.TOKEN_REVOKED, person, more=_named(token))

    def terminal_signed_in(
        self, visit: Visit, person: Identity, token: Token, terminal: Terminal
    ) -> None:
        """A terminal has got its token; ``allowed_from`` is the address of the browser in which
        the person confirmed it."""
        more: dict[str, object] = {"token": token.id, "login": terminal.id}
        more |= {"program": terminal.program, "allowed_from": terminal.allowed_from}
        self._write("terminal_signed_in", visit, Reason.TERMINAL_SIGNED_IN, person, more=more)

    def debug_signed_in(
        self, visit: Visit, person: Identity, provider: str, shown: Identity | None, outcome: str
    ) -> None:
        """``person`` looked into a sign-in: whose it was, and what would have become of it."""
        more: dict[str, object] = {"provider": provider, "outcome": outcome}
        if shown is not None:
            more |= {"shown_iss": shown.issuer, "shown_sub": shown.subject}
        self._write("debug_sign_in", visit, Reason.SIGN_IN_SHOWN, person, more=more)

    def logout_refused(self, visit: Visit, reason: Reason, detail: str) -> None:
        """The provider, or somebody in its name, asked for a sign-out in vain."""
        self._metrics.refuse(reason)
        self._write("logout_failed", visit, reason, None, detail)

    def refused(self, visit: Visit, reason: Reason, detail: str) -> None:
        """A sign-in that failed before anybody was known."""
        self._metrics.refuse(reason)
        self._write("login_failed", visit, reason, None, detail)

    def note(self, message: str) -> None:
        """Something that explains what people may ask about later."""
        self._log.event("warning", message[:500])

    def _write(
        self,
        event: str,
        visit: Visit,
        reason: Reason,
        person: Identity | None,
        detail: str = "",
        more: Mapping[str, object] = _NOTHING,
    ) -> None:
        target = visit.target
        fields: dict[str, object] = {
            "reason": str(reason),
            "client": target.client if target else visit.peer,
            "request_id": visit.id,
        }
        if target:
            fields["path"] = plain_path(target.path)
        if person is not None:
            fields |= {"iss": person.issuer, "sub": person.subject, "email": person.email}
            for name in self._claims:
                value = person.claims.get(name)
                if isinstance(value, str | int) and name not in fields:
                    fields[name] = redact(str(value))[:100]
        fields |= more
        if detail:
            fields["detail"] = redact(detail)[:500]
        self._log.audit(event, fields)


def _named(token: Token) -> dict[str, object]:
    """What a line says of a token: its public name, never the token."""
    return {"token": token.id, "kind": token.kind, "name": redact(token.name)[:60]}
