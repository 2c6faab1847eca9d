"""What makes the start quick leaves nothing behind."""

from __future__ import annotations

import gc
import os
import ssl
from collections.abc import Iterator

import pytest

from proxy.cli.loading import loading, trusting_nobody


@pytest.fixture
def thawed() -> Iterator[None]:
    """What a test freezes is looked at again afterwards."""
    yield
    gc.unfreeze()


class _Expected(Exception):
    pass


@pytest.mark.usefixtures("thawed")
@pytest.mark.parametrize("error", [False, True], ids=["loaded", "fails to load"])
def test_garbage_is_looked_for_again_after_loading(error: bool) -> None:
    gc.unfreeze()
    try:
        with loading():
            assert not gc.isenabled()
            if error:
                raise _Expected
    except _Expected:
        pass
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("before", ["/etc/ssl/own.pem", ""], ids=["set", "set to nothing"])
def test_the_variables_of_openssl_are_as_before(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", before)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with pytest.raises(_Expected), trusting_nobody():
        raise _Expected
    assert os.environ["SSL_CERT_FILE"] == before
    assert "SSL_CERT_DIR" not in os.environ


def test_contexts_made_inside_trust_nobody() -> None:
    with trusting_nobody():
        inside = ssl.create_default_context()
    assert inside.cert_store_stats() == {"x509": 0, "crl": 0, "x509_ca": 0}
    assert inside.verify_mode is ssl.CERT_REQUIRED
