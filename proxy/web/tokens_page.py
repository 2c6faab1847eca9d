"""A person makes tokens for programs, sees when each was used, and revokes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from aiohttp import web

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.token import make
from proxy.errors import BadRequest, Reason
from proxy.model import Identity, Kind
from proxy.session.keeping import Keeping
from proxy.session.tokens import Token
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.forms import Fields, only
from proxy.web.own_page import Door, OwnPage, SignIn
from proxy.web.runtime import Runtime
from proxy.web.sessions import Opened
from proxy.web.token_form import LONGEST_NAME, Choices, Wish
from proxy.web.visit import Visit

_DONE: Final = "done"
_LARGEST: Final = 64 * 1024
_MOST_FIELDS: Final = 1100
"""As many as the groups that are kept of one person, and some more."""
_MISTAKES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": f"name: 1 to {LONGEST_NAME} printable characters",
        "expires": "expires: a duration such as 30d, no longer than tokens.max_lifetime",
        "groups": "groups: all, or chosen with a group of yours for each",
        "scopes": "scopes: all, or chosen with a scope of yours for each",
        "full": "you have as many tokens as one person may have: revoke one of them",
    }
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A token as its owner sees it; a terminal's with all that its sign-in left. Times as in
    HTML; ``…_ago`` and ``…_left`` in seconds, ``used`` is empty before the first use.
    """

    id: str
    kind: str
    name: str
    client: str
    groups: tuple[str, ...] | None
    scopes: tuple[str, ...]
    made: str
    made_ago: float
    used: str
    used_ago: float
    expires: str
    expires_left: float

    @classmethod
    def of(cls, family: list[Token], now: float) -> Shown:
        """``family`` has the one first that stands for it."""
        token = family[0]
        made = min(each.created_at for each in family)
        used = max(each.used_at for each in family)
        expires = max(each.expires_at for each in family)
        return cls(
            id=token.id,
            kind="personal" if token.kind == "personal" else "terminal",
            name=token.name,
            client=token.client,
            groups=token.groups,
            scopes=token.scopes,
            made=_iso(made),
            made_ago=now - made,
            used=_iso(used) if used else "",
            used_ago=now - used,
            expires=_iso(expires),
            expires_left=expires - now,
        )


@dataclass(frozen=True, slots=True)
class _Made:
    """A token that was made just now, to be shown this once."""

    token: Token
    secret: str


