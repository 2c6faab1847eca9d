"""The process's log: what libraries say goes through our redactor."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from proxy.config.settings import Settings
from proxy.web.serve import make_log

_SETTINGS = Settings.model_validate({"public_url": "http://localhost:4180"})


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_what_libraries_log_is_redacted() -> None:
    stream = io.StringIO()
    log = make_log(_SETTINGS, stream)
    logging.getLogger("asyncio").warning("code=%s", "abc123secret")
    log.flush()
    assert "logger=asyncio" in stream.getvalue()
    assert "abc123secret" not in stream.getvalue()
