"""The list of options."""

from __future__ import annotations

import pytest

from proxy.config.declaration import Form, nearest, options, sections


def test_no_two_options_share_a_variable_or_a_flag() -> None:
    every = list(options())
    assert len({option.variable for option in every}) == len(every)
    assert len({option.flag for option in every}) == len(every)


def test_no_option_is_taken_for_the_file_of_another() -> None:
    variables = {option.variable for option in options()}
    assert not {f"{variable}_FILE" for variable in variables} & variables


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
