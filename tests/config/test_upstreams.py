"""How upstreams are written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.upstreams import base_path, parse_upstream, parse_upstreams, unix_parts
from tests.config.configurations import MINIMAL, load_text, problems_of

WITHOUT = MINIMAL.replace("upstream: http://app:8501\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "http://app:8501",
        "https://app.example.org/base/",
        "http://my_app",
        "http://192.0.2.1:80",
        "http://[2001:db8::1]:8501/base",
        "http://[fe80::1%25eth0]",
        "http://app/a,b",
        "unix:/run/app.sock",
        "unix:/run/app/http socket",
        "unix:/run/app.sock:/base",
    ],
)
def test_one_upstream_is_kept_as_written(text: str) -> None:
    assert parse_upstream(f" {text} ") == text
    assert parse_upstreams(text) == (text,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("app:8501", "is not an absolute", id="no scheme"),
        pytest.param("/run/app.sock", "for a socket: unix:/run/app.sock", id="a bare path"),
        pytest.param("ftp://app", "is not an absolute", id="another scheme"),
        pytest.param("http://a:b@app", "no user name", id="user"),
        pytest.param("http://app?x", "no query", id="query"),
        pytest.param("http://app:0", "from 1 to 65535", id="port 0"),
        pytest.param("http://app:", "from 1 to 65535", id="no port"),
        pytest.param("http://app:99999", "out of range", id="no such port"),
        pytest.param("http://a,b", "not the name or address of a host", id="two hosts"),
        pytest.param("http://a$b", "not the name or address of a host", id="no host name"),
        pytest.param("http://app\\evil", "backslashes", id="backslash"),
        pytest.param("unix:app.sock", "with its whole path", id="relative socket"),
        pytest.param("unix:", "with its whole path", id="no socket"),
        pytest.param("unix://run/", "with its whole path", id="folder"),
        pytest.param("unix:/run/a\0b", "at most 107 bytes", id="NUL"),
        pytest.param(f"unix:/{'a' * 107}", "at most 107 bytes", id="too long"),
        pytest.param("unix:/run/a.sock:base", "a path such as /base", id="no path"),
        pytest.param("unix:/run/a.sock:/a b", "a path such as /base", id="space in the path"),
        pytest.param("unix:/run/a.sock:/a?b", "a path such as /base", id="query after a socket"),
    ],
)
def test_what_is_no_upstream(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_upstream(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, (), id="nothing"),
        pytest.param("", (), id="empty"),
        pytest.param([], (), id="empty list"),
        pytest.param("http://a:1, http://b:2", ("http://a:1", "http://b:2"), id="text"),
        pytest.param(["http://a:1", "http://b:2"], ("http://a:1", "http://b:2"), id="list"),
        pytest.param("http://a/x,y,http://b/x,y", ("http://a/x,y", "http://b/x,y"), id="commas"),
        pytest.param("unix:/a,unix:/b", ("unix:/a", "unix:/b"), id="sockets"),
        pytest.param(["http://a/b/", "http://c/b"], ("http://a/b/", "http://c/b"), id="slash"),
    ],
)
def test_several_addresses(value: object, expected: tuple[str, ...]) -> None:
    assert parse_upstreams(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(["http://a", "https://b"], "have one scheme", id="two schemes"),
        pytest.param(["http://a", "unix:/b"], "have one scheme", id="a socket among them"),
        pytest.param(["http://a/x", "http://b/y"], "have one path", id="two paths"),
        pytest.param(["unix:/a:/x", "unix:/b"], "have one path", id="two paths of sockets"),
        pytest.param(["http://a", "http://a"], "named twice", id="twice"),
        pytest.param([1], "or a list of them", id="a number"),
        pytest.param({"a": 1}, "or a list of them", id="a mapping"),
    ],
)
def test_addresses_that_are_not_one_upstream(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_upstreams(value)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://app", ""),
        ("http://app/", ""),
        ("http://app/base/", "/base"),
        ("unix:/run/a.sock", ""),
        ("unix:/run/a.sock:/base", "/base"),
    ],
)
def test_the_path_in_front(url: str, path: str) -> None:
    assert base_path(url) == path


def test_only_sockets_have_parts() -> None:
    assert unix_parts("unix:/run/a.sock:/base") == ("/run/a.sock", "/base")
    assert unix_parts("http://app") is None


@pytest.mark.parametrize(
    ("text", "environ", "flags"),
    [
        pytest.param(f"{WITHOUT}upstream: [http://a:1, http://b:2]\n", {}, {}, id="file"),
        pytest.param(f"{WITHOUT}upstream: http://a:1,http://b:2\n", {}, {}, id="text in a file"),
        pytest.param(
            WITHOUT, {"AUTH_PROXY_UPSTREAM": "http://a:1,http://b:2"}, {}, id="environment"
        ),
        pytest.param(
            WITHOUT, {"AUTH_PROXY_UPSTREAM": "['http://a:1', 'http://b:2']"}, {}, id="YAML there"
        ),
        pytest.param(WITHOUT, {}, {"upstream": "http://a:1,http://b:2"}, id="flag"),
    ],
)
def test_wherever_it_is_written(
    text: str, environ: Mapping[str, str], flags: Mapping[str, str]
) -> None:
    assert load_text(text, environ, flags).upstream == ("http://a:1", "http://b:2")


def test_a_problem_names_the_option_and_the_line() -> None:
    (problem,) = problems_of(f"{WITHOUT}upstream: [http://a, unix:/b]\n")
    assert problem.startswith("proxy.cfg:")
    assert "upstream: the addresses of one upstream have one scheme" in problem


def test_a_route_may_have_several() -> None:
    settings = load_text(MINIMAL + "routes: [{path: /a, upstream: [unix:/x, unix:/y]}]\n")
    assert settings.routes[0].upstream == ("unix:/x", "unix:/y")
