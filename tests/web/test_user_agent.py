"""Browsers by the names that people know them by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.web.user_agent import Browser, read_browser

LINUX = "Mozilla/5.0 (X11; Linux x86_64"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K"
WEBKIT = ") AppleWebKit/537.36 (KHTML, like Gecko) "


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (f"{LINUX}; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
        (f"{WINDOWS}; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:128.0) Gecko/128.0 Firefox/128.0",
         "Firefox on Android"),
        (f"{IPHONE}{WEBKIT}FxiOS/128.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        (f"{LINUX}{WEBKIT}Chrome/126.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"{LINUX}{WEBKIT}HeadlessChrome/126.0.0.0 Safari/537.36", "Chrome on Linux"),
        (f"{ANDROID}{WEBKIT}Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"{IPHONE}{WEBKIT}CriOS/126.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0" + WEBKIT + "Chrome/126.0.0.0 Safari/537.36",
         "Chrome on ChromeOS"),
        (f"{WINDOWS}{WEBKIT}Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge on Windows"),
        (f"{WINDOWS}{WEBKIT}Chrome/126.0.0.0 Safari/537.36 OPR/111.0.0.0", "Opera on Windows"),
        (f"{ANDROID}{WEBKIT}SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
         "Samsung Internet on Android"),
        (f"{MAC}{WEBKIT}Version/17.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPad; CPU OS 16_7 like Mac OS X" + WEBKIT
         + "Version/16.6 Mobile/15E148 Safari/604.1", "Safari on iPad"),
        ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
         "Internet Explorer on Windows"),
        ("curl/8.5.0", "curl"),
        ("python-httpx/0.27.0", "python-httpx"),
        ("Wget/1.21.4 (linux-gnu)", "Wget"),
        ("okhttp", "okhttp"),
        ("", ""),
        ("Mozilla/5.0", ""),
        ("<script>alert(1)</script>", ""),
        ("x" * 100, ""),
    ],
)  # fmt: skip
def test_what_a_browser_is_called(user_agent: str, said: str) -> None:
    assert str(read_browser(user_agent)) == said


def test_a_system_is_known_without_a_browser() -> None:
    found = read_browser("Mozilla/5.0 (X11; Linux x86_64) Something/1.0")
    assert found == Browser("", "Linux")
    assert str(found) == ""


@given(st.text(max_size=300))
def test_only_plain_words_come_out_of_any_text(text: str) -> None:
    found = read_browser(text)
    assert all(char.isalnum() or char in " ._-" for char in found.name + found.system)
    assert len(found.name) <= 30
