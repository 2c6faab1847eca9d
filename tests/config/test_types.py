"""Durations, sizes, networks, URLs, secrets: how each is written."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.types import (
    Secret,
    decode_cookie_secret,
    is_loopback,
    parse_duration,
    parse_http_url,
    parse_listen,
    parse_network,
    parse_public_url,
    parse_size,
    show_duration,
    show_size,
    split_secrets,
)

KEY = bytes.fromhex("9bc90cd1f5b691395acf93e75bb955bc0d7c3ddc45e81fe3f8c52a32834d5256")
STANDARD = base64.b64encode(KEY).decode()


@given(st.integers(min_value=0, max_value=10 * 365 * 86400 * 1000))
def test_durations_are_read_as_they_are_shown(milliseconds: int) -> None:
    assert parse_duration(show_duration(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@given(st.integers(min_value=0, max_value=2**50))
def test_sizes_are_read_as_they_are_shown(size: int) -> None:
    assert parse_size(show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("30", 30, id="a number of seconds"),
        pytest.param(30, 30, id="a number"),
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("1h30m", 5400, id="two units"),
        pytest.param(" 2d ", 172800, id="with spaces around"),
        pytest.param("1.5h", 5400, id="a fraction"),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "h", "-5s", "5 minutes", "1h 30m", "20y", "nan", True, None, "4000d"]
)
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5KiB", "10 XB", True, None])
def test_what_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


@given(st.text())
def test_parsers_raise_nothing_but_value_errors(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_network, parse_http_url, parse_public_url):
        try:
            parse(text)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("127.0.0.1:4180", ("127.0.0.1", 4180), id="an address"),
        pytest.param("[::1]:4180", ("::1", 4180), id="IPv6 in brackets"),
        pytest.param("localhost:80", ("localhost", 80), id="a name"),
        pytest.param(":4180", ("0.0.0.0", 4180), id="every address"),
    ],
)
def test_listen(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "4180", "::1:4180", "[::x]:1", "a:b", "a:99999", "http://a:1", "a b:1"]
)
def test_what_is_no_address_to_listen_on(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("example.org", id="no scheme"),
        pytest.param("ftp://example.org", id="another scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://u:p@example.org", id="user and password"),
        pytest.param("https://example.org?x=1", id="a query"),
        pytest.param("https://example.org/#x", id="a fragment"),
        pytest.param("https://exa mple.org", id="a space"),
        pytest.param("https://example.org\\@evil.example", id="a backslash"),
        pytest.param("https://example.org:port", id="a port that is no number"),
        pytest.param("https://ex\u00e4mple.org", id="not ASCII"),
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_http_url(text)


def test_an_issuer_is_kept_exactly_as_written() -> None:
    assert parse_http_url("https://Tenant.example.org/") == "https://Tenant.example.org/"


def test_public_url_is_an_origin() -> None:
    assert parse_public_url("https://App.example.org/") == "https://app.example.org"
    assert parse_public_url("https://app.example.org:443") == "https://app.example.org"
    assert parse_public_url("http://localhost:80/") == "http://localhost"
    assert parse_public_url("http://localhost:4180") == "http://localhost:4180"
    with pytest.raises(ValueError, match=r"server\.prefix: /below/oauth2"):
        parse_public_url("https://app.example.org/below")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(STANDARD, KEY, id="openssl rand -base64 32"),
        pytest.param(STANDARD.rstrip("="), KEY, id="unpadded"),
        pytest.param(base64.urlsafe_b64encode(KEY).decode(), KEY, id="URL-safe"),
        pytest.param(base64.urlsafe_b64encode(KEY).decode().rstrip("="), KEY, id="URL-safe, bare"),
        pytest.param(KEY.hex(), KEY, id="hexadecimal"),
        pytest.param(KEY.hex().upper(), KEY, id="hexadecimal, upper case"),
        pytest.param(
            "k8#vQ!z2Lw@9pXr$5Tn^7Bc&1Yd*4Mf(", b"k8#vQ!z2Lw@9pXr$5Tn^7Bc&1Yd*4Mf(", id="raw"
        ),
        pytest.param(f" {STANDARD}\n", KEY, id="white space around"),
    ],
)
def test_spellings_of_a_cookie_secret(text: str, expected: bytes) -> None:
    assert decode_cookie_secret(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(base64.b64encode(KEY[:16]).decode(), "holds 16 bytes", id="16 bytes"),
        pytest.param("k8#vQ!z2Lw@9pXr$", "holds 16 bytes", id="16 raw characters"),
        pytest.param("k8#vQ!z2Lw@9pXr$5Tn^7Bc&", "holds 24 bytes", id="24 raw characters"),
        pytest.param(base64.b64encode(KEY + KEY[:8]).decode(), "holds 40 bytes", id="40 bytes"),
        pytest.param("changeme-changeme-changeme-chang", "placeholder", id="changeme"),
        pytest.param("My-Super-Secret-Cookie-Key-12345", "placeholder", id="secret"),
        pytest.param("a" * 32, "placeholder", id="one letter"),
        pytest.param(base64.b64encode(bytes(32)).decode(), "placeholder", id="zeros"),
        pytest.param("0123456789abcdef" * 2, "repeats", id="a text twice"),
        pytest.param(base64.b64encode(KEY[:16] * 2).decode(), "repeats", id="bytes twice"),
        pytest.param("", "placeholder", id="nothing"),
    ],
)
def test_what_is_no_cookie_secret(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        decode_cookie_secret(text)
    assert not text or text not in str(caught.value)


@given(st.binary(min_size=32, max_size=32).filter(lambda key: len(set(key)) > 12))
def test_any_random_key_is_read_in_every_spelling(key: bytes) -> None:
    if key[:16] == key[16:]:
        return
    texts = (key.hex(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode())
    assert {decode_cookie_secret(text) for text in texts} == {key}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param("a", ["a"], id="one"),
        pytest.param("a, b ,,c", ["a", "b", "c"], id="commas"),
        pytest.param("a\r\n\n  b\n", ["a", "b"], id="lines"),
        pytest.param("# made, today\na\n  # old\nb", ["a", "b"], id="remarks"),
        pytest.param("#a\na # b", ["#a", "a # b"], id="what is no remark"),
    ],
)
def test_secrets_stand_on_lines_or_between_commas(text: str, expected: list[str]) -> None:
    assert split_secrets(text) == expected


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("tiger-in-the-tank")
    assert "tiger" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "tiger-in-the-tank"
    assert not Secret("")
