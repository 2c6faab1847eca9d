"""Session ↔ bytes, versioned. What cannot be read is no session, never an error."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from proxy.errors import ProxyError, Reason
from proxy.model import MOST_GROUPS, Identity, Session, Tokens

_VERSION: Final = 1
_MAX: Final = 256 * 1024
"""Bytes that a session may unpack to; a box is authenticated, so this only guards mistakes."""
_TEXTS: Final = ("iss", "sub", "user", "email", "name", "username", "acr")
_LATER: Final = ("provider", "first_name", "last_name", "picture", "role", "scope")
"""Texts that sessions of older versions lack, and that are written only where there are any."""
UNREADABLE: Final = (AttributeError, ValueError, KeyError, TypeError, OverflowError)
"""What reading something else than what was written may raise."""


def dump(session: Session) -> bytes:
    """A session as compressed JSON. Raises ProxyError(SESSION_TOO_LARGE) if none would read it."""
    tokens = session.tokens
    return pack(
        {
            "v": _VERSION,
            "id": session.id,
            "t": [session.created_at, session.expires_at, session.seen_at],
            "sid": session.provider_sid,
            "refresh": session.refresh_at,
            "who": describe(session.identity),
            "tokens": [
                tokens.id_token,
                tokens.access_token,
                tokens.refresh_token,
                tokens.expires_at,
            ],
        }
    )


def pack(document: Mapping[str, object]) -> bytes:
    """Compressed JSON. Raises ProxyError(SESSION_TOO_LARGE) for what ``unpack`` would not read."""
    raw = json.dumps(document, separators=(",", ":")).encode()
    if len(raw) > _MAX:
        raise ProxyError(Reason.SESSION_TOO_LARGE, f"{len(raw)} bytes before compression")
    return zlib.compress(raw, 6)


def describe(who: Identity) -> dict[str, Any]:
    """A person as JSON, for ``read_identity``."""
    return {
        "iss": who.issuer,
        "sub": who.subject,
        "user": who.user,
        "email": who.email,
        "verified": who.email_verified,
        "name": who.name,
        "username": who.preferred_username,
        "groups": who.groups,
        "acr": who.acr,
        "amr": who.amr,
        "auth_time": who.auth_time,
        "claims": dict(who.claims),
        **{name: text for name in _LATER if (text := getattr(who, name))},
        **({"roles": who.roles} if who.roles else {}),
        **({"partial": True} if who.groups_partial else {}),
    }


def load(data: bytes) -> Session | None:
    """The session that ``dump`` wrote, or None for anything else."""
    document = unpack(data)
    try:
        return _read(document) if document is not None else None
    except UNREADABLE:
        return None


def unpack(data: bytes) -> dict[str, Any] | None:
    """What ``pack`` was given, or None for anything else."""
    try:
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(data, _MAX)
        document = json.loads(raw) if unpacker.eof else None
    except (zlib.error, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _read(document: dict[str, Any]) -> Session | None:
    if document["v"] != _VERSION:
        return None
    created_at, expires_at, seen_at = map(float, document["t"])
    id_token, access_token, refresh_token, token_end = document["tokens"]
    moments = (created_at, expires_at, seen_at, document["refresh"] or 0, token_end or 0)
    if not all(map(math.isfinite, moments)):
        return None  # nothing is ever later than NaN
    texts = [document["id"], document["sid"], id_token, access_token, refresh_token]
    identity = read_identity(document["who"])
    if not are_texts(texts) or identity is None:
        return None
    return Session(
        id=document["id"],
        identity=identity,
        tokens=Tokens(id_token, access_token, refresh_token, token_end),
        created_at=created_at,
        expires_at=expires_at,
        seen_at=seen_at,
        provider_sid=document["sid"],
        refresh_at=document["refresh"],
    )


def read_identity(who: dict[str, Any]) -> Identity | None:
    """The person whom ``describe`` wrote. Anything else is None, or raises what ``UNREADABLE``
    lists."""
    later = {name: who.get(name, "") for name in _LATER}
    texts = [*(who[name] for name in _TEXTS), *later.values()]
    lists = (who["groups"], who["amr"], who.get("roles", []))
    if not are_texts(texts) or not all(map(are_texts, lists)):
        return None
    if not isinstance(who["verified"], bool | None):
        return None
    return Identity(
        issuer=who["iss"],
        subject=who["sub"],
        user=who["user"],
        email=who["email"],
        email_verified=who["verified"],
        name=who["name"],
        preferred_username=who["username"],
        groups=tuple(who["groups"]),
        # of older versions, which had no word for it, a long list was cut
        groups_partial=bool(who.get("partial", False)) or len(who["groups"]) >= MOST_GROUPS,
        acr=who["acr"],
        amr=tuple(who["amr"]),
        auth_time=who["auth_time"],
        claims=MappingProxyType(dict(who["claims"])),
        roles=tuple(who.get("roles", ())),
        **later,
    )


def are_texts(value: object) -> bool:
    """Is it a list of nothing but texts?"""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
