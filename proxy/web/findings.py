"""What a sign-in for debugging has found: every step as far as it came."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from proxy.config.provider import Provider
from proxy.errors import AccessDenied, LoginError, ProxyError
from proxy.model import Admission, Identity, Json
from proxy.oidc.person import Person, person
from proxy.oidc.told import Told
from proxy.rules.judged import Asked, Denial, Line
from proxy.rules.routes import Route, Routes
from proxy.web.admission import Judged
from proxy.web.outcome import Outcome, lines_document, page_of
from proxy.web.redactor import redact, redacted
from proxy.web.runtime import Runtime


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Findings:
    """One sign-in, shown instead of kept; what it did not come to is None.

    ``identity`` is whom the rules were asked about at last, ``denial`` what the global ones said,
    and ``lines`` each of them. ``hook`` is what the hook made of the person; ``error`` ended the
    sign-in, perhaps in the hook. ``routes`` are each route and what a browser gets there.
    """

    provider: str
    told: Told | None = None
    person: Person | None = None
    identity: Identity | None = None
    denial: Denial | None = None
    lines: tuple[Line, ...] = ()
    hook: Admission | None = None
    error: ProxyError | None = None
    routes: tuple[tuple[Route, Outcome], ...] = ()

    @classmethod
    def of(
        cls,
        provider: str,
        told: Told | None,
        judged: Judged | None,
        error: ProxyError | None,
        runtime: Runtime,
        asked: Asked,
    ) -> Findings:
        """``judged`` is None where an ``error`` came first: what there is before it is shown."""
        who = judged.person if judged else _person(provider, told, runtime)
        identity = judged.identity if judged else who.identity if who else None
        if identity is None:
            return cls(provider, told, error=error)
        return cls(
            provider=provider,
            told=told,
            person=who,
            identity=identity,
            denial=judged.denial if judged else runtime.at_sign_in.denied(identity, asked),
            lines=runtime.at_sign_in.explained(identity, asked),
            hook=judged.hooked if judged else None,
            error=error,
            # Whom an error kept out comes to no route.
            routes=_routes(runtime.routes, identity, asked) if error is None else (),
        )

    @property
    def outcome(self) -> Outcome:
        """Would this sign-in have begun a session?"""
        if self.error is None:
            return Outcome.denied(self.denial)
        words = self.error.message if isinstance(self.error, AccessDenied) else ""
        return Outcome("refused", self.error.reason, remedy=words)

    def document(self) -> dict[str, object]:
        """All of it as JSON, without tokens and secrets."""
        told, who = self.told, self.person
        userinfo = told.userinfo if told else None
        return {
            "provider": self.provider,
            "session_begun": False,
            "outcome": _clean(self.outcome.document()),
            "error": _error(self.error),
            "identity": _identity(self.identity),
            "role": {"why": redact(who.role_source)} if who else None,
            "groups": [
                {"source": source, "groups": redacted(groups)}
                for source, groups in (who.groups.items() if who else ())
            ],
            "rules": _clean(lines_document(self.lines)),
            "routes": [_route(route, outcome) for route, outcome in self.routes],
            "hook": self._hook_document(),
            "notes": [redact(note) for note in self._notes()],
            "id_token_claims": redacted(told.id_token) if told else None,
            "userinfo_claims": redacted(userinfo.claims) if userinfo else None,
            "access_token_claims": redacted(told.access_token) if told else None,
            "merged_claims": redacted(who.claims) if who else None,
        }

    def _hook_document(self) -> dict[str, object] | None:
        if self.hook is None or self.person is None:
            return None
        before, after = _identity(self.person.identity) or {}, _identity(self.hook.identity) or {}
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        return {"changed": changed, "max_age": self.hook.max_age}

    def _notes(self) -> Iterator[str]:
        if self.told is not None and self.told.userinfo is not None and self.told.userinfo.problem:
            yield f"userinfo said nothing: {self.told.userinfo.problem}"
        given = (
            *(self.told.notes if self.told else ()),
            *(self.person.notes if self.person else ()),
        )
        yield from dict.fromkeys(given)


def _person(provider: str, told: Told | None, runtime: Runtime) -> Person | None:
    settings = next((one for one in runtime.providers if one.name == provider), None)
    return person_of(told, settings, runtime) if told and settings else None


def person_of(told: Told, settings: Provider, runtime: Runtime) -> Person | None:
    """Whom the claims describe, if anybody; why not, somebody else says."""
    try:
        return person(told, settings, runtime.roles, runtime.kept_claims)
    except LoginError:
        return None


def _routes(routes: Routes, identity: Identity, asked: Asked) -> tuple[tuple[Route, Outcome], ...]:
    return tuple((route, page_of(route, identity, asked)) for route in all_routes(routes))


def all_routes(routes: Routes) -> Iterator[Route]:
    """In the order in which they are matched."""
    for group in (*routes.exact.values(), *routes.prefixes.values()):
        yield from group


def _identity(identity: Identity | None) -> dict[str, Json] | None:
    if identity is None:
        return None
    found = {field.name: getattr(identity, field.name) for field in fields(identity)}
    return {name: redacted(value) for name, value in found.items()}


def _route(route: Route, outcome: Outcome) -> dict[str, object]:
    methods = sorted(route.methods)
    return {
        "path": route.path,
        **({"methods": methods} if methods else {}),
        "access": str(route.access),
        **outcome.document(),
    }


def _error(error: ProxyError | None) -> dict[str, object] | None:
    if error is None:
        return None
    detail = error.message if isinstance(error, AccessDenied) else error.detail
    return {"reason": str(error.reason), "status": error.status, "detail": redact(detail)}


def _clean(value: Json) -> Json:
    return redacted(value)
