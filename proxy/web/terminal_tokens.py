"""A terminal's tokens: made once a person has allowed it, renewed, and given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from proxy.config.providers import installation
from proxy.crypto.seal import Sealer
from proxy.crypto.token import kind_of, make
from proxy.errors import Reason
from proxy.model import Identity
from proxy.rules.judged import Asked, Denial
from proxy.session.device import Terminal, Terminals
from proxy.session.keeping import Keeping
from proxy.session.spent import Family, Spent
from proxy.session.tokens import Token
from proxy.web.audit import Audit
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit

_MOST_TEAMS: Final = 200
_NO_TEAM: Final = Denial(Reason.GROUP_NOT_ALLOWED, "tokens.select_from")


@dataclass(frozen=True, slots=True)
class Granted:
    """What a terminal gets; ``refresh`` is empty where it cannot renew. ``teams`` were there to
    choose from, and ``team`` was chosen, or is empty."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    token: Token
    person: Identity
    teams: tuple[str, ...] = ()
    team: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The person is in several groups, and the token shall have one. Nothing was made yet."""

    person: Identity
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotTheirs:
    """The group that was chosen is none of those to choose from. Nothing was made yet."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Somebody has got the token already, or it is too late."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The person said no, or the rules say so of the person."""


Claimed = Granted | Choice | NotTheirs | Gone | Refused


class TerminalTokens:
    """Makes them through ``keeping.tokens``. ``random``: n → n random bytes. Everything raises
    StoreError."""

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        terminals: Terminals,
        audit: Audit,
        random: Callable[[int], bytes],
    ) -> None:
        self._runtime = runtime
        self._settings = runtime.settings.tokens
        self._keeping = keeping
        self._terminals = terminals
        self._audit = audit
        self._random = random
        purpose = f"terminal-spent {installation(runtime.settings)}"
        self._spent = Spent(keeping.shelf, Sealer(runtime.secrets, purpose, random))

    def scopes(self, person: Identity | None = None) -> tuple[str, ...]:
        """Those that a token may be limited to, for a person or for all."""
        own = person.scope if person is not None else ""
        return tuple(self._settings.scopes or (own or self._runtime.assertion.scope).split())

    async def claim(self, visit: Visit, terminal: Terminal, team: str, *, renews: bool) -> Claimed:
        """The tokens of a terminal that was allowed, once and never again; with ``renews`` also
        one to renew them."""
        now = visit.now
        person = await self._person(terminal.issuer, terminal.subject, now)
        if person is None:  # they must sign in again
            return Refused()
        teams = self._teams(visit, person)
        denial = self._denial(visit, person)
        if denial is None and self._settings.select_from and person.groups and not teams:
            denial = _NO_TEAM
        if denial is not None:
            self._audit.denied(visit, denial, person)
            return Refused()
        if team and team not in teams:
            return NotTheirs()
        if len(teams) > 1 and not team:
            return Choice(person, teams)
        # First: of two who ask at once, one finds it gone. Should we fail now, nobody has it.
        if not await self._terminals.claim(terminal, now):
            return Gone()
        team = team or next(iter(teams), "")
        end = now + (self._settings.terminal_refresh if renews else 0)
        first = _first(terminal, team, now, end)
        if self._settings.select_from and not team:
            first = replace(first, groups=())  # none to choose from: those that come are not all
        granted = await self._make(first, person, now)
        self._audit.terminal_signed_in(visit, person, granted.token, terminal)
        return replace(granted, teams=teams, team=team)

    async def renew(self, visit: Visit, text: str) -> Granted | None:
        """New ones for a refresh token, which dies of it; None for one that is not good.

        One that comes for the second time ends all that came of the same sign-in.
        """
        now, tokens = visit.now, self._keeping.tokens
        if kind_of(text, self._settings.prefix) != "r":
            return None
        token = await tokens.find(text, now)
        if token is None or token.kind != "refresh":
            await self._was_spent(visit, text)
            return None
        person = await self._person(token.issuer, token.subject, now)
        if person is None:
            return None
        denial = self._denial(visit, _narrowed(person, token.groups))
        if denial is not None:
            self._audit.denied(visit, denial, person)
            return None
        family = Family(token.issuer, token.subject, token.family)
        before = await self._of(family, now)
        if not await self._spent.spend(text, token, now):
            await self._was_spent(visit, text)
            return None
        granted = await self._make(replace(token, used_at=now), person, now)
        if await tokens.find(text, now) is None:
            # Whoever revoked it meanwhile may not have seen what has just been made.
            await self._end(family, now)
            return None
        for old in before:
            await self._keeping.register.end_token(old, now)
            await tokens.revoke(old, now)
        return granted

    async def revoke(self, visit: Visit, text: str) -> bool:
        """End all that came of one sign-in, by any token of it; False for an unknown one."""
        kind = kind_of(text, self._settings.prefix)
        if kind not in ("t", "r"):
            return False
        token = await self._keeping.tokens.find(text, visit.now)
        if token is None:
            return await self._was_spent(visit, text)
        await self._keeping.revoke(token, visit.now)
        person = await self._person(token.issuer, token.subject, visit.now)
        nameless = Identity(token.issuer, token.subject, "")
        self._audit.token_revoked(visit, person or nameless, token)
        return True

    async def _make(self, refresh: Token, person: Identity, now: float) -> Granted:
        """A token like ``refresh``, and its successor where one can be used."""
        prefix, tokens, text = self._settings.prefix, self._keeping.tokens, ""
        access = make(prefix, "t", self._random)
        life = replace(
            refresh, kind="terminal", created_at=now, expires_at=now + self._settings.terminal_ttl
        )
        token = await tokens.create(access, life, now)
        if refresh.expires_at > now:
            text = make(prefix, "r", self._random)
            await tokens.create(text, refresh, now)
        return Granted(access, text, token, person)

    async def _was_spent(self, visit: Visit, text: str) -> bool:
        """Two have had the same refresh token, if this one was used up: neither shall go on."""
        family = await self._spent.family(text, visit.now)
        if family is None:
            return False
        await self._end(family, visit.now)
        self._audit.refused(
            visit, Reason.TOKEN_INVALID,
            f"a refresh token came again: the terminal of {family.subject!r} is signed out",
        )  # fmt: skip
        return True

    async def _end(self, family: Family, now: float) -> None:
        """Until nothing is left: one that is renewed right now may bring more."""
        while found := await self._of(family, now):
            for token in found:
                await self._keeping.register.end_token(token, now)
                await self._keeping.tokens.revoke(token, now)

    async def _of(self, family: Family, now: float) -> list[Token]:
        found = await self._keeping.tokens.of_person(family.issuer, family.subject, now)
        return [token for token in found if token.family == family.name]

    async def _person(self, issuer: str, subject: str, now: float) -> Identity | None:
        """Who that is, as of their last sign-in, unless that is too long ago."""
        known = await self._keeping.people.known(issuer, subject, now)
        if known is None or known[1] + self._settings.identity_max_age <= now:
            return None
        return known[0] if self._runtime.vouched_for(known[0]) else None

    def _denial(self, visit: Visit, person: Identity) -> Denial | None:
        # How it is asked for says nothing about how the token will be used.
        return self._runtime.access.denied(person, Asked(visit.now, "GET", visit.goal.client))

    def _teams(self, visit: Visit, person: Identity) -> tuple[str, ...]:
        """The groups to choose from: those with which alone the person would still be let in."""
        if not self._settings.select_from:
            return ()
        groups = person.groups[:_MOST_TEAMS]
        return tuple(g for g in groups if self._denial(visit, _narrowed(person, (g,))) is None)


def _first(terminal: Terminal, team: str, now: float, end: float) -> Token:
    """What the first refresh token of a terminal is; none is given where ``end`` is now."""
    return Token(
        kind="refresh",
        name=terminal.program,
        issuer=terminal.issuer,
        subject=terminal.subject,
        created_at=now,
        expires_at=end,
        groups=(team,) if team else None,
        scopes=terminal.scopes,
        client=", ".join(filter(None, (terminal.program, terminal.place))),
        family=terminal.id,
    )


def _narrowed(person: Identity, groups: tuple[str, ...] | None) -> Identity:
    """The person with no more than these groups; None takes nothing away."""
    if groups is None:
        return person
    kept = tuple(group for group in person.groups if group in groups)
    return replace(
        person, groups=kept, groups_partial=person.groups_partial or kept != person.groups
    )
