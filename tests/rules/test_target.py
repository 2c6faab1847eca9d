"""One reading of a request: what is accepted has one meaning, for us and for any upstream."""

from __future__ import annotations

import posixpath
import re
import time
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import BadRequest, Reason
from proxy.rules.target import Trust, check_host, decode_path, public_hosts
from tests.rules.asking import HOST, read, refusal


@pytest.mark.parametrize(
    ("raw", "path", "query"),
    [
        pytest.param("/", "/", "", id="root"),
        pytest.param("/a/b/", "/a/b/", "", id="trailing slash stays"),
        pytest.param("/a?x=1", "/a", "x=1", id="query"),
        pytest.param("/a?", "/a", "", id="empty query"),
        pytest.param("/a?x=/../%2f?y", "/a", "x=/../%2f?y", id="anything printable in a query"),
        pytest.param("/%61%2Db", "/a-b", "", id="needless escapes are decoded"),
        pytest.param("/caf%C3%A9", "/café", "", id="UTF-8"),
        pytest.param("/a%20b", "/a b", "", id="space"),
        pytest.param("/50%25", "/50%", "", id="a percent sign"),
        pytest.param("/50%25%20off", "/50% off", "", id="a percent sign before a space"),
        pytest.param("/a%3Fb", "/a?b", "", id="escaped question mark is path"),
        pytest.param("/.well-known/x", "/.well-known/x", "", id="leading dot"),
        pytest.param("/a../..b/...", "/a../..b/...", "", id="dots within names"),
        pytest.param("/a;v=1/b", "/a;v=1/b", "", id="path parameter"),
        pytest.param("/a|b^{c}", "/a|b^{c}", "", id="what browsers leave unescaped"),
    ],
)
def test_a_path_is_decoded_once(raw: str, path: str, query: str) -> None:
    target = read(raw)
    assert (target.path, target.query) == (path, query)
    assert target.raw == raw.removesuffix("?")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="empty"),
        pytest.param("*", id="asterisk form"),
        pytest.param("app.example.org:443", id="authority form"),
        pytest.param("ping", id="no leading slash"),
        pytest.param("/ping/../chat", id="dot segments (E1.10)"),
        pytest.param("/ping/..", id="dot segment at the end"),
        pytest.param("/./ping", id="single dot"),
        pytest.param("/ping/.", id="single dot at the end"),
        pytest.param("/ping%2f..%2fchat", id="escaped slash (E1.10)"),
        pytest.param("/ping%2Fchat", id="escaped slash, upper case"),
        pytest.param("/%2e%2e/chat", id="escaped dots"),
        pytest.param("/ping/%2E./chat", id="half escaped dots"),
        pytest.param("/ping/..;/chat", id="dots with a parameter (Tomcat)"),
        pytest.param("/ping/..;x=1/chat", id="dots with a parameter and value"),
        pytest.param("/ping/.;/chat", id="one dot with a parameter"),
        pytest.param("/ping/..%3b/chat", id="dots with an escaped semicolon"),
        pytest.param("//evil.example", id="two slashes (aiohttp CVE-2021-21330)"),
        pytest.param("/a//b", id="empty segment"),
        pytest.param("/a\\b", id="backslash"),
        pytest.param("/a%5cb", id="escaped backslash"),
        pytest.param("/a%5C..%5Cb", id="escaped backslash and dots"),
        pytest.param("/a%00", id="NUL"),
        pytest.param("/a%0d%0ab", id="line end"),
        pytest.param("/a%09b", id="tab"),
        pytest.param("/a%7f", id="DEL"),
        pytest.param("/a%C2%9bb", id="C1 control character"),
        pytest.param("/%252e%252e/chat", id="escaped twice"),
        pytest.param("/a%252fb", id="slash escaped twice"),
        pytest.param("/%25%32%65%25%32%65/chat", id="dots escaped twice, piece by piece"),
        pytest.param("/%25%32%66", id="slash escaped twice, piece by piece"),
        pytest.param("/%2%35", id="broken escape that a lax decoder completes"),
        pytest.param("/a%", id="broken escape"),
        pytest.param("/a%zz", id="no escape"),
        pytest.param("/a%u002e", id="IIS escape"),
        pytest.param("/%c0%ae%c0%ae/chat", id="overlong UTF-8"),
        pytest.param("/%c0%af", id="overlong slash"),
        pytest.param("/%ff", id="not UTF-8"),
        pytest.param("/%ed%a0%80", id="surrogate"),
        pytest.param("/ping#/chat", id="fragment (oauth2-proxy CVE-2026-41059)"),
        pytest.param("/ping?a#b", id="fragment after a query"),
        pytest.param("/a b", id="space"),
        pytest.param("/a\tb", id="raw tab"),
        pytest.param("/a\n", id="raw line end"),
        pytest.param("/a?x\ny", id="raw line end in the query"),
        pytest.param("/caf\u00e9", id="raw non-ASCII"),
        pytest.param("/a?caf\u00e9", id="raw non-ASCII in the query"),
        pytest.param("/\udcff", id="a byte that is no text"),
        pytest.param("/\uff0e\uff0e/x", id="full-width dots"),
        pytest.param("/١", id="Arabic digit"),
    ],
)
def test_a_path_that_can_be_read_twice_is_refused(raw: str) -> None:
    assert refusal(raw) is Reason.BAD_TARGET


