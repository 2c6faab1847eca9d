"""Where an upstream listens, read from how it is written."""

from __future__ import annotations

import pytest

from proxy.wire.origin import Origin


@pytest.mark.parametrize(
    ("url", "origin", "authority", "shown"),
    [
        ("http://app:8501", Origin("http", "app", 8501), "app:8501", "app:8501"),
        ("http://app", Origin("http", "app", 80), "app", "app"),
        ("https://App/base", Origin("https", "app", 443), "app", "app"),
        ("https://[::1]:8443", Origin("https", "::1", 8443), "[::1]:8443", "[::1]:8443"),
        (
            "unix:/run/app.sock",
            Origin("http", "localhost", 80, "/run/app.sock"),
            "localhost",
            "unix:/run/app.sock",
        ),
        (
            "unix:/run/app.sock:/base",
            Origin("http", "localhost", 80, "/run/app.sock"),
            "localhost",
            "unix:/run/app.sock",
        ),
    ],
)
def test_an_origin_is_read_from_its_url(
    url: str, origin: Origin, authority: str, shown: str
) -> None:
    assert Origin.parse(url) == origin
    assert origin.authority == authority
    assert str(origin) == shown


@pytest.mark.parametrize(
    "url",
    ["app:80", "ftp://app", "http://", "http://u:p@app", "http://a:b", "unix:", "unix:app.sock"],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Origin.parse(url)
