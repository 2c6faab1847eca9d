"""What the demo's provider remembers: sign-ins, codes, tokens. In memory, gone at restart."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from proxy.demo.people import User

T = TypeVar("T")

SIGN_IN_LIFE = 12 * 3600.0
FORM_LIFE = 600.0
_MOST = 10_000
"""Entries kept of each kind, so that nobody fills the memory; the oldest go first."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A person signed in at the provider, in one browser: why a second login is silent."""

    sid: str
    user: User
    auth_time: float


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A checked authorization request (OpenID Connect Core section 3.1.2.1)."""

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: float | None = None
    login_hint: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a person's sign-in gave one client; its tokens live and die with it."""

    id: str
    request: AuthorizationRequest
    sign_in: SignIn


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    value: T
    expires_at: float


class Shelf(Generic[T]):
    """Values behind unguessable keys (256 bits), each with a life in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry[T]] = {}

    def add(self, value: T, life: float) -> str:
        """Keep ``value`` for ``life`` seconds and return its new key."""
        while len(self._entries) >= _MOST:
            del self._entries[next(iter(self._entries))]
        key = secrets.token_urlsafe(32)
        self._entries[key] = _Entry(value, self._clock() + life)
        return key

    def get(self, key: str) -> T | None:
        """The value, or None when the key is unknown or its time is over."""
        entry = self._entries.get(key)
        return entry.value if entry and entry.expires_at > self._clock() else None

    def take(self, key: str) -> T | None:
        """As ``get``, and the key is worthless afterwards."""
        value = self.get(key)
        self._entries.pop(key, None)
        return value

    def drop(self, condition: Callable[[T], bool]) -> None:
        """Forget every value for which ``condition`` holds."""
        for key in [k for k, entry in self._entries.items() if condition(entry.value)]:
            del self._entries[key]


class Grants:
    """All that is remembered, and the one rule that spans it: a replay ends the whole grant."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.forms: Shelf[AuthorizationRequest] = Shelf(clock)
        self.sign_ins: Shelf[SignIn] = Shelf(clock)
        self.codes: Shelf[Grant] = Shelf(clock)
        self.access_tokens: Shelf[Grant] = Shelf(clock)
        self.refresh_tokens: Shelf[Grant] = Shelf(clock)
        self._spent_keys: dict[str, str] = {}

    def spend(self, shelf: Shelf[Grant], key: str) -> Grant | None:
        """Take a code or refresh token; a second use revokes what the first one gave.

        RFC 6749 section 4.1.2 for codes, RFC 9700 section 4.14.2 for refresh tokens.
        """
        if (grant_id := self._spent_keys.get(key)) is not None:
            self.revoke(grant_id)
            return None
        grant = shelf.take(key)
        if grant is not None:
            while len(self._spent_keys) >= _MOST:
                del self._spent_keys[next(iter(self._spent_keys))]
            self._spent_keys[key] = grant.id
        return grant

    def revoke(self, grant_id: str) -> None:
        """End every token of one grant."""
        for shelf in (self.codes, self.access_tokens, self.refresh_tokens):
            shelf.drop(lambda grant: grant.id == grant_id)

    def end(self, sid: str) -> None:
        """End a sign-in at the provider; what it already gave lives on until it expires."""
        self.sign_ins.drop(lambda sign_in: sign_in.sid == sid)
