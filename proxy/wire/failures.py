"""What broke a connection, in words of the system or of OpenSSL: for the log, never for clients."""

from __future__ import annotations

import os
import ssl


def why(error: BaseException) -> str:
    """One short phrase."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    if isinstance(error, ConnectionError):  # asyncio's own, for a handshake that ends early
        return "the other side closed the connection"
    return str(error) or type(error).__name__
