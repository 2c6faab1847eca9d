"""The list of options."""

from __future__ import annotations

import pytest

from proxy.config.access import ClaimRule, Rule
from proxy.config.declaration import (
    Form,
    Place,
    dotted,
    innermost,
    nearest,
    options,
    secret_of_file,
    sections,
    suggestion,
)
from proxy.config.provider import Provider


def test_no_two_options_share_a_variable_or_a_flag() -> None:
    every = list(options())
    assert len({option.variable for option in every}) == len(every)
    assert len({option.flag for option in every}) == len(every)


def test_no_option_is_taken_for_the_file_of_another() -> None:
    """``access.emails_file`` is an option of its own: emails are no secret."""
    variables = {option.variable for option in options()}
    secret = {option.variable for option in options() if option.secret}
    assert not {f"{variable}_FILE" for variable in secret} & variables
    for model in (Provider, Rule):
        keys = {option.key for option in options(model)}
        assert not {f"{option.key}_file" for option in options(model) if option.secret} & keys


def test_every_option_says_what_it_is_for() -> None:
    assert [option.key for option in options() if len(option.description) < 5] == []
    assert all(description for _, description in sections().values())


@pytest.mark.parametrize(
    ("key", "form"),
    [
        ("public_url", Form.URL),
        ("upstream", Form.URLS),
        ("provider.client_id", Form.TEXT),
        ("provider.client_secret", Form.SECRET),
        ("provider.pkce", Form.CHOICE),
        ("provider.extra_headers", Form.TABLE),
        ("provider.timeout", Form.DURATION),
        ("cookie.secret", Form.SECRETS),
        ("cookie.secure", Form.YES_NO),
        ("access.email_verified", Form.CHOICE),
        ("access.groups.any", Form.LIST),
        ("access.claims", Form.ENTRIES),
        ("server.listen", Form.ADDRESSES),
        ("server.unix_mode", Form.TEXT),
        ("server.trusted_proxies", Form.NETWORKS),
        ("server.max_header_size", Form.SIZE),
        ("server.max_headers", Form.NUMBER),
        ("routes", Form.ENTRIES),
        ("providers", Form.ENTRIES),
        ("provider.https_proxy", Form.SECRET),
        ("provider.entra.tenant", Form.TEXT),
        ("access.any", Form.ENTRIES),
        ("access.not", Form.ENTRIES),
    ],
)
def test_how_an_option_is_written(key: str, form: Form) -> None:
    assert {option.key: option.form for option in options()}[key] is form


def test_names() -> None:
    option = next(option for option in options() if option.key == "access.groups.any")
    assert (option.variable, option.flag) == ("AUTH_PROXY_ACCESS_GROUPS_ANY", "--access-groups-any")


def test_nearest() -> None:
    assert nearest("client_idd", ["client_id", "scope"]) == "client_id"
    assert nearest("zzz", ["client_id", "scope"]) == ""


def test_words_of_pythons_are_named_as_they_are_written() -> None:
    assert {"any", "all", "not"} < {option.key for option in options(Rule)}
    assert "in" in {option.key for option in options(ClaimRule)}
    assert not [option.key for option in options() if "_." in option.key or option.key[-1] == "_"]


def test_rules_hold_rules() -> None:
    [inner] = [option for option in options(Rule) if option.key == "not"]
    assert inner.entry is Rule


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        pytest.param(("log", "level"), "log.level", id="an option"),
        pytest.param(("headers", "extra", "X-A"), "headers.extra", id="in a mapping"),
        pytest.param(("routes",), "routes", id="a list"),
        pytest.param(("routes", 1), "routes", id="an entry"),
        pytest.param(("routes", 1, "path"), "routes.1.path", id="a key of an entry"),
        pytest.param(("routes", 1, "methods", 0), "routes.1.methods", id="an item there"),
        pytest.param(("routes", 1, "rule", "groups"), "routes", id="a group of keys"),
        pytest.param(
            ("access", "any", 0, "not", 1, "claims", 2, "in"),
            "access.any.0.not.1.claims.2.in",
            id="deep",
        ),
        pytest.param(
            ("access", "not", "emails", 0), "access.not.emails", id="one entry without a list"
        ),
        pytest.param(
            ("providers", 0, "client_secret_file"), "providers.0.client_secret", id="a secret file"
        ),
        pytest.param(("redis", "password_file"), "redis.password", id="another"),
        pytest.param(("providers", 0, "client_id_file"), "providers", id="no secret"),
        pytest.param(("nothing", 0), "", id="none"),
        pytest.param((), "", id="nowhere"),
    ],
)
def test_the_innermost_option_of_a_place(place: Place, expected: str) -> None:
    found, option = innermost(place)
    assert dotted(found) == expected
    assert (option is None) is (expected == "")
    if option:
        assert expected.endswith(option.key)


def test_the_secret_that_a_key_names_a_file_of() -> None:
    assert secret_of_file(("client_secret_file",), Provider) is not None
    assert secret_of_file(("client_id_file",), Provider) is None
    assert secret_of_file(("client_secret",), Provider) is None
    assert secret_of_file(()) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("rule.emial", ", did you mean rule.emails?", id="with the same parent"),
        pytest.param("emails", ", did you mean rule.emails?", id="the same word elsewhere"),
        pytest.param("pth", ", did you mean path?", id="nearly"),
        pytest.param("rull", ", did you mean rule?", id="nearly a group of keys"),
        pytest.param("qqqq", "", id="like none"),
    ],
)
def test_suggestions(name: str, expected: str) -> None:
    assert suggestion(name, iter(["path", "rule.emails", "rule.groups.any"])) == expected
