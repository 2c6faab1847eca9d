"""How failures are told."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from proxy.wire.failures import why


def _mistrust() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def _alert() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] … (_ssl.c:2580)")
    error.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"),
            "Connection refused",
            id="asyncio's words",
        ),
        pytest.param(OSError(errno.ENOENT, "…"), "No such file or directory", id="system"),
        pytest.param(_mistrust(), "TLS: the certificate is refused: certificate has expired",
                     id="certificate"),
        pytest.param(_alert(), "TLS: tlsv13 alert certificate required", id="alert"),
        pytest.param(ConnectionResetError(), "the other side closed the connection", id="bare"),
        pytest.param(socket.gaierror(-2, "Name or service not known"),
                     "[Errno -2] Name or service not known", id="name"),
        pytest.param(ValueError(), "ValueError", id="wordless"),
    ],
)  # fmt: skip
def test_why(error: Exception, words: str) -> None:
    assert why(error) == words
