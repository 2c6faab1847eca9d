"""Loading the program in half the time: no search for garbage, no authorities that nobody uses."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # OpenSSL's own variables


@contextmanager
def loading() -> Iterator[None]:
    """Modules are imported inside: there is no garbage yet, and looking for it takes long.

    What is alive in the end stays, so later searches leave it out: shorter pauses.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def trusting_nobody() -> Iterator[None]:
    """TLS contexts that a library makes when it is imported inside trust no authority.

    aiohttp makes two and reads the system's authorities for each, which takes longer than all
    of its modules. We never use them: every connection of ours brings a context of its own, and
    one that did not would be refused.
    """
    before = {name: os.environ.get(name) for name in _AUTHORITIES}
    os.environ.update(dict.fromkeys(_AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
