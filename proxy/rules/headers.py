"""What leaves towards the upstream, what returns, and which names are ours alone.

First everything that could be mistaken for ours is taken away, then ours is added: a reverse
proxy must sanitise the names it sets (RFC 9700 section 4.13). Values stay bytes throughout.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.config.settings import Headers as HeaderSettings
from proxy.model import Identity, Target
from proxy.rules.assertion import fitting_groups
from proxy.rules.target import UNIX_PEER

Header = tuple[bytes, bytes]
RawHeaders = Sequence[Header]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-authentication-info",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    }
)
"""RFC 9110 section 7.6.1, and names of the same kind that clients send."""

_FRAMING: Final = frozenset({b"host", b"content-length", b"expect"})
_ORIGINAL: Final = frozenset(
    {
        b"forwarded",
        b"x-real-ip",
        b"x-request-id",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"x-original-url",
        b"x-original-uri",
        b"x-original-host",
        b"x-original-method",
        b"x-rewrite-url",
        b"x-http-method-override",
        b"x-http-method",
        b"x-method-override",
        b"x-forwarded",
        b"proxy",  # CGI reads it as HTTP_PROXY (CVE-2016-5385)
        b"x-remote-user",
        b"remote-user",
        b"gap-auth",
        b"gap-signature",
    }
)
_OUR_PREFIXES: Final = (b"x-forwarded-", b"x-auth-request-")
# A client may not use Connection to remove these (Traefik CVE-2024-45410, Oathkeeper GHSA-w9mr).
_NOT_NOMINABLE: Final = frozenset(
    {b"host", b"authorization", b"cookie", b"content-length", b"content-type", b"origin"}
)
_TOKEN_BYTES: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"
_UPGRADE_BYTES: Final = _TOKEN_BYTES + b"_"
_SIMPLE_CONNECTION: Final = frozenset({b"keep-alive", b"close", b"upgrade", b"keep-alive, upgrade"})
_NOTHING: Final[frozenset[bytes]] = frozenset()
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


_LONGEST_EXTRA: Final = 2048


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeaderPolicy:
    """The header names of this proxy, compiled. ``our_cookie`` tells our cookies by name."""

    identity_header: bytes
    extra: tuple[tuple[bytes, str], ...]
    send_identity: bool
    send_access_token: bool
    allow_underscores: bool
    strip_cookies: bool
    our_cookie: Callable[[bytes], bool]
    removed: frozenset[bytes]
    not_returned: frozenset[bytes]

    @classmethod
    def compile(
        cls, settings: HeaderSettings, identity_header: str, our_cookie: Callable[[bytes], bool]
    ) -> HeaderPolicy:
        extra = tuple((name.encode(), claim) for name, claim in settings.extra.items())
        ours = {identity_header.lower().encode(), *(name.lower() for name, _ in extra)}
        # To some upstreams X_Siret and X-Siret are one header: ours under either spelling.
        ours |= {name.replace(b"_", b"-") for name in ours}
        return cls(
            identity_header=identity_header.encode(),
            extra=extra,
            send_identity=settings.identity,
            send_access_token=settings.access_token,
            allow_underscores=settings.allow_underscores,
            strip_cookies=settings.strip_session_cookie,
            our_cookie=our_cookie,
            removed=HOP_BY_HOP | _FRAMING | _ORIGINAL | ours,
            not_returned=HOP_BY_HOP
            | {b"content-length", b"x-request-id", identity_header.lower().encode()},
        )

    def outgoing(
        self, headers: RawHeaders, authorization: str, added: Iterable[Header]
    ) -> list[Header]:
        """The client's headers as the upstream may see them, then ``added``.

        ``authorization``: ``keep``, ``strip``, or ``replace`` (what is added then brings one).
        """
        nominated = nominated_names(headers)
        kept: list[Header] = []
        for name, value in headers:
            lower = name.lower()
            if lower in self.removed or lower in nominated or self._unsafe(name, lower):
                continue
            if lower == b"authorization" and authorization != "keep":
                continue
            if lower == b"cookie" and self.strip_cookies:
                value = self._without_ours(value)
                if not value:
                    continue
            kept.append((name, value))
        kept.extend(added)
        return kept

    def _unsafe(self, name: bytes, lower: bytes) -> bool:
        if lower.startswith(_OUR_PREFIXES):
            return True
        if not name.translate(None, _TOKEN_BYTES):
            return False
        # An upstream may read X_Forwarded_User as X-Forwarded-User (oauth2-proxy CVE-2025-64484).
        if not self.allow_underscores or name.translate(None, _UPGRADE_BYTES):
            return True
        alias = lower.replace(b"_", b"-")
        return (
            alias in self.removed
            or alias.startswith(_OUR_PREFIXES)
            or alias in (b"authorization", b"cookie")
        )

    def _without_ours(self, line: bytes) -> bytes:
        items = line.split(b";")
        kept = [item for item in items if not self.our_cookie(_cookie_name(item))]
        return line if len(kept) == len(items) else b";".join(kept).strip(b" \t;")

    def incoming(self, headers: RawHeaders) -> list[Header]:
        """The upstream's headers as the client may see them: no hop-by-hop, nothing of ours."""
        nominated, dropped = nominated_names(headers), self.not_returned
        kept = []
        for name, value in headers:
            lower = name.lower()
            if lower in dropped or lower in nominated or lower.startswith(_OUR_PREFIXES):
                continue
            if lower == b"set-cookie" and self.our_cookie(_cookie_name(value.partition(b";")[0])):
                continue
            kept.append((name, value))
        return kept

    def identity(self, person: Identity, jwt: str, access_token: str) -> list[Header]:
        """The headers that say who is asking; absent facts are absent headers."""
        headers = [(self.identity_header, jwt.encode())]
        if self.send_identity:
            named = (
                (b"X-Forwarded-User", person.user),
                (b"X-Forwarded-Email", person.email),
                (b"X-Forwarded-Preferred-Username", person.preferred_username),
                (
                    b"X-Forwarded-Groups",
                    ",".join(g for g in fitting_groups(person, 1000) if "," not in g),
                ),
            )
            headers += [(name, field) for name, value in named if (field := field_value(value))]
        for name, claim in self.extra:
            value = field_value(_claim_text(person, claim))
            if 0 < len(value) <= _LONGEST_EXTRA:
                headers.append((name, value))
        if self.send_access_token and access_token:
            headers.append((b"X-Forwarded-Access-Token", field_value(access_token)))
        return headers


