"""The process's log: what libraries say goes through our redactor."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from proxy.config.settings import Settings
from proxy.process.serve import make_log

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


def test_the_limit_of_open_files_is_raised_to_what_the_system_allows() -> None:
    """Run apart: a limit that was lowered for good would hit the other tests."""
    code = (
        "import resource\n"
        "from proxy.process.serve import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512))\n"
        "raise_file_limit()\n"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(512, 512)\n"
