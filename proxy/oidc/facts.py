"""What must be true of the protocol's own claims, whichever kind of token they came in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Claims = Mapping[str, object]

# the largest integer that every JSON reader keeps exact (RFC 8259 section 6)
_LATEST = 2**53
# at most 255 ASCII characters (Core section 2); no spaces at the ends, which headers lose
_SUBJECT = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")


class ClaimRefused(Exception):
    """A claim that must not be believed; the message is for the log."""


def check_audience(claims: Claims, client_id: str) -> None:
    """The token is for us; further audiences only where azp says that it is. ClaimRefused."""
    given = claims.get("aud")
    audiences = given if isinstance(given, list) else [given]
    if not client_id or not all(isinstance(one, str) for one in audiences):
        raise ClaimRefused("aud is neither a text nor a list of texts")
    if client_id not in audiences:
        raise ClaimRefused(f"aud is {shown(given)}")
    if "azp" in claims:
        if claims["azp"] != client_id:
            raise ClaimRefused(f"azp is {shown(claims['azp'])}")
    elif any(one != client_id for one in audiences):
        raise ClaimRefused("aud names others too, and there is no azp")


def check_times(claims: Claims, now: float, skew: float, *, required: tuple[str, ...] = ()) -> None:
    """exp, iat and nbf, each where present, allow ``now``; ``skew`` seconds of grace.

    Raises ClaimRefused, also when one of ``required`` is missing.
    """
    rules: tuple[tuple[str, Callable[[float], bool], str], ...] = (
        ("exp", lambda t: now < t + skew, "is over"),
        ("iat", lambda t: t <= now + skew, "is in the future"),
        ("nbf", lambda t: t <= now + skew, "is in the future"),
    )
    for name, holds, words in rules:
        if name not in claims:
            if name in required:
                raise ClaimRefused(f"{name} is missing")
        elif not holds(check_number(claims[name], name)):
            raise ClaimRefused(f"{name} {words}")


def check_subject(claims: Claims) -> str:
    """The sub, 1 to 255 printable ASCII characters. Raises ClaimRefused."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise ClaimRefused("sub is not 1 to 255 printable ASCII characters")
    return subject


def check_number(value: object, name: str, least: float = 1e-9) -> float:
    """A NumericDate, which may have a fraction (RFC 7519 section 2). Raises ClaimRefused."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClaimRefused(f"{name} is not a number")
    if not least <= value <= _LATEST:  # false for NaN, too
        raise ClaimRefused(f"{name} is not a time")
    return float(value)


def shown(value: object) -> str:
    """``value`` for the log: printable ASCII, and no more of it than helps."""
    return ascii(value)[:200]
