"""What leaves and what returns: our names cannot be spoofed, all else stays as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.settings import Headers
from proxy.model import Kind, Target
from proxy.rules.headers import (
    HOP_BY_HOP,
    Header,
    HeaderPolicy,
    field_value,
    forwarded,
    nominated_names,
)
from proxy.session.cookies import CookieNames
from tests.session.samples import person

BASE = "__Host-auth_proxy"
JWT = "aaa.bbb.ccc"


def policy(**options: Any) -> HeaderPolicy:
    options.setdefault("extra", {"X-Siret": "siret"})
    return HeaderPolicy.compile(
        Headers.model_validate(options), "X-Forwarded-Identity", CookieNames(BASE).ours
    )


STRICT, LAX = policy(), policy(allow_underscores=True)
POLICIES = pytest.mark.parametrize("rules", [STRICT, LAX], ids=["strict", "underscores allowed"])


def sent(
    *headers: Header,
    rules: HeaderPolicy = STRICT,
    mode: str = "keep",
    added: tuple[Header, ...] = (),
) -> list[Header]:
    return rules.outgoing(headers, mode, added)


def folded(headers: list[Header]) -> set[bytes]:
    """Header names as a CGI-like upstream sees them: one spelling for X-A, x_a and X.A."""
    return {name.lower().replace(b"_", b"-").replace(b".", b"-") for name, _ in headers}


OURS = [
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Identity"),
    *("X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Siret"),
    *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded"),
    *("X-Forwarded-Uri", "X-Forwarded-Prefix", "X-Forwarded-Anything", "X-Forwarded"),
    *("X-Auth-Request-User", "X-Auth-Request-Email", "X-Auth-Request-Access-Token", "X-Real-IP"),
    *("X-Request-Id", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Remote-User"),
    *("X-Remote-User", "Proxy", "X-Method-Override"),
]

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "underscores": lambda name: name.replace("-", "_"),
    "first underscore": lambda name: name.replace("-", "_", 1),
    "last underscore": lambda name: "_".join(name.rsplit("-", 1)),
    "lower underscores": lambda name: name.replace("-", "_").lower(),
    "dots": lambda name: name.replace("-", "."),
}


@POLICIES
@pytest.mark.parametrize("name", OURS)
def test_no_spelling_of_our_names_gets_through(name: str, rules: HeaderPolicy) -> None:
    """oauth2-proxy CVE-2025-64484, Caddy CVE-2026-52845 and -30851, Traefik CVE-2026-39858.

    Nothing is added, as on a public route or for a person who lacks the claim.
    """
    spoofed = [(spell(name).encode(), b"admin") for spell in SPELLINGS.values()]
    assert sent(*spoofed, *spoofed, rules=rules) == []


@POLICIES
@pytest.mark.parametrize("name", OURS)
def test_ours_comes_once_whatever_the_client_sends(name: str, rules: HeaderPolicy) -> None:
    ours = (name.encode(), b"jean")
    for first, second in itertools.product(SPELLINGS.values(), repeat=2):
        spoofed = [(first(name).encode(), b"admin"), (second(name).encode(), b"root")]
        nominated = (b"Connection", f"close, {name}, {name.lower()}".encode())
        assert sent(nominated, *spoofed, rules=rules, added=(ours,)) == [ours]


@pytest.mark.parametrize("declared", ["X-Siret", "x_siret", "X_SIRET"])
@pytest.mark.parametrize("spoofed", ["X-Siret", "x-siret", "X_Siret", "x_siret"])
def test_an_extra_header_is_ours_under_either_spelling(declared: str, spoofed: str) -> None:
    rules = policy(extra={declared: "siret"}, allow_underscores=True)
    assert sent((spoofed.encode(), b"1"), rules=rules) == []


@pytest.mark.parametrize(
    "name",
    [
        *("X_Custom", "Content_Length", "Transfer_Encoding", "X.Custom", "X Custom", "X\tCustom"),
        *("X-Caf\u00e9", "X-Forwarded-User ", " X-Forwarded-User", "X-Custom\x00", "X~Y", "X!"),
    ],
)
def test_a_name_with_other_characters_is_dropped(name: str) -> None:
    """nginx and Envoy do likewise (security 3.2.7)."""
    assert sent((name.encode(), b"1")) == []


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        pytest.param("X_Custom", True, id="harmless"),
        pytest.param("X_Forwarded_User", False, id="ours"),
        pytest.param("Content_Length", False, id="framing"),
        pytest.param("Transfer_Encoding", False, id="framing too"),
        pytest.param("Authorization", True, id="plain"),
        pytest.param("X.Y_Z", False, id="other characters still"),
    ],
)
def test_underscores_may_be_allowed(name: str, passes: bool) -> None:
    assert bool(sent((name.encode(), b"1"), rules=LAX)) is passes


HOPS = [
    *("Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization"),
    *("TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings"),
]


@POLICIES
@pytest.mark.parametrize("name", [*HOPS, "Host", "Content-Length", "Expect"])
def test_hop_by_hop_and_framing_end_here(name: str, rules: HeaderPolicy) -> None:
    for spell in SPELLINGS.values():
        assert sent((spell(name).encode(), b"x"), rules=rules) == []


@pytest.mark.parametrize(
    ("value", "names"),
    [
        pytest.param(b"close", set(), id="close"),
        pytest.param(b"keep-alive, Upgrade", set(), id="usual"),
        pytest.param(b"close, X-Mine", {b"close", b"x-mine"}, id="one more"),
        pytest.param(b"\tX-A ,,X-B\t", {b"x-a", b"x-b", b""}, id="loose spelling"),
        pytest.param(b"Authorization, Cookie, Host, Origin", set(), id="may not be removed so"),
        pytest.param(b"Content-Length, Content-Type", set(), id="nor may these"),
    ],
)
def test_connection_nominates(value: bytes, names: set[bytes]) -> None:
    """But for what decides who is asking (Oathkeeper GHSA-w9mr, Traefik CVE-2024-45410)."""
    assert nominated_names([(b"X", b"y"), (b"cOnNeCtIoN", value)]) == names


def test_a_nominated_header_ends_here_in_both_directions() -> None:
    headers = ((b"Connection", b"X-Mine"), (b"x-mine", b"1"), (b"X-Other", b"2"))
    assert sent(*headers) == [(b"X-Other", b"2")]
    assert STRICT.incoming(headers) == [(b"X-Other", b"2")]


@POLICIES
@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("mode", ["keep", "strip", "replace"])
def test_authorization(name: str, mode: str, rules: HeaderPolicy) -> None:
    given_header = (name.encode(), b"Bearer theirs")
    kept = sent(given_header, (b"Connection", b"authorization"), rules=rules, mode=mode)
    assert kept == ([given_header] if mode == "keep" else [])


@POLICIES
@pytest.mark.parametrize("alias", ["Cookie", "Authorization"])
def test_no_alias_brings_a_second_cookie_or_key(alias: str, rules: HeaderPolicy) -> None:
    for spell in ("_" + alias, alias + "_", alias.replace("o", "_")):
        names = folded(sent((spell.encode(), b"x"), rules=rules))
        assert alias.lower().encode() not in names


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        pytest.param(b"app=1", b"app=1", id="nothing of ours"),
        pytest.param(b"__Host-auth_proxy=x", None, id="only ours"),
        pytest.param(b"__Host-auth_proxy=x; app=1", b"app=1", id="ours first"),
        pytest.param(b"app=1; __Host-auth_proxy=x", b"app=1", id="ours last"),
        pytest.param(b"a=1; __Host-auth_proxy=x; b=2", b"a=1; b=2", id="ours between"),
        pytest.param(
            b"__Host-auth_proxy=3.x; __Host-auth_proxy.1=y; a=1; __Host-auth_proxy.2=z",
            b"a=1",
            id="all parts",
        ),
        pytest.param(b"__Host-auth_proxy_login_ab=x; a=1", b"a=1", id="attempt"),
        pytest.param(b"a=1;__Host-auth_proxy=x;b=2", b"a=1;b=2", id="no spaces"),
        pytest.param(b"a=1; \t__Host-auth_proxy \t=x", b"a=1", id="spaces around the name"),
        pytest.param(b"__Host-auth_proxy; a=1", b"a=1", id="no equals sign"),
        pytest.param(b"=__Host-auth_proxy=x; a=1", b"a=1", id="nameless (CVE-2023-23934)"),
        pytest.param(b'a="x; __Host-auth_proxy=y; z"', b'a="x; z"', id="within quotes"),
        pytest.param(b"__Host-auth_proxyx=1", b"__Host-auth_proxyx=1", id="longer name"),
        pytest.param(b"a=\xff\xe9; b=caf\xe9", b"a=\xff\xe9; b=caf\xe9", id="bytes"),
        pytest.param(b"__Host-auth_proxy=x; a=\x85\xa0", b"a=\x85\xa0", id="bytes at the end"),
        pytest.param(b"a = 1;; b", b"a = 1;; b", id="loose grammar untouched"),
        pytest.param(b";", b";", id="CVE-2023-28625 only a semicolon"),
        pytest.param(b"; __Host-auth_proxy=x ;", None, id="nothing left"),
    ],
)
def test_our_cookies_stay_here(line: bytes, rest: bytes | None) -> None:
    assert sent((b"Cookie", line)) == ([(b"Cookie", rest)] if rest is not None else [])


def test_each_cookie_line_is_cleaned() -> None:
    lines = [(b"Cookie", b"a=1"), (b"cookie", b"__Host-auth_proxy=x"), (b"COOKIE", b"b=2")]
    assert sent(*lines) == [lines[0], lines[2]]


def test_our_cookies_may_be_let_through_for_an_app_that_asks_us_back() -> None:
    line = (b"Cookie", b"__Host-auth_proxy=x; a=1")
    assert sent(line, rules=policy(strip_session_cookie=False)) == [line]


_NAMES = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True)
_LINES = st.lists(st.tuples(_NAMES, st.binary(max_size=20)), max_size=6)


@given(_LINES)
def test_everything_else_passes_byte_for_byte_and_in_order(headers: list[Header]) -> None:
    names = HOP_BY_HOP | STRICT.removed | {b"cookie"}
    plain = [h for h in headers if h[0].lower() not in names]
    plain = [h for h in plain if not h[0].lower().startswith((b"x-forwarded-", b"x-auth-request-"))]
    assert sent(*plain) == plain
    assert [header for header in STRICT.incoming(plain) if header[0].lower() != b"set-cookie"] == [
        header for header in plain if header[0].lower() != b"set-cookie"
    ]


@pytest.mark.parametrize(
    "value", [b"\x85admin\xa0", b"caf\xe9", b"\xff\xfe", b"", b"a\tb", b"  x "]
)
def test_values_that_are_no_text_pass_unchanged(value: bytes) -> None:
    """aiohttp's own client would delete bytes from these (security 3.2.1)."""
    assert sent((b"X-Keep", value)) == [(b"X-Keep", value)]


