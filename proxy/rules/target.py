"""Request line, Host and trusted hops → one ``Target``, or a refusal. Read once, used by all.

The upstream receives the raw path, so a path that could be taken for another route after
somebody else's decoding is refused here (RFC 3986 section 6; security classes "path desync").
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from proxy.config.types import Network
from proxy.errors import BadRequest, Reason
from proxy.model import Kind, Target

RawHeaders = Sequence[tuple[bytes, bytes]]

# Printable ASCII; '#' never reaches a server (RFC 9112 section 3.2), '\' is '/' to some.
_PATH: Final = re.compile(r"/[!$-\[\]-~\"]*", re.ASCII)
_QUERY: Final = re.compile(r"[!\"$-~]*", re.ASCII)
# With '_', which container networks put into names.
_HOST: Final = re.compile(
    r"(?:\w(?:[\w-]*\w)?(?:\.\w(?:[\w-]*\w)?)*\.?|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", re.ASCII
)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
# '/', '\', control characters, and a percent sign that starts another escape.
_REFUSED_ESCAPE: Final = re.compile(r"%(?:2[fF]|5[cC]|[01][0-9A-Fa-f]|7[fF]|25[0-9A-Fa-f]{2})")
# What a second decoding would read as an escape, and C1 control characters.
_REFUSED_DECODED: Final = re.compile("%[0-9A-Fa-f]{2}|[\x80-\x9f]")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]{0,31}")
_NEVER_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK", "PRI"})
_USUAL_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DEFAULT_PORT: Final = {"http": 80, "https": 443}
# Some hops name the scheme of a WebSocket handshake so (Traefik does).
_WEBSOCKET_SCHEME: Final = {"ws": "http", "wss": "https"}
_ADDRESS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)


UNIX_PEER: Final = "unix:"
"""Stands for the address of a client on a unix socket, which has none."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trust:
    """Whom to believe and what to answer for; made from the settings at start.

    ``hosts`` are lower-case ``host`` or ``host:port`` names; ``None`` answers for any.
    ``scheme`` is that of the public URL: the operator's word, not the client's. ``unix`` trusts
    whoever may connect to a unix socket of ours.
    """

    scheme: str
    hosts: frozenset[str] | None
    proxies: tuple[Network, ...] = ()
    unix: bool = False

    def trusts(self, address: str) -> bool:
        """Is ``address`` a configured hop? An address that cannot be read is not."""
        if address == UNIX_PEER:
            return self.unix
        if not self.proxies:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(ip in network for network in self.proxies)


def public_hosts(public_url: str, further: Sequence[str]) -> frozenset[str] | None:
    """The Host values that are ours: with and without the scheme's default port."""
    if "*" in further:
        return None
    parts = urlsplit(public_url)
    names = {parts.netloc.lower(), *(name.lower() for name in further)}
    default = f":{_DEFAULT_PORT[parts.scheme]}"
    return frozenset(
        names
        | {name + default for name in names if not re.search(r":\d+$", name)}
        | {name.removesuffix(default) for name in names}
    )


@dataclass(frozen=True, slots=True)
class Hop:
    """What the header lines of a request say of it, whatever its path; ``kind`` is that of a GET.

    ``stated`` is the Host header as it came, the rest is what it means through trusted hops.
    """

    stated: str
    scheme: str
    host: str
    client: str
    kind: Kind


def read_hop(headers: RawHeaders, peer: str, trust: Trust) -> Hop:
    """Read the lines that name the place; ``peer`` is an address. Raises BadRequest (BAD_HEADER,
    BAD_HOST). The Host is parsed here and held against the configured names by ``check_host``.
    """
    fields = _interesting(headers)
    stated = _single(fields, b"host")
    if len(fields.get(b"authorization", ())) > 1:
        # The key that we look at must be the key that the upstream looks at.
        raise BadRequest(Reason.BAD_HEADER, "more than one authorization header")
    scheme, host, client = _through_proxies(fields, stated, peer, trust)
    return Hop(stated, scheme, host, client, read_kind("GET", fields))


