"""Where a browser may be sent: a path of ours or a listed host, as the browser itself reads it."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.rules.redirects import Redirects, listed

OURS = "app.example.org"
HOSTS = ("docs.example.net", "tools.example.net:8443", ".lyon.fr")
OWN = frozenset({"/logout", "/callback"})
PAGES = frozenset({"/oauth2/sessions"})
REDIRECTS = Redirects(f"https://{OURS}", HOSTS, "/oauth2", OWN, PAGES)


@pytest.mark.parametrize(
    ("rd", "checked"),
    [
        pytest.param("/", "/", id="root"),
        pytest.param("/chat?m=1", "/chat?m=1", id="path and query"),
        pytest.param("/chat#top", "/chat#top", id="fragment"),
        pytest.param("/a%20b/%C3%A9", "/a%20b/%C3%A9", id="escaped space and letter"),
        pytest.param("/x?next=https://evil.example/", "/x?next=https://evil.example/", id="query"),
        pytest.param("/x?next=//evil.example", "/x?next=//evil.example", id="slashes in a query"),
        pytest.param("/x#//evil.example", "/x#//evil.example", id="slashes in a fragment"),
        pytest.param("/x/https://evil.example", "/x/https://evil.example", id="URL in a path"),
        pytest.param("/@evil.example", "/@evil.example", id="@ in a path"),
        pytest.param("/oauth2/sessions?x#y", "/oauth2/sessions?x#y", id="a page of ours"),
        pytest.param(f"https://{OURS}", "/", id="our origin"),
        pytest.param(f"https://{OURS}/chat?m=1", "/chat?m=1", id="our origin and a path"),
        pytest.param("https://docs.example.net/a?b#c", "https://docs.example.net/a?b#c", id="host"),
        pytest.param("https://docs.example.net", "https://docs.example.net", id="host alone"),
        pytest.param("https://tools.example.net:8443", "https://tools.example.net:8443", id="port"),
        pytest.param("https://a.lyon.fr/", "https://a.lyon.fr/", id="subdomain"),
        pytest.param("https://a.b.lyon.fr/", "https://a.b.lyon.fr/", id="deeper subdomain"),
    ],
)  # fmt: skip
def test_good_places(rd: str, checked: str) -> None:
    assert REDIRECTS.check(rd) == checked


EVIL = [
    *("", " ", "evil", "evil.example", "?x", "#x", "x/y", "./x", "../x"),
    # oauth2-proxy CVE-2020-4037, CVE-2020-5233, CVE-2020-11053; aiohttp CVE-2021-21330
    *("//evil.example", "///evil.example", "////evil.example", "//evil.example/%2e%2e"),
    *("/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\\/evil.example", "/x\\y"),
    *("/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil"),
    *("/ /evil.example", "/\x00/evil.example", "/\x0b/evil.example", "/\u3000/evil.example"),
    *("/.//evil.example", "/..//evil.example", "/./evil", "/x/..", "/x/../y", "/..", "/."),
    # mod_auth_openidc CVE-2019-14857, CVE-2019-20479, CVE-2021-32786, CVE-2022-23527
    *("/%09/evil.example", "/%0a/evil.example", "/%0d%0aSet-Cookie:a=b", "/%00", "/%7f"),
    *("/%2f/evil.example", "/%2fevil.example", "/%2Fevil.example", "/%5cevil.example"),
    *("/%5C%5Cevil.example", "/%252fevil.example", "/%255cevil.example", "/%2e%2e//evil.example"),
    *("/%2e%2e/x", "/%252e%252e/x", "/x/%2e/y"),
    # other schemes (authentik CVE-2024-21637)
    *("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "file:///x"),
    *("ftp://docs.example.net/", "ws://docs.example.net/", "://docs.example.net/", "blob:x"),
    # the right host in the wrong place
    f"https://{OURS}@evil.example/",
    f"https://{OURS}:x@evil.example/",
    f"https://{OURS}.evil.example/",
    f"https://{OURS}evil.example/",
    f"https://evil{OURS}/",
    f"https://evil.example/{OURS}",
    f"https://evil.example#{OURS}",
    f"https://evil.example?{OURS}",
    f"https://evil.example\\@{OURS}/",
    f"https://evil.example%2f@{OURS}/",
    f"https://{OURS}\\.evil.example/",
    f"https://{OURS}%2eevil.example/",
    f"https://{OURS}//evil.example",
    f"https://{OURS}/\\evil.example",
    f"https://{OURS}:8443/",
    f"http://{OURS}/",
    f"//{OURS}/",
    f"https:/{OURS}/",
    f"https:{OURS}",
    f"https:///{OURS}/",
    f"https:\\\\{OURS}/",
    # look-alikes of listed hosts; the first is oauth2-proxy CVE-2021-21291
    *("https://evillyon.fr/", "https://lyon.fr/", "https://a.lyon.fr.evil.example/"),
    *("https://.lyon.fr/", "https://a.lyon.fr:8443/", "https://docs.example.net:443/"),
    *("https://docs.example.net./", "https://x.docs.example.net/", "https://xdocs.example.net/"),
    *("https://DOCS.example.net/", "https://me@docs.example.net/", "https://@docs.example.net/"),
    *("https://tools.example.net/", "https://tools.example.net:08443/", "https://tools.example.net:/"),
    *("http://docs.example.net/", "https://docs.example.net\\evil", "https://docs。example.net/"),
    *("https://[1]/", "https://[::ffff:1.2.3.4]/", "https://[zz", "https://]/", "https://[::1]:x/"),
    *("https://ａ.lyon.fr/", "https://evil.example／.lyon.fr/", "https://evil.example%00.lyon.fr/"),
    # places of ours that are no place to return to
    *("/oauth2", "/oauth2/start", "/oauth2/sign_out?rd=/", "/oauth2/callback?code=x", "/logout"),
    *("/%6fauth2/sign_out", "/%256fauth2/sign_out", "/oauth2%2fsign_out", "/log%6fut", "/callback"),
    f"https://{OURS}/oauth2/sign_out",
    "/" + "a" * 2048,
]  # fmt: skip


@pytest.mark.parametrize("rd", EVIL)
def test_anywhere_else_is_home(rd: str) -> None:
    assert REDIRECTS.check(rd) == "/"


def test_without_listed_hosts_only_paths_are_left() -> None:
    none = Redirects(f"https://{OURS}", ("", " ", ".", "..", ":443"), "/oauth2")
    for rd in ("https://docs.example.net/", "https://./", "https://x/", "https://:443/"):
        assert none.check(rd) == "/"


def test_a_plain_proxy_may_send_to_plain_hosts() -> None:
    plain = Redirects("http://localhost:4180", ("localhost:3000",), "/oauth2")
    assert plain.check("http://localhost:3000/x") == "http://localhost:3000/x"
    assert plain.check("http://localhost:4180/x") == "/x"
    assert plain.check("http://localhost:41800/x") == "/"


@pytest.mark.parametrize(
    ("authority", "entry", "expected"),
    [
        ("a.example", "a.example", True),
        ("a.example", " A.Example ", True),
        ("a.example:1", "a.example:1", True),
        ("a.example", "a.example:1", False),
        ("a.example:1", "a.example", False),
        ("x.a.example", ".a.example", True),
        ("x.a.example:1", ".a.example:1", True),
        ("a.example", ".a.example", False),
        (".a.example", ".a.example", False),
        ("xa.example", ".a.example", False),
        ("x.a.example", "*.a.example", False),
        ("x", "", False),
        ("x", ".", False),
        ("x:1", ":1", False),
    ],
)
def test_hosts_are_compared_label_by_label(authority: str, entry: str, expected: bool) -> None:
    assert listed(authority, (entry,)) is expected


def _browser_host(location: str) -> str | None:
    """The host that a browser on our https page goes to; None for a scheme without one.

    The parts of WHATWG URL (section 4.4) that matter: tabs and line ends vanish, controls and
    spaces at the ends too, a backslash is a slash, any number of slashes starts the authority,
    and the host stands after its last @.
    """
    text = re.sub(r"[\t\n\r]", "", location.strip("".join(map(chr, range(0x21)))))
    text = text.replace("\\", "/")
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if scheme:
        if scheme[1].lower() not in ("http", "https", "ws", "wss", "ftp"):
            return None
        text = text[scheme.end() :]
        if scheme[1].lower() == "https" and not text.startswith("//"):
            return OURS  # relative to our own page
    elif not text.startswith("//"):
        return OURS
    authority = re.split(r"[/?#]", text.lstrip("/"), maxsplit=1)[0]
    return unquote(authority.rpartition("@")[2]).lower()


def _allowed(host: str | None) -> bool:
    return host in (OURS, *HOSTS[:2]) or (host or "").endswith(".lyon.fr")


_PIECES = st.sampled_from(
    [
        *(
            "/",
            "//",
            "\\",
            "?",
            "#",
            "@",
            ":",
            ".",
            "..",
            ";",
            "%",
            " ",
            "\t",
            "\n",
            "[",
            "]",
            "。",
        ),
        *("https:", "http:", "javascript:", "evil.example", OURS, f"https://{OURS}", "oauth2"),
        *("docs.example.net", "https://docs.example.net", ".lyon.fr", "a.lyon.fr", ":8443", "443"),
        *("%2f", "%5c", "%09", "%2e", "%252f", "%6f", "auth2", "sign_out", "logout", "x"),
    ]
)


@example("https://" + OURS)
@example("https:/" + OURS)
@example("/logout/")
@example("/logout//?x")
@settings(max_examples=2000)
@given(st.lists(_PIECES, max_size=7).map("".join) | st.text(max_size=20).map("/".__add__))
def test_a_browser_never_leaves_for_a_host_that_is_not_listed(rd: str) -> None:
    checked = REDIRECTS.check(rd)
    host = _browser_host(checked)
    assert _allowed(host)
    assert re.fullmatch(r"[!-~]+", checked), "fit for a header"
    if host == OURS:
        assert re.match(r"/(?!/)", checked), "a path"
        path = unquote(re.split(r"[?#]", checked, maxsplit=1)[0])
        normal = posixpath.normpath(path)
        assert normal not in OWN
        assert normal != "/oauth2"
        assert not normal.startswith("/oauth2/")
    else:
        assert checked == rd
        assert checked.startswith("https://")


def test_the_browser_of_this_test_is_gullible_enough() -> None:
    for rd in ("//evil.example", "/\\evil.example", "/\t/evil.example", "https:\\\\evil.example"):
        assert _browser_host(rd) == "evil.example"
    assert _browser_host(f"https://{OURS}@evil.example/") == "evil.example"
    assert _browser_host("javascript:x") is None
    assert _browser_host("/x") == OURS
