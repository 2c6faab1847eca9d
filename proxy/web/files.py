"""The files that a configuration names: keys and certificates. Read at start and by ``check``."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.web.certificates import certificate_problems
from proxy.web.client_tls import authority_problems, client_tls_problems
from proxy.web.runtime import configured_signers


def file_problems(settings: Settings) -> list[str]:
    """One line for each file that cannot be used; reads files, opens no connection."""
    return [
        *_key_problems(settings),
        *authority_problems("provider.ca_file", settings.provider.ca_file),
        *client_tls_problems(settings.forwarding),
        *certificate_problems(settings.server),
    ]


def _key_problems(settings: Settings) -> Iterator[str]:
    if settings.identity.signing_key_files and settings.identity.algorithm != "HS256":
        try:
            configured_signers(settings)
        except ConfigError as exc:
            yield from exc.problems
