"""One cookie grammar: read the Cookie header as bytes, write Set-Cookie, split and join."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.errors import ProxyError, Reason
from proxy.model import SetCookie

_PART: Final = 3600
"""Bytes of value in one cookie: name, value and attributes stay within 4096 (RFC 6265bis)."""
_MAX_PARTS: Final = 3
_COUNTS: Final = {b"2": 2, b"3": 3}
_LARGEST: Final = 7680
"""Bytes of value in all: the Cookie line stays below the 8 KiB that servers on the way accept."""
_VALUE: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
_PLACE: Final = re.compile(r"[A-Za-z0-9_.~/-]*")

Pairs = Sequence[tuple[bytes, bytes]]


def read_pairs(lines: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Cookie header lines → (name, value) in order, duplicates kept, nameless ones left out.

    Bytes throughout: no decoding, no quoting, no ``$Version``; only SP and HTAB are trimmed,
    so that no look-alike becomes one of our names.
    """
    pairs = []
    for line in lines:
        for item in line.split(b";"):
            name, separator, value = item.strip(b" \t").partition(b"=")
            if separator and name:
                pairs.append((name, value))
    return pairs


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CookieNames:
    """The names of our cookies, all beginning with ``base``."""

    base: str

    @property
    def raw(self) -> bytes:
        return self.base.encode()

    def part(self, index: int) -> str:
        return self.base if index == 0 else f"{self.base}.{index}"

    def attempt(self, tag: str) -> str:
        """The cookie of one begun sign-in."""
        return f"{self.base}_login_{tag}"

    @property
    def sign_out(self) -> str:
        """Remembers the state of a sign-out until the provider returns."""
        return f"{self.base}_logout"

    @property
    def bounces(self) -> str:
        """Counts sign-ins that were not followed by a request with a session."""
        return f"{self.base}_bounces"

    def ours(self, name: bytes) -> bool:
        """Is ``name`` a cookie of this proxy? Such never travel further in either direction."""
        raw = self.raw
        return name == raw or (name.startswith(raw) and name[len(raw) : len(raw) + 1] in b"._")


def join(pairs: Pairs, names: CookieNames) -> list[str]:
    """The values that may be the session: usually one, none when parts are missing or doubled.

    Two cookies of our base name are both candidates (a sibling site may have set one); the
    caller takes one only if exactly one of them opens.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, value in pairs:
        if names.ours(name):
            found.setdefault(name, []).append(value)
    candidates = []
    for first in found.get(names.raw, [])[:8]:
        count, dot, value = first.partition(b".")
        if not dot:
            candidates.append(first)
        elif count in _COUNTS:
            rest = [found.get(names.part(i).encode(), []) for i in range(1, _COUNTS[count])]
            if all(len(values) == 1 for values in rest):
                candidates.append(value + b"".join(values[0] for values in rest))
    return [value.decode() for value in candidates if value and value.isascii()]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Jar:
    """How our cookies are set."""

    names: CookieNames
    secure: bool
    domain: str = ""
    same_site: str = "Lax"

    def session(self, value: str, max_age: int, present: Pairs) -> list[SetCookie]:
        """The cookies that hold ``value``, and the removal of parts left from a longer one.

        Raises ProxyError(SESSION_TOO_LARGE) when it would not come back whole.
        """
        parts = [value[i : i + _PART] for i in range(0, len(value), _PART)] or [""]
        if len(value) > _LARGEST or len(parts) > _MAX_PARTS:
            detail = f"{len(value)} bytes; keep fewer claims and groups, or use a Redis store"
            raise ProxyError(Reason.SESSION_TOO_LARGE, detail)
        if len(parts) > 1:
            parts[0] = f"{len(parts)}.{parts[0]}"
        cookies = [self.make(self.names.part(i), part, max_age) for i, part in enumerate(parts)]
        return cookies + self._stale(present, keep=len(parts))

    def clear_session(self, present: Pairs) -> list[SetCookie]:
        """Remove the session and every part of it that the browser sent."""
        return [self.remove(self.names.base), *self._stale(present, keep=1)]

    def clear_broken(self, present: Pairs) -> list[SetCookie]:
        """Remove a session that did not open: nothing if the browser sent none."""
        sent = {name for name, _ in present}
        mine = (self.names.part(index).encode() for index in range(10))
        return self.clear_session(present) if any(name in sent for name in mine) else []

    def _stale(self, present: Pairs, keep: int) -> list[SetCookie]:
        sent = {name for name, _ in present}
        parts = (self.names.part(i) for i in range(keep, 10) if i > 0)
        return [self.remove(name) for name in parts if name.encode() in sent]

    def make(self, name: str, value: str, max_age: int | None) -> SetCookie:
        return SetCookie(
            name, value, max_age, self.secure, domain=self.domain, same_site=self.same_site
        )

    def remove(self, name: str) -> SetCookie:
        return self.make(name, "", 0)


def single(pairs: Pairs, name: str) -> str | None:
    """The value of a cookie that came exactly once, as ASCII text."""
    raw = name.encode()
    values = [value for found, value in pairs if found == raw]
    return values[0].decode() if len(values) == 1 and values[0].isascii() else None


def write(cookie: SetCookie) -> str:
    """The value of a Set-Cookie header (RFC 6265 section 4.1). Raises ValueError on bad input."""
    safe = _VALUE.fullmatch(cookie.value) and _NAME.fullmatch(cookie.name)
    if not safe or not _PLACE.fullmatch(cookie.path) or not _PLACE.fullmatch(cookie.domain):
        raise ValueError(f"cookie {cookie.name!r} holds a character that needs quoting")
    text = f"{cookie.name}={cookie.value}; Path={cookie.path}"
    if cookie.domain:
        text += f"; Domain={cookie.domain}"
    if cookie.max_age is not None:
        text += f"; Max-Age={cookie.max_age}"
    if cookie.secure:
        text += "; Secure"
    if cookie.http_only:
        text += "; HttpOnly"
    return f"{text}; SameSite={cookie.same_site}"
