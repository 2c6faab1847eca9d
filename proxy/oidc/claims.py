"""Claims, read into a form that is safe to pass on; what is not safe counts as absent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from proxy.config.address import normalise_email
from proxy.config.person import Claims
from proxy.model import UNREADABLE_CLAIM
from proxy.oidc.userinfo import BEARER_FIELDS

# control characters split headers and log lines; bidirectional overrides and lone surrogates
# make a text look like, or encode to, something else
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# characters of RFC 3986, but for the quote: nothing in it ends an attribute or a header
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]+", re.IGNORECASE)
_LONGEST_ID = 255
_LONGEST_TEXT = 1024
_LARGEST_CLAIM = 16 * 1024


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


def as_text(value: object) -> str:
    """A text or a number as a text without spaces around it; ``""`` when it is not safe."""
    return as_exact_text(value).strip()


def as_exact_text(value: object) -> str:
    """A text or a number as a text, unchanged; ``""`` when it is not safe."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(value)
    return "" if len(text) > _LONGEST_TEXT or _UNSAFE.search(text) else text


def as_id(value: object) -> str:
    """As ``as_text``, but never changed: two ids must not become one."""
    text = as_text(value)
    unchanged = not isinstance(value, str) or text == value
    return text if unchanged and len(text) <= _LONGEST_ID else ""


def as_whole(value: object) -> int | None:
    """A number that is no less than 0, without its fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= 2**53 else None


def as_url(value: object) -> str:
    """An http or https URL, ``""`` for anything else."""
    text = as_text(value)
    return text if _URL.fullmatch(text) else ""


def as_list(
    value: object, separator: str = "", object_key: str = ""
) -> tuple[tuple[str, ...], str]:
    """The texts of a claim that may hold several, and what was wrong with it, ``""`` if nothing.

    A list is never split, one text is, wherever ``separator`` is not empty. Objects in a list
    count by their member ``object_key``. Texts are taken to the letter: a name in strange
    spaces must not become another's.
    """
    if value is None:
        return (), ""
    if isinstance(value, str):
        parts = value.split(separator) if separator else [value]
        items: list[object] = [part for text in parts if (part := text.strip(" "))]
    elif isinstance(value, list):
        items = [_named(item, object_key) for item in value if item != ""]
    else:
        items = [value]
    texts = tuple(filter(None, map(as_exact_text, items)))
    if len(texts) == len(items):
        return texts, ""
    if isinstance(value, list):
        return texts, f"{len(items) - len(texts)} of {len(items)} values left out"
    return texts, f"{type(value).__name__} left out"


def is_verified(claims: Mapping[str, object], mapping: Claims, email: str) -> bool | None:
    """Only JSON true and the text "true" are yes. The word is about the claim ``email`` alone."""
    value = claims.get("email_verified")
    if value is None:
        return None
    if value is not True and value != "true":
        return False
    if mapping.email != "email" and normalise_email(claims.get("email")) != email:
        return None
    return True


def kept(claims: Mapping[str, object], paths: Iterable[str]) -> Mapping[str, object]:
    """Those claims that are present, under the name they were asked by. ``UNREADABLE_CLAIM`` stands
    for one that is not safe, or that no way leads to: nobody knows what it says, nor that it is
    not there.
    """
    found = {path: _reached(claims, path) for path in dict.fromkeys(paths)}
    return {
        path: value if _safe(value) else dict(UNREADABLE_CLAIM)
        for path, value in found.items()
        if value is not None and path not in BEARER_FIELDS
    }


def _reached(claims: Mapping[str, object], path: str) -> object:
    """As ``lookup``; UNREADABLE_CLAIM where the way ends before its end, at a text or a list."""
    found = lookup(claims, path)
    parts = re.split(r"(?<!\\)\.", path)
    for end in range(1, len(parts)):
        above = lookup(claims, ".".join(parts[:end]))
        if found is None and above is not None and not isinstance(above, Mapping):
            return dict(UNREADABLE_CLAIM)
    return found


def _named(item: object, key: str) -> object:
    return item.get(key) if key and isinstance(item, dict) else item


def _safe(value: object) -> bool:
    """Texts, alone or in a list, hold nothing unsafe; the whole stays small enough to keep."""
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and _UNSAFE.search(text) for text in texts):
        return False
    return len(json.dumps(value)) <= _LARGEST_CLAIM
