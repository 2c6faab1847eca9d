"""The files that a configuration names: keys and certificates. Read at start and by ``check``."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from proxy.config.keeping import Redis
from proxy.config.providers import places_of, providers_of
from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.session.database import check_owner
from proxy.web.certificates import certificate_problems
from proxy.web.client_tls import authority_problems, client_tls_problems
from proxy.web.credentials import credential_problems
from proxy.web.hooks import hook_problems, import_problems
from proxy.web.keypair import load_pair
from proxy.web.lists import list_problems
from proxy.web.provider_tls import provider_tls_problems
from proxy.web.runtime import configured_signers


def file_problems(settings: Settings, *, importing: bool = False) -> list[str]:
    """One line for each file that cannot be used; reads files, opens no connection.

    ``importing``: import hooks too, which runs code of theirs. Whoever forks servers does not:
    they import their own, as the files are by then.
    """
    hooks = import_problems if importing else hook_problems
    return [
        *_key_problems(settings),
        *_provider_problems(settings),
        *client_tls_problems(settings.forwarding),
        *certificate_problems(settings.server),
        *_redis_problems(settings.redis),
        *_store_problems(settings.session.file),
        *list_problems(settings),
        *hooks(settings.hooks),
    ]


def _key_problems(settings: Settings) -> Iterator[str]:
    if settings.identity.signing_key_files and settings.identity.algorithm != "HS256":
        try:
            configured_signers(settings)
        except ConfigError as exc:
            yield from exc.problems


def _provider_problems(settings: Settings) -> Iterator[str]:
    if settings.auth.disabled:
        return
    for where, provider in zip(places_of(settings), providers_of(settings), strict=True):
        yield from provider_tls_problems(provider, where)
        yield from credential_problems(provider, where)
    for number, issuer in enumerate(settings.bearer.issuers):
        yield from authority_problems(f"bearer.issuers.{number}.ca_file", issuer.ca_file)


def _redis_problems(redis: Redis) -> Iterator[str]:
    yield from authority_problems("redis.ca_file", redis.ca_file)
    if redis.certificate_file:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            options = ("redis.certificate_file", "redis.key_file")
            load_pair(context, redis.certificate_file, redis.key_file, options)
        except ConfigError as exc:
            yield from exc.problems


def _store_problems(name: str) -> Iterator[str]:
    """SQLite makes further files beside its own: the directory must be ours to write in."""
    if not name:
        return
    path = Path(name)
    try:
        if not stat.S_ISDIR(os.stat(path.parent).st_mode):
            yield f"session.file: {path.parent}: Not a directory"
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            yield f"session.file: {path.parent}: nothing can be written in this directory"
        elif path.exists() and not path.is_file():
            yield f"session.file: {name}: is not a regular file"
        elif path.exists() and not os.access(path, os.R_OK | os.W_OK):
            yield f"session.file: {name}: cannot be read and written"
        elif path.exists():
            check_owner(path.stat())
    except PermissionError as exc:
        yield f"session.file: {name}: {exc.strerror}"
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        yield f"session.file: {path.parent}: {reason}"
