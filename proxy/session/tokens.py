"""Tokens of our own on the shelf: found by their digest, listed by person, gone when revoked."""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.crypto.token import digest, public_id
from proxy.model import Identity
from proxy.session.codec import UNREADABLE, are_texts, describe, pack, read_identity, unpack
from proxy.session.shelf import Shelf

TokenKind = Literal["personal", "terminal", "service", "refresh"]
"""``refresh``: what a terminal renews its token with; no credential for anything else."""

_VERSION: Final = 1
_ID: Final = re.compile(r"tok_[0-9a-f]{16}")
_STEP: Final = 60.0
"""Seconds between two times that use is written down."""
_FAR: Final = 1e12
_TEXTS: Final = ("id", "kind", "name", "issuer", "subject", "client", "family")
_TIMES: Final = ("created_at", "expires_at", "used_at")


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token, which is all but the token. Times are Unix seconds.

    ``id`` is its public name, which ``TokenStore.create`` gives it. ``groups`` are those it is
    limited to, None for all of the person's; ``scopes`` likewise, empty for all. ``routes``: paths
    as in ``routes[].path``, empty for all. ``identity`` is a service's; a person's is asked for at
    each use. ``client`` says which terminal it was made for; ``family`` is a text that all tokens
    of one sign-in of a terminal share: they end together. ``used_at`` is 0 before the first use.
    """

    kind: TokenKind
    name: str
    issuer: str
    subject: str
    created_at: float
    expires_at: float
    id: str = ""
    groups: tuple[str, ...] | None = None
    scopes: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    identity: Identity | None = None
    used_at: float = 0.0
    client: str = ""
    family: str = ""

    @property
    def session_id(self) -> str:
        """Of the session that it stands for: by this, everybody is told of its end."""
        return f"token:{self.id}"

    @property
    def owner(self) -> tuple[str, str]:
        """Whose it is: issuer and subject."""
        return (self.issuer, self.subject)


@dataclass(frozen=True, slots=True)
class _Record:
    """A token as it lies on the shelf, found by the first digits of its digest."""

    token: Token
    digest: str


class TokenStore:
    """Keeps tokens: keys are digests and pseudonyms, values sealed. Everything raises StoreError.

    Who reads the shelf gets no token, since only digests are there, and no name, since all else is
    sealed or a pseudonym. Who writes to it cannot make a token either: no box of theirs opens.
    """

    def __init__(self, shelf: Shelf, sealer: Sealer, pseudonyms: Pseudonyms) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._pseudonyms = pseudonyms

    async def create(self, text: str, token: Token, now: float) -> Token:
        """Keep what is known of the token ``text``; returns it with its public id."""
        kept = replace(token, id=public_id(text))
        # The record comes first: whoever meets a name in a set without one takes the name out.
        box = self._seal(_Record(kept, digest(text)), now)
        await self._shelf.put(_key(kept.id), box, kept.expires_at)
        await self._shelf.add(self._sets(kept)[0], kept.id, kept.created_at, kept.expires_at)
        return kept

    async def find(self, text: str, now: float) -> Token | None:
        """What is known of the token ``text``, if it is good."""
        [(_, record, _)] = await self._read([public_id(text)], now)
        if record is None or not hmac.compare_digest(record.digest, digest(text)):
            return None
        return record.token

    async def get(self, token_id: str, now: float) -> Token | None:
        """The token with this public id, whatever text that is."""
        if not _ID.fullmatch(token_id):
            return None
        [(_, record, _)] = await self._read([token_id], now)
        return record.token if record is not None else None

    async def of_person(self, issuer: str, subject: str, now: float) -> list[Token]:
        """A person's tokens of every kind, the oldest first."""
        found = await self._of(self._person(issuer, subject), now)
        return [token for token in found if token.owner == (issuer, subject)]

    async def services(self, now: float) -> list[Token]:
        """All service tokens, the oldest first."""
        return [token for token in await self._of(_SERVICES, now) if token.kind == "service"]

    async def revoke(self, token: Token, now: float) -> None:
        """Leave nothing of it. ``Keeping.revoke`` tells the others as well."""
        await self._shelf.drop(_key(token.id))
        for name in self._sets(token):
            await self._shelf.remove(name, token.id)

    async def touch(self, token: Token, now: float) -> Token:
        """It is used: written down at most once a minute. Returns it with ``used_at`` as kept."""
        if now - token.used_at < _STEP:
            return token
        [box] = await self._shelf.get(_key(token.id))
        record = self._open(token.id, box, now) if box is not None else None
        if box is None or record is None or now - record.token.used_at < _STEP:
            return record.token if record is not None else token
        newer = replace(record, token=replace(record.token, used_at=now))
        # Nothing comes back that was revoked meanwhile.
        end = newer.token.expires_at
        if await self._shelf.swap(_key(token.id), box, self._seal(newer, now), end):
            names = self._sets(newer.token)
            if len(names) > 1:  # a new secret: once the old one is gone, only this name is known
                await self._shelf.add(names[0], token.id, newer.token.created_at, end)
        return newer.token

    async def _of(self, names: Iterable[str], now: float) -> list[Token]:
        """The tokens that the sets name; names without a record are taken out."""
        found: dict[str, Token] = {}
        for name in names:
            ids = [each for each in await self._shelf.members(name) if each not in found]
            gone = [each for each in ids if not _ID.fullmatch(each)]
            for token_id, record, is_there in await self._read(
                [each for each in ids if _ID.fullmatch(each)], now
            ):
                if record is not None:
                    found[token_id] = record.token
                elif not is_there:  # one that is sealed with a key we lack is somebody's still
                    gone.append(token_id)
            if gone:
                await self._shelf.remove(name, *gone)
        return sorted(found.values(), key=lambda token: (token.created_at, token.id))

    async def _read(self, ids: list[str], now: float) -> list[tuple[str, _Record | None, bool]]:
        """For each: the record, if it can be read; and whether anything is there."""
        boxes = await self._shelf.get(*map(_key, ids)) if ids else []
        return [
            (each, self._open(each, box, now) if box is not None else None, box is not None)
            for each, box in zip(ids, boxes, strict=True)
        ]

    def _seal(self, record: _Record, now: float) -> bytes:
        return self._sealer.seal(_dump(record), now).encode()

    def _open(self, token_id: str, box: bytes, now: float) -> _Record | None:
        # How long it is good for, the record says.
        data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf)
        document = unpack(data) if data is not None else None
        try:
            record = _load(document) if document is not None else None
        except UNREADABLE:
            return None
        # Boxes that somebody moved under another key are nothing.
        if record is None or record.token.id != token_id or record.token.expires_at <= now:
            return None
        return record

    def _sets(self, token: Token) -> tuple[str, ...]:
        return _SERVICES if token.kind == "service" else self._person(*token.owner)

    def _person(self, issuer: str, subject: str) -> tuple[str, ...]:
        names = self._pseudonyms.of("tokens", issuer, subject)
        return tuple(f"tokens:{name}" for name in names)