def _cookie_name(pair: bytes) -> bytes:
    """The name in ``name=value`` as the laxest reader takes it.

    A browser sends the nameless cookie ``=auth_proxy=x`` back as ``auth_proxy=x``, and some
    servers read it so (Werkzeug CVE-2023-23934).
    """
    return pair.strip(b" \t=").partition(b"=")[0].rstrip(b" \t")


def nominated_names(headers: RawHeaders) -> frozenset[bytes]:
    """Names that Connection asks to remove, but for those that nobody may remove so."""
    lines = [
        value.lower()
        for name, value in headers
        if len(name) == 10 and name.lower() == b"connection"
    ]
    if not lines or _SIMPLE_CONNECTION.issuperset(lines):
        return _NOTHING
    names = {part.strip(b" \t") for line in lines for part in line.split(b",")}
    return frozenset(names - _NOT_NOMINABLE)


def forwarded(target: Target, chain: RawHeaders, peer: str, trusted: bool) -> list[Header]:
    """X-Forwarded-For, -Proto, -Host, rebuilt; a chain is continued only for a trusted hop."""
    addresses = [v for n, v in chain if n.lower() == b"x-forwarded-for"] if trusted else []
    if not (addresses and peer == UNIX_PEER):  # which is no address, and hides none
        addresses.append(peer.encode())
    return [
        (b"X-Forwarded-For", b", ".join(addresses)),
        (b"X-Forwarded-Proto", target.scheme.encode()),
        (b"X-Forwarded-Host", target.host.encode()),
    ]


def field_value(text: str) -> bytes:
    """Text as a header value: UTF-8, nothing that could end the line (RFC 9110 section 5.5)."""
    return _CONTROL.sub(" ", text).strip().encode("utf-8", "replace")


def fact(person: Identity, claim: str) -> object:
    """Facts of the identity as it was verified and normalised; other claims as they came."""
    return getattr(person, claim) if claim in FACTS else person.claims.get(claim)


def _claim_text(person: Identity, claim: str) -> str:
    value = fact(person, claim)
    if isinstance(value, list | tuple):
        # An item with a comma would be read as two.
        return ",".join(text for text in map(_text, value) if "," not in text and text)
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


FACTS: Final = frozenset(
    {"issuer", "subject", "user", "email", "email_verified", "name", "preferred_username"}
    | {"groups", "acr", "amr", "auth_time", "role", "roles", "provider"}
    | {"first_name", "last_name", "picture"}
)
