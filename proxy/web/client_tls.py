"""TLS towards upstreams: whom we trust, and the certificate that we show."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from proxy.config.settings import Forwarding
from proxy.errors import ConfigError
from proxy.web.keypair import load_pair, why_unusable

_OPTIONS = ("forwarding.client_certificate_file", "forwarding.client_key_file")


def client_tls(settings: Forwarding) -> ssl.SSLContext:
    """Verified, unless told otherwise, against the system's or the configured authorities.

    Raises ConfigError with a line for each file that cannot be used.
    """
    if problems := list(client_tls_problems(settings)):
        raise ConfigError(problems)
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    _show_certificate(context, settings)
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def client_tls_problems(settings: Forwarding) -> Iterator[str]:
    """A line for each file of the settings that cannot be used."""
    yield from authority_problems("forwarding.ca_file", settings.ca_file)
    try:
        _show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)
    except ConfigError as exc:
        yield from exc.problems


def authority_problems(option: str, name: str) -> Iterator[str]:
    """What is wrong with a file of authorities, if one is named; a line at most."""
    try:
        if name:
            ssl.create_default_context(cafile=name)
    except (OSError, ValueError) as exc:
        yield f"{option}: {name}: {why_unusable(exc)}"


def _show_certificate(context: ssl.SSLContext, settings: Forwarding) -> None:
    if settings.client_certificate_file:
        key = settings.client_key_file
        load_pair(context, settings.client_certificate_file, key, _OPTIONS)
