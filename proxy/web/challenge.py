"""What WWW-Authenticate says to programs: RFC 6750 section 3, RFC 9470 section 3, RFC 9728
section 5.1. Whatever the texts hold, they end no quoted-string."""

from __future__ import annotations

import re
from typing import Final

from proxy.rules.judged import StepUp

# RFC 6750 section 3: neither a quote nor a backslash, which would need another quoting
_UNQUOTABLE: Final = re.compile(r"[^ !#-\[\]-~]")
_WORD: Final = re.compile(r"[!#-\[\]-~]+")
_LONGEST: Final = 300
_GIT: Final = re.compile(r"(?:git|git-lfs|JGit|go-git)/")
PASSWORD: Final = 'Basic realm="auth-proxy", charset="UTF-8"'
"""A token of ours is taken as the password too, whoever the user is (RFC 7617)."""
# What programs are told; details are for the log.
_DESCRIPTIONS: Final = {
    "invalid_token": "The access token is expired, revoked, or not valid here",
    "insufficient_scope": "The access token does not allow this",
    "invalid_request": "The request carries its token in a way that is not understood",
}


def bearer_challenge(error: str = "", scope: str = "", resource: str = "") -> str:
    """Without an ``error`` no credentials came at all. ``resource`` is where the metadata of this
    protected resource is, empty where no token could be good."""
    given = {
        "error": error,
        "error_description": _DESCRIPTIONS.get(error, ""),
        "scope": scope,
        "resource_metadata": resource,
    }
    parts = [f'{name}="{_quotable(value)}"' for name, value in given.items() if value]
    return f"Bearer {', '.join(parts)}" if parts else "Bearer"


def stronger_challenge(step_up: StepUp) -> str:
    """What is missing is a sign-in that is stronger or fresher."""
    parts = ['Bearer error="insufficient_user_authentication"']
    named = [value for value in step_up.acr_values if _WORD.fullmatch(value)]
    if named:
        parts.append(f'acr_values="{" ".join(named)}"')
    if step_up.max_age is not None:
        parts.append(f'max_age="{int(step_up.max_age)}"')
    return ", ".join(parts)


def takes_password(user_agent: str) -> bool:
    """Is it one of those that send our tokens as a password only, and only when asked to?

    git asks nobody for credentials over ``Bearer`` alone. Browsers must never see the other one:
    they would ask people for a password.
    """
    return bool(_GIT.match(user_agent))


def _quotable(text: str) -> str:
    return _UNQUOTABLE.sub("?", text[:_LONGEST])
