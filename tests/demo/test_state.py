"""How requests to the demo's provider are read, and where it lives."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from proxy.demo.behaviour import OAuthError
from proxy.demo.state import ProviderConfig, same, single


@pytest.mark.parametrize(
    ("issuer", "path", "secure"),
    [
        pytest.param("http://localhost:4455", "", False, id="root"),
        pytest.param("https://id.example/", "", True, id="root with slash"),
        pytest.param("https://id.example/api/v2", "/api/v2", True, id="path"),
        pytest.param("https://id.example/realm/", "/realm", True, id="path with slash"),
    ],
)
def test_the_issuer_says_where_endpoints_are(issuer: str, path: str, secure: bool) -> None:
    config = ProviderConfig(issuer, ())
    assert (config.base_path, config.secure) == (path, secure)


def test_an_empty_parameter_is_an_absent_one() -> None:
    assert single(MultiDict([("a", "1"), ("b", "")])) == {"a": "1"}


def test_a_parameter_twice_is_an_error() -> None:
    with pytest.raises(OAuthError, match="more than once"):
        single(MultiDict([("a", "1"), ("a", "1")]))


@pytest.mark.parametrize(("a", "b", "equal"), [("é", "é", True), ("a", "b", False), ("", "", True)])
def test_secrets_are_compared_as_text(a: str, b: str, equal: bool) -> None:
    assert same(a, b) is equal


def test_the_signing_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(ProviderConfig("http://x", (), signing_key=b"PRIVATE"))
