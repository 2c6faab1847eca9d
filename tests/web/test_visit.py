"""One request on its way through: read once, as bytes where it matters."""

from __future__ import annotations

import pytest

from proxy.errors import BadRequest
from proxy.model import Kind, Target
from proxy.web.visit import Visit
from proxy.wire.inbound import Request


def visit(method: str, *headers: tuple[str, str]) -> Visit:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    request = Request(method, "/", raw, http11=True, keep_alive=True, length=0, upgrade=False)
    return Visit(request, "id", 1000.0, "127.0.0.1")


NAVIGATE = ("Sec-Fetch-Mode", "navigate")


def test_a_request_that_could_not_be_read_has_no_target() -> None:
    with pytest.raises(BadRequest):
        _ = visit("GET").goal


@pytest.mark.parametrize(
    ("method", "headers", "kind"),
    [
        pytest.param("GET", [NAVIGATE], Kind.NAVIGATION, id="a person"),
        pytest.param("GET", [("Accept", "text/html")], Kind.NAVIGATION, id="an old browser"),
        pytest.param("GET", [], Kind.PROGRAM, id="a program"),
        pytest.param("POST", [NAVIGATE], Kind.PROGRAM, id="a form"),
        pytest.param("GET", [NAVIGATE, ("Accept", "\xff")], Kind.NAVIGATION, id="odd bytes"),
    ],
)
def test_without_a_target_the_kind_is_still_known(
    method: str, headers: list[tuple[str, str]], kind: Kind
) -> None:
    assert visit(method, *headers).kind is kind


def test_the_target_says_what_kind_it_is() -> None:
    here = visit("GET", NAVIGATE)
    here.target = Target("GET", "https", "h", "/a", "/a", "", Kind.WEBSOCKET, "127.0.0.1")
    assert here.kind is Kind.WEBSOCKET
    assert here.goal.raw == "/a"


def test_cookies_of_several_lines_are_kept_in_order_with_their_bytes() -> None:
    here = visit("GET", ("Cookie", "a=1; b=\xff"), ("X-Other", "c=3"), ("COOKIE", "a=2;=x; d"))
    here.read_cookies()
    assert here.pairs == [(b"a", b"1"), (b"b", b"\xff"), (b"a", b"2")]


def test_headers_are_found_in_any_case_and_empty_when_absent() -> None:
    here = visit("GET", ("accept-language", "fr"), ("X-Twice", "one"), ("X-Twice", "two"))
    assert here.language_wish == "fr"
    assert here.header("x-twice") == "one"
    assert here.header("X-None") == ""
