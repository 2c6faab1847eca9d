"""Verified claims become an Identity: which claim is what, in a form that is safe to pass on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from proxy.config.settings import Claims
from proxy.errors import LoginError, Reason
from proxy.model import Identity
from proxy.oidc.address import normalise_email
from proxy.oidc.userinfo import BEARER_FIELDS

# control characters split headers and log lines; bidirectional overrides and lone surrogates
# make a text look like, or encode to, something else
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_ID = 255
_LONGEST_TEXT = 1024
_LARGEST_CLAIM = 16 * 1024
_MOST_GROUPS = 1000


def lookup(claims: Mapping[str, object], path: str) -> object:
    """The claim at ``path``, or ``None``: the exact name first, else a way into objects.

    ``realm_access.roles`` is the member ``roles`` of ``realm_access``; ``\\.`` is a dot in a name.
    """
    if path in claims:
        return claims[path]
    found: object = claims
    for name in re.split(r"(?<!\\)\.", path):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name.replace("\\.", "."))
    return found


def identity(
    claims: Mapping[str, object], mapping: Claims, issuer: str, keep: Iterable[str] = ()
) -> Identity:
    """The person that the merged ``claims`` describe.

    ``keep`` names further claims, besides ``mapping.extra``, that rules and headers need; those
    that are present and safe are kept under the name they were asked by. A claim with control
    characters or of the wrong type counts as absent. Raises LoginError IDENTITY_INCOMPLETE
    when the subject or the person's id is then missing: an id is never made up from a name.
    """
    subject = _id(claims.get("sub"))
    email = normalise_email(lookup(claims, mapping.email))
    user = email if mapping.user == mapping.email else _id(lookup(claims, mapping.user))
    if not subject or not user:
        missing = mapping.user if subject else "sub"
        raise LoginError(Reason.IDENTITY_INCOMPLETE, f"no usable claim {missing}")
    username = _text(lookup(claims, mapping.preferred_username))
    names = (_text(lookup(claims, path)) for path in mapping.name)
    return Identity(
        issuer=issuer,
        subject=subject,
        user=user,
        email=email,
        email_verified=_email_verified(claims, mapping, email),
        name=" ".join(filter(None, names)) or username or email,
        preferred_username=username,
        groups=_groups(claims, mapping),
        acr=_text(claims.get("acr")),
        amr=_list(claims.get("amr"), " "),
        auth_time=_whole(claims.get("auth_time")),
        claims=_kept(claims, (*mapping.extra, *keep)),
    )


def _email_verified(claims: Mapping[str, object], mapping: Claims, email: str) -> bool | None:
    """Only JSON true and the text "true" are yes. The word is about the claim ``email`` alone."""
    value = claims.get("email_verified")
    if value is None:
        return None
    if value is not True and value != "true":
        return False
    if mapping.email != "email" and normalise_email(claims.get("email")) != email:
        return None
    return True


def _groups(claims: Mapping[str, object], mapping: Claims) -> tuple[str, ...]:
    """All group claims united, each group once, in the order of the provider."""
    found: dict[str, None] = {}
    for path in mapping.groups:
        found |= dict.fromkeys(_list(lookup(claims, path), mapping.groups_separator))
    return tuple(found)[:_MOST_GROUPS]


def _list(value: object, separator: str) -> tuple[str, ...]:
    """A list, a text that holds several, or one value → texts; whatever else is left out.

    A group is taken to the letter: a name in strange spaces must not become another's.
    """
    if isinstance(value, str):
        items: list[object] = [item.strip(" ") for item in value.split(separator)]
    else:
        items = value if isinstance(value, list) else [value]
    return tuple(filter(None, map(_exact, items)))


def _text(value: object) -> str:
    """A text or a number as a text without spaces around it; ``""`` when it is not safe."""
    return _exact(value).strip()


def _exact(value: object) -> str:
    """A text or a number as a text, unchanged; ``""`` when it is not safe."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return "" if len(text) > _LONGEST_TEXT or _UNSAFE.search(text) else text


def _id(value: object) -> str:
    """As ``_text``, but never changed: two ids must not become one."""
    text = _text(value)
    unchanged = not isinstance(value, str) or text == value
    return text if unchanged and len(text) <= _LONGEST_ID else ""


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 2**53 else None


def _kept(claims: Mapping[str, object], paths: Iterable[str]) -> Mapping[str, object]:
    found = {path: lookup(claims, path) for path in dict.fromkeys(paths)}
    return {
        path: value
        for path, value in found.items()
        if value is not None and path not in BEARER_FIELDS and _safe(value)
    }


def _safe(value: object) -> bool:
    """Texts, alone or in a list, hold nothing unsafe; the whole stays small enough to keep."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and _UNSAFE.search(text) for text in texts):
        return False
    return len(json.dumps(value)) <= _LARGEST_CLAIM
