"""Which proxy a terminal speaks to, and that nobody else is spoken to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_PORTS = {"https": 443, "http": 80}
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)


class Failure(Exception):
    """What did not work and what to do about it: one line for a person, without any secret."""

    status = 1


class Mistake(Failure):
    """The arguments cannot be meant so."""

    status = 2


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port (RFC 6454): tokens of one are never sent to another.

    ``host`` is in lower case, an IPv6 address without its brackets.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + (
            "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        )


def origin_of(text: str) -> Origin:
    """Reads ``https://host[:port]``. Raises Mistake, also for http to another machine."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as exc:
        raise Mistake(f"no address: {exc}") from None
    if "@" in parts.netloc:  # the words of this error must not repeat what may be a password
        raise Mistake("an address has no user and no password in it, as in https://app.example.org")
    is_plain = text.isascii() and text.isprintable()  # urlsplit would leave tabs out
    if parts.scheme not in _PORTS or not parts.hostname or _has_more(parts) or not is_plain:
        raise Mistake(f"{plain(text)}: not an address such as https://app.example.org")
    host = parts.hostname.lower()
    if not _is_host(host):
        raise Mistake(f"{plain(text)}: {plain(host)} is no host")
    if parts.scheme == "http" and not is_this_machine(host):
        raise Mistake(f"{plain(text)}: http would show the token to the network; use https")
    return Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


def is_this_machine(host: str) -> bool:
    """``localhost``, or an address of loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def prefix_of(text: str) -> str:
    """Where the proxy's own pages live (``server.prefix``). Raises Mistake."""
    if not _PREFIX.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise Mistake(f"--prefix {plain(text)}: not a path such as /oauth2")
    return text


def _has_more(parts: SplitResult) -> bool:
    return parts.path not in ("", "/") or bool(parts.query or parts.fragment)


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))) and len(host) < 254
    return "%" not in host


def plain(text: str) -> str:
    """At most a line of what somebody said, which cannot move the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)[:300]