class TokensPage:
    """``{prefix}/tokens``: a page with forms for people, JSON for programs with their cookies."""

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        door: Door,
        sign_in: SignIn,
        answers: Answers,
        audit: Audit,
        random: Callable[[int], bytes],
    ) -> None:
        self._runtime = runtime
        self._settings = runtime.settings.tokens
        self._path = runtime.paths.tokens
        self._keeping = keeping
        self._page = OwnPage(runtime, door, sign_in, answers, self._path, "tokens-form")
        self._answers = answers
        self._audit = audit
        self._random = random
        self._pseudonyms = Pseudonyms(runtime.secrets, "tokens-form")

    async def tokens(self, visit: Visit) -> web.StreamResponse:
        """GET shows them; POST makes one and shows it this once, or revokes the one that
        ``revoke`` names and shows the rest.

        Whoever is not signed in is sent to sign in; a token is no way in here. Raises BadRequest,
        NOT_FOUND where there are no such tokens, and StoreError.
        """
        if not (self._settings.personal or self._settings.terminal):
            raise BadRequest(Reason.NOT_FOUND, status=404)
        if visit.goal.method == "POST":
            return await self._change(visit)
        found = await self._page.visitor(visit)
        return await self._show(visit, found) if isinstance(found, Opened) else found

    async def _change(self, visit: Visit) -> web.StreamResponse:
        sent = await self._page.sent(visit, largest=_LARGEST, most=_MOST_FIELDS)
        if not isinstance(sent, tuple):
            return sent
        found, fields = sent
        if wish := only(fields, "revoke"):
            return await self._revoke(visit, found, wish)
        if only(fields, "make"):
            return await self._make(visit, found, fields)
        raise BadRequest(Reason.BAD_BODY, "neither make nor revoke comes once")

    # Making

    async def _make(self, visit: Visit, opened: Opened, fields: Fields) -> web.StreamResponse:
        if not self._settings.personal:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        who = opened.session.identity
        wish = self._choices(who).read(fields)
        if not isinstance(wish, Wish):
            return await self._again(visit, opened, wish, only(fields, "name"))
        # Of two that are made at once, one may be too many.
        async with self._keeping.locks.hold(f"tokens:{self._pseudonyms.of(*_key(who))[0]}"):
            if await self._is_full(who, visit.now):
                return await self._again(visit, opened, "full", wish.name)
            made = await self._kept(wish, opened, visit.now)
        self._audit.token_made(visit, who, made.token)
        if visit.kind is not Kind.NAVIGATION:
            document = {**_described(made.token), "secret": made.secret}
            return self._answers.json(visit, 201, document)
        return await self._show(visit, opened, made=made)

    async def _kept(self, wish: Wish, opened: Opened, now: float) -> _Made:
        who, people = opened.session.identity, self._keeping.people
        if await people.known(who.issuer, who.subject, now) is None:
            # Signed in before anybody remembered people, or forgotten since then, as somebody who
            # may not come in any more: a token must not outlive the session that shows them.
            since, end = opened.session.created_at, opened.session.expires_at
            await people.remember(who, since, min(end, since + self._settings.identity_max_age))
        secret = make(self._settings.prefix, "p", self._random)
        token = Token(
            kind="personal",
            name=wish.name,
            issuer=who.issuer,
            subject=who.subject,
            created_at=now,
            expires_at=now + wish.lifetime,
            groups=wish.groups,
            scopes=wish.scopes,
        )
        return _Made(await self._keeping.tokens.create(secret, token, now), secret)

    async def _is_full(self, who: Identity, now: float) -> bool:
        known = await self._keeping.tokens.of_person(who.issuer, who.subject, now)
        count = sum(token.kind == "personal" for token in known)
        return count >= self._settings.max_per_person

    async def _again(
        self, visit: Visit, opened: Opened, mistake: str, name: str
    ) -> web.StreamResponse:
        if visit.kind is not Kind.NAVIGATION:
            words = _MISTAKES[mistake]
            return self._answers.refuse(visit, 400, Reason.BAD_BODY, remedy=words)
        visit.reason = Reason.BAD_BODY
        return await self._show(visit, opened, mistake=mistake, name=name)

    # Revoking

    async def _revoke(self, visit: Visit, opened: Opened, token_id: str) -> web.StreamResponse:
        """Somebody else's is as unknown as one that there never was."""
        who = opened.session.identity
        token = await self._keeping.tokens.get(token_id, visit.now)
        if token is None or token.kind == "service" or token.owner != _key(who):
            return self._page.refuse(visit, 404, Reason.NOT_FOUND)
        await self._keeping.revoke(token, visit.now)
        self._audit.token_revoked(visit, who, token)
        if visit.kind is not Kind.NAVIGATION:
            return self._answers.json(visit, 200, {"revoked": 1})
        return self._answers.redirect(visit, 303, f"{self._path}?{_DONE}")

    # Showing

    async def _show(
        self,
        visit: Visit,
        opened: Opened,
        *,
        made: _Made | None = None,
        mistake: str = "",
        name: str = "",
    ) -> web.StreamResponse:
        who, now = opened.session.identity, visit.now
        known = await self._keeping.tokens.of_person(who.issuer, who.subject, now)
        families, form_token = _families(known), self._page.proof(opened)
        if visit.kind is not Kind.NAVIGATION:
            tokens = [_described(family[0]) for family in families]
            return self._answers.json(visit, 200, {"tokens": tokens, "token": form_token})
        choices = self._choices(who)
        count = sum(token.kind == "personal" for token in known)
        is_done = visit.goal.query == _DONE and visit.header("Sec-Fetch-Site") == "same-origin"
        return self._answers.page(
            visit, 400 if mistake else 200, "tokens",
            email=who.email,
            tokens=[Shown.of(family, now) for family in families],
            tokens_url=self._path,
            token=form_token,
            choices=choices,
            can_make=self._settings.personal and count < self._settings.max_per_person,
            is_full=self._settings.personal and count >= self._settings.max_per_person,
            made=Shown.of([made.token], now) if made else None,
            secret=made.secret if made else "",
            is_done=is_done and made is None and not mistake,
            mistake=mistake,
            name=name,
        )  # fmt: skip

    def _choices(self, who: Identity) -> Choices:
        return Choices.of(who, self._settings, self._runtime.assertion.scope)


def _key(who: Identity) -> tuple[str, str]:
    return (who.issuer, who.subject)


def _families(tokens: Iterable[Token]) -> list[list[Token]]:
    """One list for each personal token and each sign-in of a terminal; the newest first."""
    found: dict[str, list[Token]] = {}
    for token in tokens:
        if token.kind == "service":
            continue
        family = found.setdefault(token.family or token.id, [])
        # What a terminal renews its token with is not what anybody knows it by.
        family.insert(len(family) if token.kind == "refresh" else 0, token)
    return sorted(found.values(), key=lambda family: -max(each.created_at for each in family))


def _described(token: Token) -> dict[str, object]:
    """For programs: all but what opens anything."""
    return {
        "id": token.id,
        "kind": "personal" if token.kind == "personal" else "terminal",
        "name": token.name,
        "client": token.client,
        "groups": list(token.groups) if token.groups is not None else None,
        "scopes": list(token.scopes) or None,
        "created_at": int(token.created_at),
        "last_used_at": int(token.used_at) or None,
        "expires_at": int(token.expires_at),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
