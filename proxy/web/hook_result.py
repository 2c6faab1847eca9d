"""What a hook returned, believed only as far as it may say it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from proxy.config.address import normalise_email
from proxy.model import Admission, Identity, Json

_FIXED: Final = ("issuer", "subject", "provider", "acr", "amr", "auth_time")
"""What the provider vouches for: a hook that could change it would be the provider."""
_TEXTS: Final = ("name", "preferred_username", "first_name", "last_name", "picture", "role")
# As for claims: what splits headers and lines of the log, or reads as something else.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SCOPE: Final = re.compile(r"(?:[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*)?")
_LONGEST_ID: Final = 255
_LONGEST_TEXT: Final = 1024
_LONGEST_WORDS: Final = 300
_MOST_ITEMS: Final = 1000
_LARGEST_CLAIMS: Final = 16 * 1024


def checked(result: object, before: Identity) -> Admission:
    """``result`` as an Admission: None leaves the person as ``before``; an Identity is one.

    Roles and role are made to fit: a role that is set alone takes the place of the one before it,
    and of all above it. Raises ValueError with words that quote no value.
    """
    if result is None:
        return Admission(before)
    if isinstance(result, Identity):
        result = Admission(result)
    if not isinstance(result, Admission) or not isinstance(result.identity, Identity):
        raise ValueError(f"returned {type(result).__name__}, not an Identity or Admission")
    return Admission(_person(result.identity, before), _max_age(result.max_age))


def public_words(message: object) -> str:
    """A message that a page may show: one line, with an end; "" for what is no text."""
    text = message if isinstance(message, str) else ""
    return _UNSAFE.sub(" ", text).strip()[:_LONGEST_WORDS]


def is_id(value: object) -> bool:
    """May it be a person's id? 1 to 255 printable characters, no space at either end."""
    fits = isinstance(value, str) and 0 < len(value) <= _LONGEST_ID
    return fits and not _UNSAFE.search(str(value)) and value == str(value).strip()


def _person(found: Identity, before: Identity) -> Identity:
    for name in _FIXED:
        if getattr(found, name) != getattr(before, name):
            raise ValueError(f"changed {name}, which the provider vouches for")
    if not is_id(found.user):
        raise ValueError("user: not 1 to 255 printable characters without spaces around them")
    if not (found.email_verified is None or isinstance(found.email_verified, bool)):
        raise ValueError("email_verified: not True, False or None")
    for name in _TEXTS:
        _check_text(name, getattr(found, name))
    _check_text("scope", found.scope)
    if not _SCOPE.fullmatch(found.scope):
        raise ValueError("scope: not a list of scopes (RFC 6749 section 3.3)")
    role, roles = _roles(found.role, _texts("roles", found.roles), before)
    return replace(
        found,
        email=_email(found.email),
        groups=_texts("groups", found.groups),
        role=role,
        roles=roles,
        claims=_claims(found.claims),
    )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name}: not a text")
    if len(value) > _LONGEST_TEXT or _UNSAFE.search(value):
        raise ValueError(f"{name}: too long, or with control characters")


def _email(value: object) -> str:
    email = normalise_email(value)
    if (value and not email) or not isinstance(value, str):
        raise ValueError("email: not an address")
    return email


def _texts(name: str, value: object) -> tuple[str, ...]:
    """Each text once."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: not a list or tuple")
    if len(value) > _MOST_ITEMS:
        raise ValueError(f"{name}: more than {_MOST_ITEMS}")
    for item in value:
        _check_text(name, item)
        if not item:
            raise ValueError(f"{name}: an empty text")
    return tuple(dict.fromkeys(value))


def _roles(role: str, roles: tuple[str, ...], before: Identity) -> tuple[str, tuple[str, ...]]:
    """Both say the same in the end: ``role`` is the first of ``roles``."""
    if roles != before.roles:
        if role == before.role:
            role = roles[0] if roles else ""
        elif role and role not in roles:
            raise ValueError("role: is none of roles")
    elif role != before.role:
        below = roles.index(role) + 1 if role in roles else 1
        roles = (role, *roles[below:])
    if not role:
        return "", ()
    return role, (role, *(other for other in roles if other != role))


def _claims(value: object) -> Mapping[str, Json]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError("claims: not a mapping with names that are texts")
    try:
        text = json.dumps(dict(value), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ValueError("claims: not JSON") from exc
    if len(text) > _LARGEST_CLAIMS:
        raise ValueError(f"claims: more than {_LARGEST_CLAIMS} bytes of JSON")
    return MappingProxyType(json.loads(text))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError("not JSON")


def _max_age(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("max_age: not a number of seconds")
    if not (math.isfinite(value) and value > 0):
        raise ValueError("max_age: not longer than 0")
    return float(value)
