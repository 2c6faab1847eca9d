"""The cookie grammar: our names as raw bytes, sessions over several cookies, sizes."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ProxyError, Reason
from proxy.model import SetCookie
from proxy.session.cookies import CookieNames, Jar, join, read_pairs, single, write

BASE = "__Host-auth_proxy"
NAMES = CookieNames(BASE)
JAR = Jar(NAMES, secure=True)
LARGEST = 7680
VALUES = st.text("ABCabc019_-", min_size=1, max_size=LARGEST)


def _sent(cookies: list[SetCookie]) -> list[tuple[bytes, bytes]]:
    """What a browser sends back; cookies set to be removed are gone."""
    jar = {c.name: c.value for c in cookies if c.max_age != 0}
    return read_pairs(["; ".join(f"{name}={value}" for name, value in jar.items()).encode()])


@pytest.mark.parametrize(
    ("line", "pairs"),
    [
        pytest.param(b"a=1; b=2", [(b"a", b"1"), (b"b", b"2")], id="two"),
        pytest.param(b"a=1;b=2 ;\tc=3", [(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], id="spacing"),
        pytest.param(b"a=1; a=2", [(b"a", b"1"), (b"a", b"2")], id="duplicates are kept"),
        pytest.param(b"a=b=c", [(b"a", b"b=c")], id="equals sign in the value"),
        pytest.param(b"a=", [(b"a", b"")], id="empty value"),
        pytest.param(b"", [], id="empty"),
        pytest.param(b";", [], id="only a semicolon (mod_auth_openidc CVE-2023-28625)"),
        pytest.param(b"; ;;  ;", [], id="only semicolons"),
        pytest.param(b"=x; a=1", [(b"a", b"1")], id="nameless"),
        pytest.param(
            b"=__Host-auth_proxy=x", [], id="nameless is not ours (Werkzeug CVE-2023-23934)"
        ),
        pytest.param(b"__Host-auth_proxy", [], id="no equals sign"),
        pytest.param(
            b'$Version=1; __Host-auth_proxy="x"; $Path=/',
            [(b"$Version", b"1"), (b"__Host-auth_proxy", b'"x"'), (b"$Path", b"/")],
            id="$Version changes nothing",
        ),
        pytest.param(
            b'a="x; __Host-auth_proxy=y"',
            [(b"a", b'"x'), (b"__Host-auth_proxy", b'y"')],
            id="quotes do not hold pairs together",
        ),
        pytest.param(
            b"\xc2\xa0__Host-auth_proxy=x",
            [(b"\xc2\xa0__Host-auth_proxy", b"x")],
            id="a no-break space is part of the name",
        ),
        pytest.param(b"\x0b__Host-auth_proxy=x", [(b"\x0b__Host-auth_proxy", b"x")], id="VT too"),
        pytest.param(b"a=\xff\xfe", [(b"a", b"\xff\xfe")], id="bytes stay bytes"),
        pytest.param(b"a=%41", [(b"a", b"%41")], id="nothing is decoded"),
        pytest.param(b"a=1, b=2", [(b"a", b"1, b=2")], id="a comma separates nothing"),
    ],
)
def test_a_cookie_line_is_read_as_bytes(line: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
    assert read_pairs([line]) == pairs


def test_several_cookie_lines_are_read_in_order() -> None:
    assert read_pairs([b"a=1", b"b=2; a=3"]) == [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        pytest.param(b"__Host-auth_proxy", True, id="the session"),
        pytest.param(b"__Host-auth_proxy.1", True, id="a part of it"),
        pytest.param(b"__Host-auth_proxy.99", True, id="a part that never was"),
        pytest.param(NAMES.attempt("abc").encode(), True, id="an attempt"),
        pytest.param(NAMES.sign_out.encode(), True, id="a sign-out"),
        pytest.param(NAMES.bounces.encode(), True, id="the bounce counter"),
        pytest.param(b"__Host-auth_proxyx", False, id="longer name"),
        pytest.param(b"__Host-auth_prox", False, id="shorter name"),
        pytest.param(b"__host-auth_proxy", False, id="names are case-sensitive"),
        pytest.param(b"auth_proxy", False, id="no prefix"),
        pytest.param(b"", False, id="nameless"),
        pytest.param(b"\xef\xbc\xbf_Host-auth_proxy", False, id="full-width look-alike"),
    ],
)
def test_our_names(name: bytes, ours: bool) -> None:
    assert NAMES.ours(name) is ours


@given(VALUES)
def test_what_was_split_is_joined(value: str) -> None:
    cookies = JAR.session(value, 3600, ())
    assert join(_sent(cookies), NAMES) == [value]


@pytest.mark.parametrize(
    ("size", "count"),
    [
        pytest.param(1, 1, id="short"),
        pytest.param(3600, 1, id="just one"),
        pytest.param(3601, 2, id="one byte too many"),
        pytest.param(7200, 2, id="just two"),
        pytest.param(7201, 3, id="three"),
        pytest.param(LARGEST, 3, id="largest"),
    ],
)
def test_a_long_session_is_split(size: int, count: int) -> None:
    """The writer's count is one the reader accepts (mod_auth_openidc: off by one, login loop)."""
    cookies = JAR.session("a" * size, 3600, ())
    assert len(cookies) == count
    assert [c.name for c in cookies] == [BASE, f"{BASE}.1", f"{BASE}.2"][:count]
    assert join(_sent(cookies), NAMES) == ["a" * size]


