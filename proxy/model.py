"""The nouns: frozen values that every room shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final, Literal

Json = object
"""A value as ``json.loads`` returns it; narrow with ``isinstance`` before use."""

MOST_GROUPS: Final = 1000
"""Groups of a person that are kept. Of one who has as many, nobody knows which they are not in."""

UNREADABLE_CLAIM: Final[Mapping[str, Json]] = MappingProxyType({"": "unreadable"})
"""Stands for a claim that is there, and that nobody should read."""


class Kind(Enum):
    """What the client can do with an answer."""

    NAVIGATION = "navigation"
    """A browser that shows a page: may be redirected to sign in."""
    PROGRAM = "program"
    """Anything else: gets a status and JSON, never a redirect to a page."""
    WEBSOCKET = "websocket"
    """A WebSocket handshake (RFC 6455 section 4.1)."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for, read once; the same value is matched, judged, logged and sent.

    ``raw_path`` and ``query`` are the client's own bytes as ASCII text (``query`` without the
    ``?``, empty when absent); ``path`` is ``raw_path`` percent-decoded exactly once.
    ``scheme`` and ``host`` are what the client used, through trusted proxies only.
    """

    method: str
    scheme: str
    host: str
    path: str
    raw_path: str
    query: str
    kind: Kind
    client: str

    @property
    def raw(self) -> str:
        """Path and query as the client wrote them."""
        return f"{self.raw_path}?{self.query}" if self.query else self.raw_path

    @property
    def secure(self) -> bool:
        return self.scheme == "https"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person, as the provider's verified claims describe them.

    ``issuer`` and ``subject`` together are the key (OpenID Connect Core section 5.7).
    ``email`` is lower-case and has exactly one ``@``, or is empty. ``email_verified`` is
    ``None`` when the provider does not say. ``groups_partial``: there may be groups, or roles,
    that were not told, or could not be kept. ``claims`` holds the further claims that the
    configuration asked to keep. ``provider`` is the name of the one that said all this. ``roles``
    are in order of privilege, and ``role`` is the first of them; it is empty where several came
    and nothing puts them in order. ``scope`` is that of the identity
    JWT where a hook has set one, empty for ``identity.scope``.
    """

    issuer: str
    subject: str
    user: str
    email: str = ""
    email_verified: bool | None = None
    name: str = ""
    preferred_username: str = ""
    groups: tuple[str, ...] = ()
    groups_partial: bool = False
    acr: str = ""
    amr: tuple[str, ...] = ()
    auth_time: int | None = None
    claims: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    provider: str = ""
    first_name: str = ""
    last_name: str = ""
    picture: str = ""
    role: str = ""
    roles: tuple[str, ...] = ()
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bearer token is: ``id`` is its public name, for logs and limits. ``routes`` are the
    paths, as in ``routes[].path``, to which it is bound; empty for all.
    """

    kind: Literal["personal", "terminal", "service", "issuer"]
    id: str
    name: str = ""
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """What a hook makes of a sign-in: who it is, and, in seconds, how long the session may last
    at most; ``max_age`` None sets no limit of its own."""

    identity: Identity
    max_age: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gave, never shown by ``repr``; times are Unix seconds."""

    id_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A login that is kept. Times are Unix seconds.

    ``id`` is random (128 bits and more) and new at every sign-in. ``expires_at`` is the
    absolute end; ``seen_at`` is when the idle limit was last renewed. ``provider_sid`` is the
    provider's own session id, empty when it named none. ``refresh_at`` is when the provider
    is asked again and the rules are judged anew; None for never.
    """

    id: str = field(repr=False)
    identity: Identity
    tokens: Tokens
    created_at: float
    expires_at: float
    seen_at: float
    provider_sid: str = ""
    refresh_at: float | None = None


@dataclass(frozen=True, slots=True)
class SetCookie:
    """One cookie to set; ``max_age`` in seconds, 0 deletes it, ``None`` ends with the browser."""

    name: str
    value: str = field(repr=False)
    max_age: int | None
    secure: bool
    path: str = "/"
    domain: str = ""
    same_site: str = "Lax"
    http_only: bool = True