def read_target(method: str, raw: str, headers: RawHeaders, peer: str, trust: Trust) -> Target:
    """One request's target. ``raw`` is the request target as received.

    Raises BadRequest: BAD_TARGET, METHOD_NOT_ALLOWED (405), and as ``read_hop`` does.
    """
    check_method(method)
    return target_through(read_hop(headers, peer, trust), method, raw)


def target_through(hop: Hop, method: str, raw: str) -> Target:
    """The target of a request that came so. Raises BadRequest as ``read_target`` does."""
    check_method(method)
    raw_path, query = _split_target(raw, hop.stated)
    return Target(
        method=method,
        scheme=hop.scheme,
        host=hop.host,
        path=decode_path(raw_path),
        raw_path=raw_path,
        query=query,
        kind=_kind_of(method, hop.kind),
        client=hop.client,
    )


def check_method(method: str) -> None:
    """Raises BadRequest for what is no method, and for those that no proxy should know."""
    if method in _NEVER_METHODS:
        raise BadRequest(Reason.METHOD_NOT_ALLOWED, method, status=405)
    if method not in _USUAL_METHODS and not _METHOD.fullmatch(method):
        raise BadRequest(Reason.BAD_TARGET, "method")


def _kind_of(method: str, kind: Kind) -> Kind:
    if method == "GET" or (method == "HEAD" and kind is not Kind.WEBSOCKET):
        return kind
    return Kind.PROGRAM


def check_host(target: Target, trust: Trust) -> None:
    """Raises BadRequest(BAD_HOST, 421) unless the Host is one that we answer for."""
    if trust.hosts is not None and target.host not in trust.hosts:
        raise BadRequest(Reason.BAD_HOST, f"host {target.host!r} is not ours", status=421)


def decode_path(raw: str) -> str:
    """A raw path, decoded once. Raises BadRequest where two readers could disagree about it."""
    if not _PATH.fullmatch(raw):
        raise BadRequest(Reason.BAD_TARGET, "character outside of a path")
    if "//" in raw:
        raise BadRequest(Reason.BAD_TARGET, "empty path segment")
    if "%" in raw:
        raw = _unescape(raw)
    # Some servers cut ;parameters off before they resolve dots: '..;x' is '..' to them.
    if "/." in raw and any(part.partition(";")[0] in (".", "..") for part in raw.split("/")):
        raise BadRequest(Reason.BAD_TARGET, "dot segment")
    return raw


def _unescape(raw: str) -> str:
    if _BAD_ESCAPE.search(raw):
        raise BadRequest(Reason.BAD_TARGET, "broken percent escape")
    if _REFUSED_ESCAPE.search(raw):
        raise BadRequest(Reason.BAD_TARGET, "escaped separator, control character or percent")
    try:
        decoded = unquote_to_bytes(raw).decode("utf-8", "strict")
    except UnicodeDecodeError as exc:
        raise BadRequest(Reason.BAD_TARGET, "path is not UTF-8") from exc
    if _REFUSED_DECODED.search(decoded):
        raise BadRequest(Reason.BAD_TARGET, "escape within an escape, or control character")
    return decoded


_INTERESTING: Final = frozenset(
    {
        b"host",
        b"accept",
        b"authorization",
        b"connection",
        b"upgrade",
        b"sec-fetch-mode",
        b"x-requested-with",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
    }
)
Fields = dict[bytes, list[str]]


def _interesting(headers: RawHeaders) -> Fields:
    fields: Fields = {}
    for name, value in headers:
        lower = name.lower()
        if lower in _INTERESTING:
            fields.setdefault(lower, []).append(value.decode("latin-1"))
    return fields


def _single(fields: Fields, name: bytes) -> str:
    values = fields.get(name, [])
    if len(values) != 1:
        raise BadRequest(Reason.BAD_HEADER, f"{len(values)} {name.decode()} headers")
    return values[0]