def test_a_session_that_is_too_large_is_an_error_and_no_loop() -> None:
    with pytest.raises(ProxyError) as caught:
        JAR.session("a" * (LARGEST + 1), 3600, ())
    assert caught.value.reason is Reason.SESSION_TOO_LARGE
    assert "Redis" in caught.value.detail


def test_each_set_cookie_fits_4096_bytes_and_all_of_them_one_line_of_8_kib() -> None:
    """RFC 6265bis section 5.6; what servers on the way accept as one header line."""
    jar = Jar(NAMES, secure=True, domain="x" * 60 + ".example.org", same_site="Strict")
    cookies = jar.session("a" * LARGEST, 10 * 365 * 86400, ())
    assert all(len(write(cookie)) <= 4096 for cookie in cookies)
    line = "Cookie: " + "; ".join(f"{c.name}={c.value}" for c in cookies)
    assert len(line) <= 8190


PARTS = ("a" * 3600, "b" * 3600, "c" * 400)


def _pairs(**changes: str | None) -> list[tuple[bytes, bytes]]:
    """Three good parts with changes: p0, p1, p2 by value, None leaves one out."""
    values: dict[str, str | None] = {"p0": f"3.{PARTS[0]}", "p1": PARTS[1], "p2": PARTS[2]}
    values |= changes
    return [
        (NAMES.part(int(key[1:])).encode(), value.encode())
        for key, value in values.items()
        if value is not None
    ]


def test_parts_may_come_in_any_order() -> None:
    assert join(_pairs()[::-1], NAMES) == ["".join(PARTS)]


def test_a_part_beyond_the_count_is_left_over_and_ignored() -> None:
    assert join(_pairs(p3="old", p7="old"), NAMES) == ["".join(PARTS)]


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([], id="no cookie"),
        pytest.param(_pairs(p0=None), id="the first is missing"),
        pytest.param(_pairs(p1=None), id="the second is missing"),
        pytest.param(_pairs(p2=None), id="the last is missing"),
        pytest.param([*_pairs(), (NAMES.part(1).encode(), b"x")], id="a part came twice"),
        pytest.param(_pairs(p0="1.a"), id="count one"),
        pytest.param(_pairs(p0="0.a"), id="count zero"),
        pytest.param(_pairs(p0="4.a", p3="d"), id="count beyond what is written"),
        pytest.param(_pairs(p0="03.a"), id="count with a zero"),
        pytest.param(_pairs(p0="-3.a"), id="count below zero"),
        pytest.param(_pairs(p0="+3.a"), id="count with a sign"),
        pytest.param(_pairs(p0="3 .a"), id="count with a space"),
        pytest.param(_pairs(p0=".a"), id="no count"),
        pytest.param(_pairs(p0="\u0663.a"), id="an Arabic three"),
        pytest.param([(BASE.encode(), b"")], id="empty"),
        pytest.param([(BASE.encode(), b"\xff")], id="not ASCII"),
    ],
)
def test_a_broken_set_of_parts_is_no_session(pairs: list[tuple[bytes, bytes]]) -> None:
    assert join(pairs, NAMES) == []


