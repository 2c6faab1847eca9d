"""The rules about hooks, provisioning and the page for debugging."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.config.configurations import MINIMAL, problems_of

NO_UPSTREAM = MINIMAL.replace("upstream: http://app:8501\n", "")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"hooks.post_login": "people:admit"}, "", id="a hook"),
        pytest.param({"hooks.post_login": "our.people:admit"}, "", id="in a package"),
        pytest.param({"hooks.post_login": "people.admit"}, "", id="with a dot"),
        pytest.param({"hooks.post_login": "people"}, "post_login: 'people'", id="no function"),
        pytest.param({"hooks.post_login": "a..b:c"}, "'a..b:c' is not module:function", id="dots"),
        pytest.param({"hooks.post_login": "a.1:c"}, "'a.1:c' is not module:function", id="a digit"),
        pytest.param({"hooks.post_login": "a/b.py:c"}, "hooks.post_login: 'a/b.py:c'", id="a path"),
        pytest.param({"provisioning.url": "/users/me"}, "", id="a path of the upstream"),
        pytest.param({"provisioning.url": "https://users.example.org/new"}, "", id="a URL"),
        pytest.param(
            {"provisioning.url": "/me", "upstream": "unix:/run/app.sock"},
            "provisioning.url: a path needs an http upstream, and no socket",
            id="a path of a socket",
        ),
        pytest.param(
            {"provisioning.url": "ftp://users.example.org"}, "provisioning.url: 'ftp", id="ftp"
        ),
        pytest.param(
            {"provisioning.url": "https:///new"}, "provisioning.url: 'https:///", id="no host"
        ),
        pytest.param(
            {"provisioning.url": "https://me:tiger@users.example.org"},
            "provisioning.url: a URL holds no user name or password here",
            id="a password",
        ),
        pytest.param({"debug.enabled": "true"}, "debug.roles: is needed", id="for nobody"),
        pytest.param({"debug.enabled": "true", "debug.roles": "admin"}, "", id="for some"),
        pytest.param({"debug.roles": "admin"}, "", id="switched off"),
    ],
)  # fmt: skip
def test_what_happens_around_a_sign_in(flags: Mapping[str, str], expected: str) -> None:
    found = "\n".join(problems_of(MINIMAL, flags=flags))
    assert expected in found
    assert len(found.splitlines()) == bool(expected)
    assert "tiger" not in found


def test_a_path_needs_an_upstream_for_all() -> None:
    routes = "[{path: '/*', upstream: 'http://a'}]"
    flags = {"routes": routes, "provisioning.url": "/me"}
    [problem] = problems_of(NO_UPSTREAM, flags=flags)
    assert "provisioning.url: a path needs a global upstream; or write a whole URL" in problem