def test_duplicates_of_the_clients_own_headers_stay_in_order() -> None:
    headers = [(b"X-A", b"1"), (b"X-B", b"2"), (b"x-a", b"3")]
    assert sent(*headers) == headers


@pytest.mark.parametrize(
    "name",
    [
        *(*HOPS, "Content-Length", "X-Request-Id"),
        *("X-Forwarded-User", "X-Auth-Request-User", "X-Forwarded-Identity"),
    ],
)
def test_what_an_upstream_may_not_say(name: str) -> None:
    for spell in (str, str.lower, str.upper):
        assert STRICT.incoming([(spell(name).encode(), b"x"), (b"ETag", b"1")]) == [(b"ETag", b"1")]


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        pytest.param(b"app=1; Path=/", True, id="its own"),
        pytest.param(b"__Host-auth_proxyx=1", True, id="longer name"),
        pytest.param(b"app=__Host-auth_proxy=1", True, id="our name in a value"),
        pytest.param(b"app=1; x=__Host-auth_proxy", True, id="our name in an attribute"),
        pytest.param(b"caf\xe9=\xff", True, id="bytes"),
        pytest.param(b"__Host-auth_proxy=evil; Path=/", False, id="our session (B42)"),
        pytest.param(b"__Host-auth_proxy.1=evil", False, id="a part"),
        pytest.param(b"__Host-auth_proxy_login_x=evil", False, id="an attempt"),
        pytest.param(b" \t__Host-auth_proxy\t =evil", False, id="spaces around the name"),
        pytest.param(b"=__Host-auth_proxy=evil; Path=/", False, id="nameless"),
        pytest.param(b" = __Host-auth_proxy=evil", False, id="nameless with spaces"),
        pytest.param(b"__Host-auth_proxy; Path=/", False, id="no equals sign"),
        pytest.param(b"__Host-auth_proxy=; Max-Age=0", False, id="removal"),
    ],
)
def test_an_upstream_cannot_set_our_cookies(value: bytes, passes: bool) -> None:
    kept = STRICT.incoming([(b"Set-Cookie", value), (b"set-cookie", b"other=1")])
    assert ((b"Set-Cookie", value) in kept) is passes
    assert (b"set-cookie", b"other=1") in kept


