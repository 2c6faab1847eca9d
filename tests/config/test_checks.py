"""The rules between options."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.access import AccessRules
from proxy.config.checks import ROWS, check
from proxy.config.declaration import options
from proxy.config.settings import Route
from tests.config.configurations import MINIMAL, SECRET, SEVERAL, load_text, problems_of


def reported(flags: Mapping[str, str], text: str = MINIMAL) -> str:
    """All problems of ``text`` with some options set as flags, in one text."""
    return "\n".join(problems_of(text, flags=flags))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"cookie.secret": "short"}, "cookie.secret: looks like", id="weak secret"),
        pytest.param(
            {"cookie.secret": f"{SECRET},0123456789abcdef"},
            "cookie.secret: secret 2 of the list holds 12 bytes",
            id="a weak old secret",
        ),
        pytest.param(
            {"identity.algorithm": "HS256"},
            "identity.shared_secret: HS256 needs a shared secret of 32 bytes",
            id="HS256 without a shared secret",
        ),
        pytest.param(
            {"identity.algorithm": "HS256", "identity.shared_secret": SECRET},
            "identity.shared_secret: must differ",
            id="the cookie secret given away",
        ),
        pytest.param(
            {"public_url": "http://app.example.org"}, "public_url: must be https", id="app on http"
        ),
        pytest.param(
            {"public_url": "http://localhost:1", "cookie.same_site": "None"},
            "cookie.same_site: None needs",
            id="SameSite=None without Secure",
        ),
        pytest.param(
            {"cookie.name": "__Host-x", "cookie.domain": "example.org"},
            "cookie.name: a __Host- cookie cannot have a domain",
            id="__Host- with a domain",
        ),
        pytest.param(
            {"cookie.name": "__Secure-x", "cookie.secure": "false"},
            "cookie.name: a name with this prefix needs",
            id="__Secure- without Secure",
        ),
        pytest.param(
            {"cookie.domain": "example.com"}, "cookie.domain: the host of", id="foreign domain"
        ),
        pytest.param(
            {"session.lifetime": "1h", "session.idle_timeout": "2h"},
            "session.idle_timeout: must not be longer",
            id="idle longer than life",
        ),
        pytest.param({"session.lifetime": "0"}, "session.lifetime: must be", id="no lifetime"),
        pytest.param(
            {"auth.disabled": "true", "server.listen": "0.0.0.0:4180"},
            "auth.disabled: would let anyone in through 0.0.0.0:4180",
            id="E4.2 no authentication on a public address",
        ),
        pytest.param(
            {"server.listen": "127.0.0.1:4181"},
            "server.private_listen: must differ",
            id="both on one port",
        ),
    ],
)
def test_what_does_not_fit_together(flags: Mapping[str, str], expected: str) -> None:
    assert expected in reported(flags)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({"public_url": "http://localhost:4180"}, id="a local app"),
        pytest.param(
            {"public_url": "http://app.example.org", "cookie.secure": "false"}, id="stated http"
        ),
        pytest.param({"session.lifetime": "1h"}, id="a life shorter than the default idle limit"),
        pytest.param({"server.private_listen": "off"}, id="no private port"),
        pytest.param({"cookie.domain": "example.org"}, id="a parent domain"),
        pytest.param(
            {
                "auth.disabled": "true",
                "server.listen": ":4180",
                "auth.disabled_on_public_address": "true",
            },
            id="no authentication, said twice",
        ),
    ],
)
def test_what_fits(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""


def test_without_authentication_neither_provider_nor_secret_is_needed() -> None:
    text = "public_url: http://localhost:4180\nupstream: http://app\nauth:\n  disabled: true\n"
    assert problems_of(text) == []


def test_rules_whose_options_are_broken_are_left_out() -> None:
    settings = load_text(MINIMAL)
    assert check(settings, frozenset({"cookie.secret"})) == []


def test_a_row_is_left_out_when_something_in_an_entry_is_broken() -> None:
    routes = (Route(path="/a"), Route(path="/a"))
    settings = load_text(MINIMAL).model_copy(update={"routes": routes})
    assert [problem.path for problem in check(settings)] == ["routes.1"]
    assert check(settings, frozenset({"routes.0.methods"})) == []
    assert check(settings, frozenset({"routes_of_others"})) != []


def test_a_row_that_reads_one_key_of_entries_is_left_out_for_no_other() -> None:
    rules = AccessRules(providers=("nobody",))
    settings = load_text(SEVERAL).model_copy(update={"access": rules})
    assert [problem.path for problem in check(settings)] == ["access.providers"]
    assert len(check(settings, frozenset({"providers.1.timeout"}))) == 1
    for broken in ("providers", "providers.1.name"):
        assert check(settings, frozenset({broken})) == []


def test_rows_name_options_that_exist() -> None:
    known = {option.key for option in options()}
    for option in options():
        if option.entry:
            known |= {f"{option.key}.*.{inner.key}" for inner in options(option.entry)}
    assert {name for row in ROWS for name in row.reads} <= known
