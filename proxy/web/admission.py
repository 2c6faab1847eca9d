"""Who the provider says it is, and whether they may come in: the same at sign-in and refresh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from proxy.config.provider import Provider
from proxy.errors import AccessDenied, LoginError, Reason
from proxy.model import Admission, Identity, Session
from proxy.oidc.person import Person, person
from proxy.oidc.told import Told
from proxy.rules.judged import Asked, Denial
from proxy.session.people import People
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
        self,
        runtime: Runtime,
        hook: Hook | None = None,
        provisioner: Provisioner | None = None,
        people: People | None = None,
    ) -> None:
        self._runtime = runtime
        self._hook = hook
        self._provisioner = provisioner
        self._people = people

    async def judge(
        self,
        provider: Source,
        told: Told,
        now: float,
        event: Event,
        before: Identity | None = None,
        *,
        by_token: bool = False,
    ) -> Judged:
        """``before``: whom the session is of, at a refresh. ``by_token``: a bearer token tells it,
        which says nothing about others of the same person. Raises LoginError for claims that make
        nobody, AccessDenied in a hook's words or for whom it cannot be asked about any more, and
        ProxyError(HOOK_FAILED)."""
        runtime, asked = self._runtime, Asked(now)
        found = person(told, provider.settings, runtime.roles, runtime.kept_claims)
        if before is not None:
            found = replace(found, identity=_proven(found.identity, before))
        denial = runtime.at_sign_in.denied(found.identity, asked)
        if self._hook is None:
            return Judged(found, found.identity, denial)
        if denial is not None:
            if event == "refresh":
                # The rules may change their mind, and nobody would have asked the hook.
                raise AccessDenied("", denial.reason)
            return Judged(found, found.identity, denial)
        # Only whom the rules let in; and nothing that it says undoes them (requirements E5.6).
        try:
            hooked = await self._hook.admit(found.identity, found.claims, event)
        except AccessDenied:
            if not by_token:
                await self.forget(found.identity)
            raise
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

    async def remember(self, identity: Identity, now: float) -> None:
        """Their tokens are judged by this from now on. Raises StoreError."""
        if self._people is not None:
            until = now + self._runtime.settings.tokens.identity_max_age
            await self._people.remember(identity, now, until)

    async def forget(self, identity: Identity) -> None:
        """They may not come in any more, and so may none of their tokens. Raises StoreError."""
        if self._people is not None:
            await self._people.forget(identity.issuer, identity.subject)

    def known_as(self, identity: Identity, before: Identity) -> Identity:
        """``identity`` at a refresh, under the id that the upstream gave at the sign-in."""
        return replace(identity, user=before.user) if self._provisioner else identity


def _proven(found: Identity, before: Identity) -> Identity:
    """At a refresh, an answer without these does not take back what the sign-in proved."""
    return replace(
        found,
        acr=found.acr or before.acr,
        amr=found.amr or before.amr,
        auth_time=found.auth_time or before.auth_time,
    )