def _split_target(raw: str, host: str) -> tuple[str, str]:
    """Origin form, or absolute form that agrees with Host (RFC 9112 section 3.2.2)."""
    if raw[:1] != "/":
        scheme, separator, rest = raw.partition("://")
        if not separator or scheme.lower() not in ("http", "https"):
            raise BadRequest(Reason.BAD_TARGET, "neither origin form nor absolute form")
        cut = min((i for i in (rest.find("/"), rest.find("?")) if i >= 0), default=len(rest))
        authority, raw = rest[:cut], rest[cut:]
        if authority.lower() != host.lower():
            raise BadRequest(Reason.BAD_TARGET, "absolute form and Host disagree")
        if not raw.startswith("/"):
            raw = "/" + raw
    path, _, query = raw.partition("?")
    if not _QUERY.fullmatch(query):
        raise BadRequest(Reason.BAD_TARGET, "character outside of a query")
    return path, query


def _through_proxies(fields: Fields, host: str, peer: str, trust: Trust) -> tuple[str, str, str]:
    """Scheme, host and client address; X-Forwarded-* count only from a configured hop."""
    scheme, client = trust.scheme, peer
    if trust.trusts(peer):
        if b"x-forwarded-proto" in fields:
            scheme = _single(fields, b"x-forwarded-proto").lower()
            scheme = _WEBSOCKET_SCHEME.get(scheme, scheme)
            if scheme not in _DEFAULT_PORT:
                raise BadRequest(Reason.BAD_HEADER, "x-forwarded-proto")
        if b"x-forwarded-host" in fields:
            host = _single(fields, b"x-forwarded-host")
        client = _client_address(fields.get(b"x-forwarded-for", []), peer, trust)
    match = _HOST.fullmatch(host)
    if not match or (match[1] and int(match[1]) > 65535):
        raise BadRequest(Reason.BAD_HOST, "host is not a host name")
    return scheme, host.lower(), client


def _client_address(chain: list[str], peer: str, trust: Trust) -> str:
    """The nearest address that is not a trusted hop, counted from the right.

    An address may have a port. One that cannot be read is refused: it may not end the search.
    """
    client = peer
    for item in reversed([part.strip() for line in chain for part in line.split(",")]):
        if not trust.trusts(client):
            break
        if not item:
            continue
        match = _ADDRESS.fullmatch(item)
        try:
            client = str(ipaddress.ip_address((match[1] or match[2]) if match else item))
        except ValueError as exc:
            raise BadRequest(Reason.BAD_HEADER, "x-forwarded-for") from exc
        if "%" in client:
            raise BadRequest(Reason.BAD_HEADER, "x-forwarded-for with a zone")
    return client


def tokens(values: Sequence[str]) -> set[str]:
    """The lower-case tokens of a comma-separated field (RFC 9110 section 5.6.1)."""
    return {part.strip().lower() for value in values for part in value.split(",")}


def read_kind(method: str, fields: Fields) -> Kind:
    """What the client can do with an answer (Fetch Metadata, else Accept)."""
    if method not in ("GET", "HEAD"):
        return Kind.PROGRAM
    if b"upgrade" in fields:
        asked = tokens(fields[b"upgrade"])
        if "websocket" in asked and "upgrade" in tokens(fields.get(b"connection", [])):
            return Kind.WEBSOCKET if method == "GET" else Kind.PROGRAM
    if b"x-requested-with" in fields:
        return Kind.PROGRAM
    mode = fields.get(b"sec-fetch-mode")
    if mode is not None:
        return Kind.NAVIGATION if mode == ["navigate"] else Kind.PROGRAM
    media = {item.partition(";")[0].strip() for item in tokens(fields.get(b"accept", []))}
    return Kind.NAVIGATION if "text/html" in media else Kind.PROGRAM
