"""Rules about addresses to listen on and TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from proxy.config.listening import Tcp, parse_address
from proxy.config.settings import Settings

Found = Iterator[tuple[str, str]]


def _addresses(settings: Settings) -> Found:
    server = settings.server
    if not server.listen and not server.tls_listen:
        yield "server.listen", "is off, and server.tls_listen is empty: nobody could come in"
    seen: dict[object, str] = {}
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
            seen[address] = option


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


LISTENING: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("server.listen", "server.tls_listen", "server.private_listen"), _addresses),
    (("server.tls_listen", "server.certificate_file", "server.key_file"), _certificates),
    (("server.redirect_http", "server.tls_listen", "public_url"), _redirect),
)