def test_a_fragment_may_be_part_of_a_name_when_escaped() -> None:
    """The upstream gets the same ``%23`` that we matched (Pomerium CVE-2021-39206)."""
    target = read("/ping%23/chat")
    assert (target.path, target.raw_path) == ("/ping#/chat", "/ping%23/chat")


_PIECES = st.sampled_from(
    [
        *(
            "/",
            "//",
            "a",
            "ping",
            ".",
            "..",
            ";",
            "\\",
            "%",
            "?",
            "#",
            "é",
            "2",
            "5",
            "e",
            "E",
            "f",
        ),
        *("%2e", "%2E", "%2f", "%5c", "%25", "%32", "%65", "%3b", "%3B", "%00", "%c0", "%ae"),
        *("%C3%A9", "%252e", "%20", "%41", "%23", "%3f"),
    ]
)
_SPELLINGS = st.lists(_PIECES, max_size=9).map(lambda pieces: "/" + "".join(pieces))


@settings(max_examples=1500)
@given(_SPELLINGS | st.text(min_size=1, max_size=30).map("/".__add__))
def test_whatever_is_accepted_means_the_same_to_every_reader(raw: str) -> None:
    try:
        path = decode_path(raw)
    except BadRequest:
        return
    assert unquote(raw) == path, "another decoder"
    assert unquote(path) == path, "decoded again"
    normal = posixpath.normpath(path)
    assert normal == (path.rstrip("/") or "/"), "dot segments resolved"
    without = re.sub(r";[^/]*", "", path)
    assert not {".", ".."} & set(without.split("/")), "parameters cut off"
    assert path.count("/") == raw.count("/"), "the same segments"
    assert "\\" not in path
    assert path.isprintable() or not any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in path)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        pytest.param(f"https://{HOST}/a?x", "/a?x", id="agrees with Host"),
        pytest.param(f"http://{HOST.upper()}/a", "/a", id="host in capitals"),
        pytest.param(f"HTTPS://{HOST}/a", "/a", id="scheme in capitals"),
        pytest.param(f"https://{HOST}", "/", id="no path"),
        pytest.param(f"https://{HOST}?x", "/?x", id="no path but a query"),
    ],
)
def test_absolute_form_is_read_when_it_agrees_with_host(raw: str, path: str) -> None:
    assert read(raw).raw == path


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("https://other.example/a", id="another host"),
        pytest.param(f"https://{HOST}:443/a", id="another spelling of the port"),
        pytest.param(f"https://me@{HOST}/a", id="user"),
        pytest.param(f"https://{HOST}@other.example/a", id="our host as the user"),
        pytest.param(f"ftp://{HOST}/a", id="another scheme"),
        pytest.param(f"://{HOST}/a", id="no scheme"),
        pytest.param("https:///a", id="no host"),
        pytest.param(f"https://{HOST}//a", id="two slashes"),
        pytest.param(f"https://{HOST}#/a", id="fragment"),
    ],
)
def test_absolute_form_that_disagrees_is_refused(raw: str) -> None:
    assert refusal(raw) is Reason.BAD_TARGET


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"]
)
def test_methods_pass_as_they_are(method: str) -> None:
    assert read(method=method).method == method


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("get", id="lower case (louketo CVE-2020-14359)"),
        pytest.param("Get", id="mixed case"),
        pytest.param("", id="empty"),
        pytest.param("GET ", id="space"),
        pytest.param("GE\tT", id="tab"),
        pytest.param("-GET", id="leading dash"),
        pytest.param("G_T", id="underscore"),
        pytest.param("A" * 33, id="too long"),
        pytest.param("GÉT", id="not ASCII"),
    ],
)
def test_other_methods_are_refused(method: str) -> None:
    assert refusal(method=method) is Reason.BAD_TARGET


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "TRACK", "PRI"])
def test_methods_that_are_never_forwarded_get_405(method: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(method=method)
    assert (caught.value.reason, caught.value.status) == (Reason.METHOD_NOT_ALLOWED, 405)


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("app.example.org", id="name"),
        pytest.param("app.example.org:8080", id="port"),
        pytest.param("localhost", id="one label"),
        pytest.param("auth_proxy:4180", id="underscore, as container networks have"),
        pytest.param("127.0.0.1:4180", id="IPv4"),
        pytest.param("[::1]:4180", id="IPv6"),
        pytest.param("xn--bcher-kva.example", id="A-label"),
    ],
)
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    assert read(host=host).host == host


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "a/b", "a\\b", "a@b", "a,b", "a?b", "a#b", "a%41", "a\tb", "a\x00b"),
        *("-a", "a-", "a..b", ".a", "a:", "a:b", "a:99999", "a:123456", "[::1", "::1", "[zz]"),
        *("caf\u00e9.example", "a\u00a0b", "a\n", "http://a", "a:80:80", "a:\u00b2"),
    ],
)  # fmt: skip
def test_another_host_is_refused(host: str) -> None:
    assert refusal(host=host) is Reason.BAD_HOST