@pytest.mark.parametrize("count", ["99999999", "0399999999", "02" + "9" * 18, "3" * 5000])
def test_a_huge_count_costs_nothing(count: str) -> None:
    """mod_auth_openidc CVE-2024-24814 (GHSA-hxr6-w4gc-7vvv)."""
    started = time.perf_counter()
    assert join(_pairs(p0=f"{count}.a"), NAMES) == []
    assert time.perf_counter() - started < 0.5


def test_two_sessions_are_both_candidates_and_many_are_cut() -> None:
    pairs = [(BASE.encode(), b"one"), (BASE.encode(), b"two")]
    assert join(pairs, NAMES) == ["one", "two"]
    assert len(join(pairs * 50, NAMES)) == 8


def test_a_shorter_session_removes_the_parts_of_a_longer_one() -> None:
    present = _sent(JAR.session("a" * LARGEST, 3600, ()))
    cookies = JAR.session("short", 3600, present)
    removed = {c.name for c in cookies if c.max_age == 0}
    assert removed == {f"{BASE}.1", f"{BASE}.2"}
    assert cookies[0] == JAR.make(BASE, "short", 3600)


def test_clearing_removes_the_session_and_each_part_that_came() -> None:
    present = read_pairs([f"{BASE}.1=x; {BASE}.4=y; {BASE}.1=z; app=1".encode()])
    cookies = JAR.clear_session(present)
    assert [c.name for c in cookies] == [BASE, f"{BASE}.1", f"{BASE}.4"]
    assert all(c.max_age == 0 and c.value == "" for c in cookies)


def test_a_session_that_does_not_open_is_cleared_and_nothing_is_set_for_others() -> None:
    assert JAR.clear_broken(read_pairs([b"app=1; __Host-auth_proxyx=2"])) == []
    for line in (BASE, f"{BASE}.1", f"{BASE}.2"):
        present = read_pairs([f"{line}=x; app=1".encode()])
        assert JAR.clear_broken(present) == JAR.clear_session(present)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param(b"n=1; m=2", "1", id="once"),
        pytest.param(b"n=1; n=1", None, id="twice"),
        pytest.param(b"m=2", None, id="absent"),
        pytest.param(b"n=\xff", None, id="not ASCII"),
        pytest.param(b"N=1", None, id="other case"),
    ],
)
def test_single_takes_a_cookie_that_came_once(line: bytes, value: str | None) -> None:
    assert single(read_pairs([line]), "n") == value


@pytest.mark.parametrize(
    ("cookie", "text"),
    [
        pytest.param(
            SetCookie("__Host-a", "v", 60, True),
            "__Host-a=v; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax",
            id="ours (ASVS 3.3.1 to 3.3.4)",
        ),
        pytest.param(
            SetCookie("a", "", 0, False, domain="example.org", same_site="Strict"),
            "a=; Path=/; Domain=example.org; Max-Age=0; HttpOnly; SameSite=Strict",
            id="removal on a domain",
        ),
        pytest.param(
            SetCookie("a", "v", None, True, path="/x", http_only=False),
            "a=v; Path=/x; Secure; SameSite=Lax",
            id="until the browser closes",
        ),
    ],
)
def test_set_cookie_is_written_one_way(cookie: SetCookie, text: str) -> None:
    assert write(cookie) == text


@pytest.mark.parametrize("bad", ["a b", "a;b", "a\r\nX: y", 'a"b', "a,b", "é", "a\n"])
def test_set_cookie_holds_nothing_that_could_end_it(bad: str) -> None:
    for cookie in (
        SetCookie("a", bad, 1, True),
        SetCookie(bad, "v", 1, True),
        SetCookie("a", "v", 1, True, domain=bad),
        SetCookie("a", "v", 1, True, path=bad),
    ):
        with pytest.raises(ValueError, match="needs quoting"):
            write(cookie)


def test_a_cookie_without_a_name_is_not_written() -> None:
    with pytest.raises(ValueError, match="needs quoting"):
        write(SetCookie("", "v", 1, True))


@given(st.binary(max_size=300))
def test_no_cookie_line_makes_the_reader_fail(line: bytes) -> None:
    pairs = read_pairs([line, b"__Host-auth_proxy=" + line])
    assert all(name and not re.search(rb"[;=]", name) for name, _ in pairs)
    for value in join(pairs, NAMES):
        assert value.isascii()
    single(pairs, BASE)
