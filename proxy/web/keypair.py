"""A certificate and its key, from PEM files into a TLS context, and why that fails."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import MappingProxyType

from proxy.errors import ConfigError

_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
        "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in it",
        "EE_KEY_TOO_SMALL": "the key is too short to be safe",
    }
)


def load_pair(
    context: ssl.SSLContext, certificate: str, key: str, options: tuple[str, str]
) -> None:
    """Load both; an empty ``key`` means that it is in the certificate's file.

    Raises ConfigError, which names the file and the one of ``options`` (that of the certificate,
    that of the key) where it was named.
    """
    key = key or certificate
    for option, name in zip(options, (certificate, key), strict=True):
        try:
            with open(name, "rb"):
                pass
        except (OSError, ValueError) as exc:
            raise ConfigError([f"{option}: {name}: {why_unusable(exc)}"]) from exc
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as exc:
        names = " and ".join(dict.fromkeys((certificate, key)))
        raise ConfigError([f"{options[0]}: {names}: {why_unusable(exc)}"]) from exc


def why_unusable(exc: OSError | ValueError) -> str:
    """Why a file of certificates or keys cannot be used, in words."""
    if isinstance(exc, ssl.SSLError):
        # Without a reason there was nothing that OpenSSL could read as PEM.
        reason = exc.reason or ""
        return _WORDS.get(reason, reason or "certificate or key is missing, or is not PEM")
    return (exc.strerror if isinstance(exc, OSError) else "") or str(exc)


def _no_password() -> str:
    """Instead of OpenSSL's question on the terminal."""
    raise ValueError("the key is encrypted, and nobody is here to type its password")