def test_a_long_host_is_refused_quickly() -> None:
    started = time.perf_counter()
    for host in ("a" * 30_000 + "!", "a." * 15_000 + "!", "a-" * 15_000 + "!", "_" * 30_000 + "-"):
        assert refusal(host=host) is Reason.BAD_HOST
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        pytest.param(None, [], id="no Host"),
        pytest.param(HOST, [("Host", HOST)], id="twice the same (aiohttp 3.13.4)"),
        pytest.param(HOST, [("host", "evil.example")], id="two different ones"),
        pytest.param(
            HOST,
            [("Authorization", "Bearer sk-1"), ("authorization", "Bearer other")],
            id="two Authorization headers: one judged, the other used",
        ),
    ],
)
def test_what_must_come_once_comes_once(host: str | None, headers: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequest) as caught:
        read("/", *headers, host=host)
    assert caught.value.reason is Reason.BAD_HEADER


@pytest.mark.parametrize(
    ("url", "further", "host", "ours"),
    [
        pytest.param("https://a.example", (), "a.example", True, id="ours"),
        pytest.param("https://a.example", (), "A.EXAMPLE", True, id="in capitals"),
        pytest.param("https://a.example", (), "a.example:443", True, id="with the default port"),
        pytest.param("https://a.example:443", (), "a.example", True, id="without it"),
        pytest.param("https://a.example", (), "a.example:80", False, id="another default port"),
        pytest.param("https://a.example:8443", (), "a.example", False, id="port missing"),
        pytest.param("https://a.example:8443", (), "a.example:8443", True, id="port"),
        pytest.param("https://a.example", (), "a.example.", False, id="trailing dot"),
        pytest.param("https://a.example", (), "evil.example", False, id="another host"),
        pytest.param("https://a.example", (), "x.a.example", False, id="subdomain"),
        pytest.param("https://a.example", (), "xa.example", False, id="look-alike"),
        pytest.param("https://a.example", ("B.example",), "b.example", True, id="further"),
        pytest.param("https://a.example", ("b.example",), "b.example:443", True, id="and port"),
        pytest.param("https://a.example", ("*",), "evil.example", True, id="any"),
        pytest.param("http://[::1]:4180", (), "[::1]:4180", True, id="IPv6"),
        pytest.param("http://[::1]", (), "[::1]:80", True, id="IPv6 with the default port"),
    ],
)
def test_only_our_hosts_are_answered_for(
    url: str, further: tuple[str, ...], host: str, ours: bool
) -> None:
    trust = Trust(url.partition(":")[0], public_hosts(url, further))
    target = read(host=host, trust=trust)
    if ours:
        check_host(target, trust)
        return
    with pytest.raises(BadRequest) as caught:
        check_host(target, trust)
    assert (caught.value.reason, caught.value.status) == (Reason.BAD_HOST, 421)
