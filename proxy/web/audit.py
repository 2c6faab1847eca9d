"""One line for each decision about a person: who, from where, what, and why."""

from __future__ import annotations

from proxy.errors import Reason
from proxy.model import Identity
from proxy.web.log import Log, plain_path, redact
from proxy.web.metrics import Metrics
from proxy.web.visit import Visit


class Audit:
    """Writes login, denied, login_failed and logout lines, and counts them.

    ``claims`` names further claims of a person to write, such as idp_id (requirements R087).
    """

    def __init__(self, log: Log, metrics: Metrics, claims: tuple[str, ...] = ()) -> None:
        self._log = log
        self._metrics = metrics
        self._claims = claims

    def signed_in(self, visit: Visit, person: Identity) -> None:
        self._metrics.logged_in()
        self._write("login", visit, Reason.SIGNED_IN, person)

    def denied(self, visit: Visit, reason: Reason, person: Identity) -> None:
        self._metrics.refuse(reason)
        self._write("denied", visit, reason, person)

    def signed_out(self, visit: Visit, person: Identity | None) -> None:
        self._metrics.logged_out()
        self._write("logout", visit, Reason.SIGNED_OUT, person)

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
        if detail:
            fields["detail"] = redact(detail)[:500]
        self._log.audit(event, fields)
