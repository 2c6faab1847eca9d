"""The certificate that TLS listeners show, read again when its files change."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.web.log import Log
from proxy.web.stamp import Stamp, stamp

HANDSHAKE_TIMEOUT: Final = 5.0
_LOOK_EVERY: Final = 3.0
# Forward secrecy and authenticated encryption only (RFC 9325 section 4.2); TLS 1.3 has its own.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


def certificate_problems(server: Server) -> list[str]:
    """What is wrong with the files for ``server.tls_listen``."""
    if server.tls_listen and server.certificate_file:
        try:
            load_context(server)
        except ConfigError as exc:
            return list(exc.problems)
    return []


def load_context(server: Server) -> ssl.SSLContext:
    """A context for ``server.tls_listen``. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = getattr(ssl.TLSVersion, f"TLSv{server.tls_minimum}".replace(".", "_"))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    certificate, key = server.certificate_file, server.key_file or server.certificate_file
    for option, name in (("certificate_file", certificate), ("key_file", key)):
        try:
            with open(name, "rb"):
                pass
        except OSError as exc:
            raise ConfigError([f"server.{option}: {name}: {exc.strerror}"]) from exc
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as exc:
        reason = exc.reason if isinstance(exc, ssl.SSLError) else str(exc)
        names = " and ".join(dict.fromkeys((certificate, key)))
        words = _WORDS.get(reason or "", reason or "certificate or key is missing, or no PEM")
        raise ConfigError([f"server.certificate_file: {names}: {words}"]) from exc
    return context


_WORDS: Final = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "EE_KEY_TOO_SMALL": "the key is too short to be safe",
}


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise ValueError("the key is encrypted: nobody is here to type its password")


class Certificates:
    """``context`` is for the listeners, for good; each handshake gets the newest certificate.

    A changed pair is loaded whole, beside the old one, before it is shown: one that is half
    written or does not fit together changes nothing. Raises ConfigError when there is none to
    begin with. ``every``: seconds between two looks at the files. Of several workers
    only one has a ``log``. Made before a fork, it gives each worker the same pair, even when
    the files have gone since: ``speak`` is for the worker then.
    """

    def __init__(self, server: Server, log: Log | None, every: float = _LOOK_EVERY) -> None:
        self._server = server
        self._log = log
        self._every = every
        self._seen = self._look()
        self._newest = self.context = load_context(server)
        self.context.sni_callback = self._show_newest
        self._told = ""

    def speak(self, log: Log | None) -> None:
        """Tell ``log`` from now on, also of trouble that nobody was told of."""
        self._log = log

    def _show_newest(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        """OpenSSL asks this in every handshake, with or without a name in it."""
        connection.context = self._newest

    async def watch(self) -> None:
        """Look at the files now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            self.refresh()

    def refresh(self) -> None:
        """Load the files anew if they have changed; the same trouble is told once."""
        now = self._look()
        if now == self._seen:
            return
        try:
            self._newest = load_context(self._server)
        except ConfigError as exc:
            words = f"{exc}; the old certificate stays in use"
            # Not taken as seen: it is tried again at the next look.
            if words != self._told and self._log is not None:
                self._tell("warning", words)
                self._told = words
            return
        self._seen, self._told = now, ""
        self._tell("info", "certificate read again")

    def _tell(self, level: str, words: str) -> None:
        if self._log is not None:
            self._log.event(level, words, {"file": self._server.certificate_file})

    def _look(self) -> tuple[Stamp, ...]:
        return tuple(
            stamp(name) for name in (self._server.certificate_file, self._server.key_file) if name
        )
