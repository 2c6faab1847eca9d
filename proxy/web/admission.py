"""Who the provider says it is, and whether they may come in: the same at sign-in and refresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from proxy.config.provider import Provider
from proxy.errors import LoginError, Reason
from proxy.model import Admission, Identity, Session
from proxy.oidc.person import Person, person
from proxy.oidc.told import Told
from proxy.rules.judged import Asked, Denial
from proxy.web.hooks import Hook
from proxy.web.provisioning import Provisioner
from proxy.web.runtime import Runtime

Event = Literal["sign_in", "refresh"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Judged:
    """What became of what the provider told: ``identity`` is whom the rules were asked about.

    ``hooked`` is what the hook answered, if it was asked. ``max_age`` in seconds limits the
    session; None does not.
    """

    person: Person
    identity: Identity
    denial: Denial | None = None
    hooked: Admission | None = None

    def end(self, runtime: Runtime, begun: float) -> float:
        """The absolute end of a session that began then. Raises LoginError for a claim about it
        that cannot be read."""
        end = runtime.session_end(self.identity, begun)
        limit = self.hooked.max_age if self.hooked else None
        return end if limit is None else min(end, begun + limit)

    def first_end(self, runtime: Runtime, now: float) -> float:
        """The same for one that begins. Raises LoginError for one that would be over already."""
        end = self.end(runtime, now)
        if end <= now:
            detail = "the provider's session is over already"
            raise LoginError(Reason.IDENTITY_INCOMPLETE, detail)
        return end


class Source(Protocol):
    """Who told: a provider, of which its resolved settings count here."""

    @property
    def settings(self) -> Provider: ...


class Admissions:
    """Claims → identity → rules → hook → rules again; provisioning comes last of all."""

    def __init__(
        self, runtime: Runtime, hook: Hook | None = None, provisioner: Provisioner | None = None
    ) -> None:
        self._runtime = runtime
        self._hook = hook
        self._provisioner = provisioner

    async def judge(self, provider: Source, told: Told, now: float, event: Event) -> Judged:
        """Raises LoginError for claims that make nobody, AccessDenied in a hook's words, and
        ProxyError(HOOK_FAILED)."""
        runtime, asked = self._runtime, Asked(now)
        found = person(told, provider.settings, runtime.roles, runtime.kept_claims)
        denial = runtime.at_sign_in.denied(found.identity, asked)
        if denial is not None or self._hook is None:
            return Judged(found, found.identity, denial)
        # Only whom the rules let in; and nothing that it says undoes them (requirements E5.6).
        hooked = await self._hook.admit(found.identity, found.claims, event)
        denial = runtime.at_sign_in.denied(hooked.identity, asked)
        return Judged(found, hooked.identity, denial, hooked)

    async def provisioned(self, session: Session, now: float, request_id: str = "") -> Session:
        """The session once the upstream knows the person, under the id that it gave them.

        Raises AccessDenied, ProxyError(PROVISIONING_FAILED).
        """
        if self._provisioner is None:
            return session
        user = await self._provisioner.admit(session, now, request_id)
        return replace(session, identity=replace(session.identity, user=user)) if user else session

    def known_as(self, identity: Identity, before: Identity) -> Identity:
        """``identity`` at a refresh, under the id that the upstream gave at the sign-in."""
        return replace(identity, user=before.user) if self._provisioner else identity
