"""THE decision table: route × session × rules × kind → verdict."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.access import Access
from proxy.errors import Reason
from proxy.model import Kind, Session, Target
from proxy.rules.judged import Asked, Denial, StepUp
from proxy.rules.routes import Route


@dataclass(frozen=True, slots=True)
class Forward:
    """To the upstream; with this session's identity, or expressly without any."""

    session: Session | None


@dataclass(frozen=True, slots=True)
class Login:
    """Send the browser to sign in."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Ask the provider again, then decide again: the one verdict that loops, once."""

    session: Session


@dataclass(frozen=True, slots=True)
class StrengthenLogin:
    """Send the browser to sign in once more, and better: nothing else is in the way."""

    step_up: StepUp
    denial: Denial


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 401 (NO_SESSION, or a ``denial`` with a step-up) or 403 (anything else)."""

    reason: Reason
    denial: Denial | None = None


Verdict = Forward | Login | Refresh | StrengthenLogin | Refuse


def alive(session: Session, now: float, idle_timeout: float) -> bool:
    """Neither past its absolute end nor idle for too long (0: no idle limit)."""
    if session.expires_at <= now:
        return False
    return not idle_timeout or now - session.seen_at < idle_timeout


def refresh_due(session: Session, now: float) -> bool:
    """Is it time to ask the provider again?"""
    return session.refresh_at is not None and session.refresh_at <= now


def decide(
    route: Route, session: Session | None, target: Target, now: float, *, passthrough: bool = False
) -> Verdict:
    """What happens to a request. ``session`` is alive or None, ``now`` is Unix seconds;
    ``passthrough`` says that it carries a bearer key which this route hands on.
    """
    if route.access is Access.PUBLIC:
        return Forward(None)
    if session is None:
        if passthrough or route.access is Access.OPTIONAL:
            return Forward(None)
        return Login() if _may_redirect(route, target) else Refuse(Reason.NO_SESSION)
    if refresh_due(session, now):
        return Refresh(session)
    denial = route.rules.denied(session.identity, Asked(now, target.method, target.client))
    if denial is None:
        return Forward(session)
    if denial.step_up is not None and _may_redirect(route, target):
        return StrengthenLogin(denial.step_up, denial)
    return Refuse(denial.reason, denial)


def _may_redirect(route: Route, target: Target) -> bool:
    return target.kind is Kind.NAVIGATION and not route.api


def passes_through(route: Route, authorization: str) -> bool:
    """Does ``Authorization`` carry a bearer key with a prefix that this route hands on?"""
    if not route.passthrough:
        return False
    scheme, _, key = authorization.partition(" ")
    return scheme.lower() == "bearer" and key.strip().startswith(route.passthrough)