def test_the_headers_of_a_person() -> None:
    someone = person(preferred_username="jean", claims={"siret": "110"})
    assert STRICT.identity(someone, JWT, "at") == [
        (b"X-Forwarded-Identity", JWT.encode()),
        (b"X-Forwarded-User", b"704e"),
        (b"X-Forwarded-Email", b"jean@interieur.gouv.fr"),
        (b"X-Forwarded-Preferred-Username", b"jean"),
        (b"X-Forwarded-Groups", b"staff,beta"),
        (b"X-Siret", b"110"),
    ]


def test_absent_facts_are_absent_headers() -> None:
    someone = person(email="", name="", groups=(), preferred_username="\n")
    names = [name for name, _ in STRICT.identity(someone, JWT, "")]
    assert names == [b"X-Forwarded-Identity", b"X-Forwarded-User"]


def test_only_the_jwt_when_the_others_are_off() -> None:
    assert policy(identity=False, extra={}).identity(person(), JWT, "at") == [
        (b"X-Forwarded-Identity", JWT.encode())
    ]


def test_the_access_token_is_sent_when_asked_for() -> None:
    asked = policy(access_token=True)
    assert (b"X-Forwarded-Access-Token", b"at") in asked.identity(person(), JWT, "at")
    assert b"X-Forwarded-Access-Token" not in dict(asked.identity(person(), JWT, ""))