_SERVICES: Final = ("tokens:service",)


def _key(token_id: str) -> str:
    return f"token:{token_id}"


def _dump(record: _Record) -> bytes:
    token = record.token
    return pack(
        {
            "v": _VERSION,
            "digest": record.digest,
            **{name: getattr(token, name) for name in (*_TEXTS, *_TIMES)},
            "groups": token.groups,
            "scopes": token.scopes,
            "routes": token.routes,
            "who": describe(token.identity) if token.identity is not None else None,
        }
    )


def _load(document: dict[str, Any]) -> _Record | None:
    """What ``_dump`` wrote. Anything else is None, or raises what ``UNREADABLE`` lists."""
    texts = {name: document[name] for name in _TEXTS}
    times = {name: document[name] for name in _TIMES}
    groups, who = document["groups"], document["who"]
    identity = read_identity(who) if who is not None else None
    is_good = (
        document["v"] == _VERSION
        and are_texts([*texts.values(), document["digest"]])
        and texts["kind"] in get_args(TokenKind)
        and all(type(time) in (int, float) and 0 <= time < _FAR for time in times.values())
        and all(map(are_texts, (groups or [], document["scopes"], document["routes"])))
        # A service is whom its token says, a person is asked for: never the other way round.
        and (identity is not None) == (texts["kind"] == "service")
    )
    if not is_good:
        return None
    token = Token(
        **texts,
        **times,
        groups=tuple(groups) if groups is not None else None,
        scopes=tuple(document["scopes"]),
        routes=tuple(document["routes"]),
        identity=identity,
    )
    return _Record(token, document["digest"])
