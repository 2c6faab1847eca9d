"""What we sign in to a provider with, from files that may change while we run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from proxy.config.provider import Provider
from proxy.crypto.client_key import load_client_signers
from proxy.crypto.jwt import Signer
from proxy.errors import ConfigError
from proxy.oidc.client_auth import Proof
from proxy.oidc.metadata import Incomplete
from proxy.web.stamp import Stamp, stamp

_LARGEST: Final = 64 * 1024
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}")
_SIGNS: Final = frozenset({"auto", "private_key_jwt"})


def credential_problems(settings: Provider, where: str = "provider") -> Iterator[str]:
    """A line for each file that cannot be used; ``where`` the settings are written."""
    for option, read in (("client_key_file", _signers), ("client_assertion_file", _assertion)):
        if getattr(settings, option):
            try:
                read(settings)
            except (OSError, ValueError) as exc:
                yield f"{where}.{option}: {getattr(settings, option)}: {_why(exc)}"


class Credentials:
    """The key of ``client_key_file``, or the assertion that is in ``client_assertion_file``.

    ``token``: () → random text, different each time. Raises ConfigError for unusable files.
    """

    def __init__(
        self, settings: Provider, clock: Callable[[], float], token: Callable[[], str]
    ) -> None:
        if problems := list(credential_problems(settings)):
            raise ConfigError(problems)
        self._settings = settings
        self._clock = clock
        self._token = token
        self._signers: tuple[Signer, ...] = ()
        self._made_of: Stamp = None

    async def proof(self) -> Proof:
        """For one request. An assertion is read each time; a key when its file has changed, and
        the last good one serves while that cannot be used. Raises Incomplete.
        """
        settings, assertion = self._settings, ""
        if settings.token_auth_method in _SIGNS:
            if settings.client_assertion_file:
                assertion = await asyncio.to_thread(self._ready_assertion)
            elif settings.client_key_file:
                await asyncio.to_thread(self._look)
        return Proof(self._clock(), self._token(), self._signers, assertion)

    def _ready_assertion(self) -> str:
        try:
            return _assertion(self._settings)
        except (OSError, ValueError) as exc:
            raise _unusable("client_assertion_file", exc) from exc

    def _look(self) -> None:
        seen = stamp(self._settings.client_key_file)
        if seen == self._made_of and self._signers:
            return
        try:
            self._signers, self._made_of = _signers(self._settings), seen
        except (OSError, ValueError) as exc:
            if not self._signers:
                raise _unusable("client_key_file", exc) from exc


def _signers(settings: Provider) -> tuple[Signer, ...]:
    pem = _read(settings.client_key_file)
    return load_client_signers(pem, settings.client_key_id)


def _assertion(settings: Provider) -> str:
    text = _read(settings.client_assertion_file).decode("ascii").strip()
    if not _COMPACT.fullmatch(text):
        raise ValueError("it holds no signed JWT")
    return text


def _read(name: str) -> bytes:
    with Path(name).open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise ValueError("it is larger than 64 KiB")
    return data


def _why(exc: OSError | ValueError) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "it holds no signed JWT"
    return (exc.strerror if isinstance(exc, OSError) else "") or str(exc)


def _unusable(option: str, exc: OSError | ValueError) -> Incomplete:
    return Incomplete(f"{option}: {_why(exc)}", [option])
