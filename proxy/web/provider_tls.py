"""TLS towards a provider: whom we trust, and the certificate that we show (RFC 8705)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

from proxy.config.provider import Provider
from proxy.errors import ConfigError
from proxy.web.client_tls import authority_problems
from proxy.web.keypair import load_pair
from proxy.web.stamp import Stamp, stamp


def provider_tls_problems(settings: Provider, where: str = "provider") -> Iterator[str]:
    """A line for each file that cannot be used; ``where`` the settings are written."""
    yield from authority_problems(f"{where}.ca_file", settings.ca_file)
    try:
        _show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings, where)
    except ConfigError as exc:
        yield from exc.problems


class ProviderTls:
    """Always verified, against ``ca_file`` or else the system's authorities.

    Raises ConfigError with a line for each file that cannot be used.
    """

    def __init__(self, settings: Provider) -> None:
        if problems := list(provider_tls_problems(settings)):
            raise ConfigError(problems)
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        self._made_of: tuple[Stamp, ...] = ()
        self._loading = asyncio.Lock()

    async def context(self) -> ssl.SSLContext:
        """What connections use now: made in a thread for the first, and anew when a file has
        changed; while the new files are unusable the old ones serve. Raises ConfigError.
        """
        async with self._loading:
            seen = self._look()
            if self._context is None or seen != self._made_of:
                self._context, self._made_of = await self._renewed(), seen
            return self._context

    async def _renewed(self) -> ssl.SSLContext:
        try:
            return await asyncio.to_thread(_load, self._settings)
        except ConfigError:
            if self._context is None:
                raise
            return self._context

    def _look(self) -> tuple[Stamp, ...]:
        settings = self._settings
        files = settings.ca_file, settings.tls_certificate_file, settings.tls_key_file
        return tuple(stamp(name) for name in files if name)


def _load(settings: Provider) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ValueError) as exc:
        raise ConfigError([f"provider.ca_file: {settings.ca_file}: {exc}"]) from exc
    context.set_alpn_protocols(["http/1.1"])
    _show_certificate(context, settings, "provider")
    return context


def _show_certificate(context: ssl.SSLContext, settings: Provider, where: str) -> None:
    if settings.tls_certificate_file:
        options = f"{where}.tls_certificate_file", f"{where}.tls_key_file"
        load_pair(context, settings.tls_certificate_file, settings.tls_key_file, options)
