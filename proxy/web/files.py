"""The files that a configuration names: keys and certificates. Read at start and by ``check``."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.web.runtime import load_signers


def file_problems(settings: Settings) -> list[str]:
    """One line for each file that cannot be used; reads files, opens no connection."""
    return [*_key_problems(settings), *_authority_problems(settings)]


def _key_problems(settings: Settings) -> Iterator[str]:
    if settings.identity.signing_key_files and settings.identity.algorithm != "HS256":
        try:
            load_signers(settings)
        except ConfigError as exc:
            yield from exc.problems


def _authority_problems(settings: Settings) -> Iterator[str]:
    named = {
        "provider.ca_file": settings.provider.ca_file,
        "forwarding.ca_file": settings.forwarding.ca_file,
    }
    for option, name in named.items():
        try:
            if name:
                ssl.create_default_context(cafile=name)
        except (OSError, ssl.SSLError) as exc:
            reason = exc.strerror or exc.reason if isinstance(exc, ssl.SSLError) else exc.strerror
            yield f"{option}: {name}: {reason or exc}"
