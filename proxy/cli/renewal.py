"""A token that is good for a while yet: the one that is kept, or a new one in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from proxy.cli.origin import Failure, Origin
from proxy.cli.remote import Refused, Remote, Unreachable
from proxy.cli.stored import Drawer, Stored, is_token

_SOON = 60.0
_LONGEST = 10 * 366 * 86_400.0


class NotSignedIn(Failure):
    """There is no token, or none that is good any more."""


def fresh(drawer: Drawer, origin: Origin, clock: Callable[[], float], ca_file: str = "") -> Stored:
    """What is kept for ``origin``, renewed if it ends within a minute.

    However many ask at once, one of them renews. Raises NotSignedIn, Failure.
    """
    kept = _kept(drawer, origin)
    if kept.expires_at - clock() > _SOON:
        return kept
    with drawer.alone_with(origin):
        kept = _kept(drawer, origin)  # somebody may have been quicker
        if kept.expires_at - clock() > _SOON:
            return kept
        return _renewed(drawer, origin, kept, clock(), ca_file or kept.ca_file)


def granted(answer: Mapping[str, Any], now: float, kept: Stored) -> Stored:
    """The tokens in an answer (RFC 6749 section 5.1), kept as ``kept`` was. Raises Failure."""
    token, refresh = answer.get("access_token"), answer.get("refresh_token")
    lasts = answer.get("expires_in")
    if not is_token(token) or str(answer.get("token_type", "")).lower() != "bearer":
        raise Failure("the answer held no token that can be used")
    if not isinstance(lasts, int | float) or not lasts > 0:
        raise Failure("the answer did not say how long the token is good")
    return replace(
        kept,
        token=str(token),
        refresh_token=str(refresh) if is_token(refresh) else kept.refresh_token,
        expires_at=now + min(lasts, _LONGEST),
    )


def sign_in_again(origin: Origin) -> NotSignedIn:
    """In words that lead on."""
    return NotSignedIn(f"not signed in at {origin} any more; run: auth-proxy login {origin}")


def _kept(drawer: Drawer, origin: Origin) -> Stored:
    kept = drawer.get(origin)
    if kept is None:
        raise NotSignedIn(f"not signed in at {origin}; run: auth-proxy login {origin}")
    return kept


def _renewed(drawer: Drawer, origin: Origin, kept: Stored, now: float, ca_file: str) -> Stored:
    still_good = kept.expires_at > now
    if not kept.refresh_token:
        if still_good:
            return kept
        raise sign_in_again(origin)
    remote = Remote(origin, kept.prefix, ca_file)
    form = {"grant_type": "refresh_token", "refresh_token": kept.refresh_token}
    try:
        new = granted(remote.post("token", **form), now, kept)
    except Refused as exc:
        if exc.error != "invalid_grant":
            raise
        drawer.put(origin, None)
        raise sign_in_again(origin) from None
    except Unreachable:
        if still_good:
            return kept
        raise
    drawer.put(origin, new)
    return new
