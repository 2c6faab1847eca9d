"""What happens around a sign-in, as it is declared."""

from __future__ import annotations

import pytest

from tests.config.configurations import MINIMAL, load_text, problems_of


def test_nothing_happens_that_nobody_asked_for() -> None:
    settings = load_text(MINIMAL)
    assert (settings.hooks.post_login, settings.provisioning.url) == ("", "")
    assert (settings.debug.enabled, settings.debug.roles) == (False, ())


def test_what_fails_refuses_by_default() -> None:
    assert load_text(MINIMAL).provisioning.failure == "refuse"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("hooks.post_login", "os.system('x')", id="a call"),
        pytest.param("hooks.post_login", "/srv/people.py:admit", id="a path"),
        pytest.param("hooks.timeout", "0s", id="no time"),
        pytest.param("provisioning.url", "users/me", id="a relative path"),
        pytest.param("provisioning.url", "/me?a=b", id="a query"),
        pytest.param("provisioning.url", "https://a.example/\nHost: b", id="a line break"),
        pytest.param("provisioning.retries", "6", id="too many tries"),
        pytest.param("provisioning.remember", "10s", id="too short a memory"),
        pytest.param("login.max_attempts", "8", id="too many tabs"),
    ],
)
def test_what_is_refused(key: str, value: str) -> None:
    [problem] = problems_of(MINIMAL, flags={key: value})
    assert f"{key}: " in problem
