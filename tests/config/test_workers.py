"""server.workers: what may be written."""

from __future__ import annotations

import pytest

from proxy.config.workers import AUTO, parse_workers
from tests.config.configurations import MINIMAL, load_text, problems_of


@pytest.mark.parametrize(
    ("written", "workers"), [(1, 1), ("4", 4), (" 2 ", 2), (256, 256), ("auto", AUTO)]
)
def test_workers_are_read(written: object, workers: int) -> None:
    assert parse_workers(written) == workers


@pytest.mark.parametrize(
    "written", [0, -1, 257, True, 1.5, "0", "many", "", "1e2", "²", "99999", None]
)
def test_nonsense_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="neither auto nor a number from 1 to 256"):
        parse_workers(written)


@pytest.mark.parametrize("written", ["1", "2", "auto"])
def test_any_number_of_workers_may_refresh(written: str) -> None:
    environ = {"AUTH_PROXY_SERVER_WORKERS": written, "AUTH_PROXY_SESSION_REFRESH_EVERY": "5m"}
    assert problems_of(MINIMAL, environ) == []


def test_one_worker_is_the_default() -> None:
    assert load_text(MINIMAL).server.workers == 1
