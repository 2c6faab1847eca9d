"""Which addresses a terminal speaks to."""

from __future__ import annotations

import pytest

from proxy.cli.origin import Mistake, Origin, origin_of, prefix_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("https://app.example.org", "https://app.example.org", id="a name"),
        pytest.param("https://app.example.org/", "https://app.example.org", id="a slash"),
        pytest.param("HTTPS://App.Example.org:443", "https://app.example.org", id="one spelling"),
        pytest.param("https://app.example.org:8443", "https://app.example.org:8443", id="a port"),
        pytest.param("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443", id="IPv6"),
        pytest.param("http://localhost:4180", "http://localhost:4180", id="this machine"),
        pytest.param("http://127.0.0.9", "http://127.0.0.9", id="loopback"),
        pytest.param("http://[::1]:4180", "http://[::1]:4180", id="loopback of IPv6"),
    ],
)
def test_an_origin_has_one_spelling(text: str, shown: str) -> None:
    origin = origin_of(text)
    assert str(origin) == shown
    assert origin_of(shown) == origin


def test_origins_differ_by_scheme_host_and_port() -> None:
    texts = ("https://localhost", "http://localhost", "https://localhost:80", "https://local")
    assert len({origin_of(text) for text in texts}) == 4
    assert origin_of("https://localhost") == Origin("https", "localhost", 443)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("http://app.example.org", id="http across the network"),
        pytest.param("http://localhost.example.org", id="a name that only begins so"),
        pytest.param("http://0.0.0.0", id="everywhere"),
        pytest.param("http://127.0.0.1.example.org", id="a name of digits"),
        pytest.param("app.example.org", id="no scheme"),
        pytest.param("ftp://app.example.org", id="another scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://app.example.org/api", id="a path"),
        pytest.param("https://app.example.org?x", id="a query"),
        pytest.param("https://app.example.org#x", id="a fragment"),
        pytest.param("https://app.example.org:x", id="no port"),
        pytest.param("https://app.example.org:99999", id="a large port"),
        pytest.param("https://app example.org", id="a space"),
        pytest.param("https://app.example.org\\.evil.example", id="a backslash"),
        pytest.param("https://exämple.org", id="no ASCII"),
        pytest.param("https://a..example.org", id="an empty label"),
        pytest.param("https://[::1%25eth0]", id="a zone"),
        pytest.param("https://[::1", id="half a bracket"),
        pytest.param("", id="nothing"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Mistake):
        origin_of(text)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(Mistake) as caught:
        origin_of("https://ann:hunter2@app.example.org")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["/oauth2", "/a/b", "/_auth-1.0"])
def test_a_prefix_is_a_path(text: str) -> None:
    assert prefix_of(text) == text


@pytest.mark.parametrize(
    "text", ["", "/", "oauth2", "/a/", "//host", "/a?b", "/a b", "/a\r\nb", "/../x", "/a/.", "/%2e"]
)
def test_any_other_prefix_is_refused(text: str) -> None:
    with pytest.raises(Mistake, match="--prefix"):
        prefix_of(text)
