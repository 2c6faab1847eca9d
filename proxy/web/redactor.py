"""The one redactor: what must never be seen, neither in the log nor on a page of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.model import Json

REDACTED: Final = "[redacted]"

_NAMES: Final = (
    "code", "state", "nonce", "code_verifier", "client_secret", "client_assertion",
    "access_token", "refresh_token", "id_token", "id_token_hint", "logout_token", "password",
)  # fmt: skip
"""Names in any text: of parameters, of members, of whatever stands before a secret."""
_MEMBERS: Final = frozenset(
    {
        *_NAMES,
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "session_state",
        "authorization",
        "cookie",
        "jwt",
    }
)
"""Names of claims: besides, what only says something to whoever has a token or a session."""
_ENDINGS: Final = ("token", "secret", "password", "assertion")

# Between a name and its value, as in a query, a header, JSON, a repr, or any of them escaped.
_IS: Final = (
    r"(?:(?:\\*[\"'])?\s*(?:[=:]|%(?:25)*3[da])\s*(?:b?\\*[\"'])?"
    r"|\\*[\"']\s*,\s*b?\\*[\"'])"
)
_SECRETS: Final = (
    # a JWT, or the beginning of one
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,4}"), REDACTED),
    # a token of ours, whatever its prefix (crypto/token.py)
    (
        re.compile(r"(?<![A-Za-z0-9])[a-z][a-z0-9]{1,9}_[pstr][0-9A-Za-z]{49}(?![A-Za-z0-9])"),
        REDACTED,
    ),
    # headers whose whole line is a secret
    (re.compile(rf"(?i)((?:cookie|authorization){_IS})[^\r\n]+"), rf"\1{REDACTED}"),
    (
        re.compile(
            rf"(?i)((?:(?<![a-z])|(?<=3f)|(?<=26))(?:{'|'.join(_NAMES)}){_IS})[^\s&\"',;\\]+"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{REDACTED}"),
    # user and password of a URL
    (re.compile(r"(://)[^\s/@\"']+@"), rf"\1{REDACTED}@"),
)


def redact(text: str) -> str:
    """``text`` without tokens, codes, states, secrets or credentials.

    Rather a harmless word too many than a secret too few.
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redacted(value: Json) -> Json:
    """A value of JSON without secrets at any depth, by the names of members and in all texts.

    A name may be a path: its last step counts.
    """
    if isinstance(value, Mapping):
        return {
            redact(name): REDACTED
            if _is_secret(name) and member not in (None, "")
            else redacted(member)
            for name, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    last = name.rpartition(".")[2].lower()
    return last in _MEMBERS or last.replace("_", "").endswith(_ENDINGS)
