"""Rules about addresses to listen on and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

from proxy.config.listening import Systemd, Tcp, parse_address
from proxy.config.settings import Settings

Found = Iterator[tuple[str, str]]


def _addresses(settings: Settings) -> Found:
    server = settings.server
    if not server.listen and not server.tls_listen:
        yield "server.listen", "is off, and server.tls_listen is empty: nobody could come in"
    seen: dict[object, str] = {}
    written: dict[str, object] = {}
    for option in ("listen", "tls_listen", "private_listen"):
        for name in getattr(server, option):
            address = parse_address(name)
            first = seen.get(address)
            if isinstance(address, Tcp) and address.port == 0:
                continue  # any free port: two of them differ
            if first == option:
                yield f"server.{option}", f"names {name} twice"
            elif first is not None:
                yield f"server.{option}", f"must differ from server.{first} ({name})"
            elif isinstance(address, Tcp):
                yield from _overlaps(option, name, address, written)
            seen[address] = option
            written[f"{name} in server.{option}"] = address


def _overlaps(option: str, name: str, address: Tcp, written: Mapping[str, object]) -> Found:
    """``:80`` takes port 80 of every IPv4 address, ``[::]:80`` that of every IPv6 address."""
    for other_name, other in written.items():
        if isinstance(other, Tcp) and other.port == address.port and _meet(address, other):
            yield f"server.{option}", f"{name} collides with our own {other_name}"


def _meet(one: Tcp, other: Tcp) -> bool:
    """Does one take all addresses, and is the other one of them?"""
    hosts = {one.host, other.host}
    if _version(one.host) != _version(other.host):
        return False
    return bool(hosts & {"0.0.0.0", "::"})  # noqa: S104


def _version(host: str) -> int:
    """4 or 6; 0 for a name, which may have addresses of both kinds."""
    try:
        return ip_address(host).version
    except ValueError:
        return 0


def _certificates(settings: Settings) -> Found:
    server = settings.server
    if server.tls_listen and not server.certificate_file:
        yield "server.certificate_file", "is needed for server.tls_listen"
    for option in ("certificate_file", "key_file"):
        if getattr(server, option) and not server.tls_listen:
            yield f"server.{option}", "is of no use: server.tls_listen is empty"


def _redirect(settings: Settings) -> Found:
    if not settings.server.redirect_http:
        return
    if not settings.server.tls_listen:
        yield "server.redirect_http", "leads to TLS: it needs server.tls_listen"
    if not settings.public_url.startswith("https:"):
        yield "server.redirect_http", "needs an https public_url"
    if not any(isinstance(parse_address(it), Tcp | Systemd) for it in settings.server.listen):
        yield "server.redirect_http", "is for plain TCP: server.listen has no such address"


LISTENING: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("server.listen", "server.tls_listen", "server.private_listen"), _addresses),
    (("server.tls_listen", "server.certificate_file", "server.key_file"), _certificates),
    (
        ("server.redirect_http", "server.listen", "server.tls_listen", "public_url"),
        _redirect,
    ),
)