@pytest.mark.parametrize(
    ("claim", "value", "header"),
    [
        pytest.param("siret", "110", b"110", id="text"),
        pytest.param("n", 110, b"110", id="number"),
        pytest.param("b", True, b"true", id="true"),
        pytest.param("b", False, b"false", id="false"),
        pytest.param("l", ["a", 1, True, None, {}], b"a,1,true", id="list"),
        pytest.param("l", ["a", "b,admin", "", "c"], b"a,c", id="an item with a comma is two"),
        pytest.param("l", [], None, id="empty list"),
        pytest.param("o", {"a": 1}, None, id="object"),
        pytest.param("x", None, None, id="null"),
        pytest.param("t", "a\r\nX-Evil: 1", b"a  X-Evil: 1", id="line end"),
        pytest.param("t", "dé", "dé".encode(), id="UTF-8"),
        pytest.param("t", "\ud800", b"?", id="surrogate"),
    ],
)
def test_extra_headers_from_claims(claim: str, value: object, header: bytes | None) -> None:
    rules = policy(identity=False, extra={"X-Extra": claim})
    found = dict(rules.identity(person(claims={claim: value}), JWT, ""))
    assert found.get(b"X-Extra") == header


@pytest.mark.parametrize(
    ("claim", "header"),
    [
        pytest.param("email", None, id="a refused address does not come back as the raw claim"),
        pytest.param("groups", b"staff,beta", id="groups as they were read"),
        pytest.param("email_verified", b"true", id="as it was understood"),
    ],
)
def test_an_extra_header_takes_the_verified_fact(claim: str, header: bytes | None) -> None:
    rules = policy(identity=False, extra={"X-Extra": claim})
    raw = {"email": "a@good@evil", "groups": "admin", "email_verified": "no"}
    found = dict(rules.identity(person(email="", claims=raw), JWT, ""))
    assert found.get(b"X-Extra") == header


def test_a_group_with_a_comma_is_left_out() -> None:
    someone = person(groups=("a", "b,admin", "c"))
    assert dict(STRICT.identity(someone, JWT, ""))[b"X-Forwarded-Groups"] == b"a,c"


@given(st.text(max_size=50))
def test_no_text_can_end_a_header_line(text: str) -> None:
    value = field_value(text)
    assert not any(byte < 0x20 or byte == 0x7F for byte in value)
    assert value == value.strip()


TARGET = Target("GET", "https", "app.example.org", "/", "/", "", Kind.PROGRAM, "198.51.100.7")
CHAIN = [(b"x-forwarded-for", b"1.1.1.1"), (b"X-Forwarded-For", b"2.2.2.2"), (b"X-A", b"b")]


@pytest.mark.parametrize(
    ("trusted", "addresses"),
    [
        pytest.param(False, b"10.0.0.1", id="a stranger's chain is cut"),
        pytest.param(True, b"1.1.1.1, 2.2.2.2, 10.0.0.1", id="a hop's chain goes on"),
    ],
)
def test_forwarding_headers_are_rebuilt(trusted: bool, addresses: bytes) -> None:
    assert forwarded(TARGET, CHAIN, "10.0.0.1", trusted) == [
        (b"X-Forwarded-For", addresses),
        (b"X-Forwarded-Proto", b"https"),
        (b"X-Forwarded-Host", b"app.example.org"),
    ]
