"""How programs are told of errors: the form that the route names, or that Accept asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Reason
from proxy.web.problems import problem, unread, words
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.web.place import Place

PROBLEM, TEXT = "application/problem+json", "text/plain; charset=utf-8"


def visit(accept: str | None = None) -> Visit:
    raw = [(b"Accept", accept.encode("latin-1", "replace"))] if accept is not None else []
    request = Request("GET", "/", raw, http11=True, keep_alive=True, length=0, upgrade=False)
    return Visit(request, "id-1", 1000.0, "127.0.0.1")


def told(
    errors: str, status: int = 401, reason: Reason = Reason.NO_SESSION, **more: object
) -> tuple[str, Any]:
    kind, body = problem(visit(), errors, status, reason, "Sign in first.", more)
    return kind, json.loads(body) if kind != TEXT else body.decode()


def test_a_problem_as_rfc_9457_has_it() -> None:
    kind, found = told("problem", login_url="https://app/start")
    assert kind == PROBLEM
    assert found == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "Sign in first.",
        "error": "no_session",
        "message": "Sign in first.",
        "request_id": "id-1",
        "login_url": "https://app/start",
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        pytest.param(400, "invalid_request_error", id="400"),
        pytest.param(401, "authentication_error", id="401"),
        pytest.param(403, "permission_error", id="403"),
        pytest.param(404, "not_found_error", id="404"),
        pytest.param(429, "rate_limit_error", id="429"),
        pytest.param(502, "server_error", id="502"),
        pytest.param(503, "server_error", id="503"),
    ],
)
def test_an_error_as_openai_has_it(status: int, kind: str) -> None:
    content_type, found = told("openai", status, login_url="https://app/start")
    assert content_type == "application/json"
    assert found == {
        "error": {
            "message": "Sign in first.",
            "type": kind,
            "param": None,
            "code": "no_session",
            "request_id": "id-1",
            "login_url": "https://app/start",
        }
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(400, -32600, id="400"),
        pytest.param(401, -32001, id="401"),
        pytest.param(403, -32003, id="403"),
        pytest.param(429, -32029, id="429"),
        pytest.param(500, -32603, id="500"),
        pytest.param(502, -32000, id="502"),
    ],
)
def test_an_error_as_json_rpc_has_it(status: int, code: int) -> None:
    content_type, found = told("jsonrpc", status, remedy="Ask Bob.")
    assert content_type == "application/json"
    assert (found["jsonrpc"], found["id"]) == ("2.0", None)
    assert (found["error"]["code"], found["error"]["message"]) == (code, "Sign in first.")
    data = found["error"]["data"]
    assert (data["error"], data["status"], data["request_id"]) == ("no_session", status, "id-1")
    assert data["remedy"] == "Ask Bob."


def test_plain_text() -> None:
    kind, found = told("text", login_url="https://app/start")
    assert kind == TEXT
    assert found == (
        "Sign in first.\nerror: no_session\nrequest_id: id-1\nlogin_url: https://app/start\n"
    )


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        pytest.param(None, PROBLEM, id="nothing"),
        pytest.param("", PROBLEM, id="empty"),
        pytest.param("*/*", PROBLEM, id="curl"),
        pytest.param("application/json", PROBLEM, id="JSON"),
        pytest.param("application/problem+json", PROBLEM, id="a problem"),
        pytest.param("application/json, text/plain, */*", PROBLEM, id="axios"),
        pytest.param("text/event-stream", PROBLEM, id="a stream"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", PROBLEM, id="a page"),
        pytest.param("text/plain", TEXT, id="text"),
        pytest.param("TEXT/Plain; charset=utf-8", TEXT, id="text in capitals"),
        pytest.param("text/plain, */*", TEXT, id="text by its name"),
        pytest.param("text/plain, */*;q=0.1", TEXT, id="rather text"),
        pytest.param("text/*", TEXT, id="some text"),
        pytest.param("text/plain;q=0.5, application/json", PROBLEM, id="rather JSON"),
        pytest.param("text/plain, application/json;q=0.5", TEXT, id="JSON if need be"),
        pytest.param("text/plain;q=0", PROBLEM, id="anything but text"),
        pytest.param("application/json;q=0, */*", TEXT, id="anything but JSON"),
        pytest.param("text/plain;q=nonsense, application/json", PROBLEM, id="no weight"),
        pytest.param(";;,,q=\xff/", PROBLEM, id="nonsense"),
    ],
)
def test_accept_chooses(accept: str | None, kind: str) -> None:
    found, _ = problem(visit(accept), "auto", 403, Reason.INTERNAL, "No.", {})
    assert found == kind


def test_the_route_counts_more_than_accept() -> None:
    found, _ = problem(visit("text/plain"), "problem", 403, Reason.INTERNAL, "No.", {})
    assert found == PROBLEM


def test_a_request_that_could_not_be_read() -> None:
    kind, body = unread(431, Reason.TOO_LARGE, "id-1")
    found = json.loads(body)
    assert (kind, found["error"], found["request_id"]) == (PROBLEM, "too_large", "id-1")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 429, 431])
@pytest.mark.parametrize("reason", [Reason.INTERNAL, Reason.TOKEN_INVALID])
def test_every_status_has_words(status: int, reason: Reason) -> None:
    assert words(status, reason).endswith(".")
    assert words(status, reason) != "The request failed."


@given(st.text(st.characters(max_codepoint=255)))
def test_any_accept_gets_an_answer(accept: str) -> None:
    kind, body = problem(visit(accept), "auto", 403, Reason.INTERNAL, "No.", {})
    assert kind in (PROBLEM, TEXT)
    assert b"internal_error" in body


ROUTES = [
    {"path": f"/{errors}/*", "errors": errors} for errors in ("auto", "openai", "jsonrpc", "text")
]


async def test_through_a_proxy() -> None:
    async with Place(routes=ROUTES) as place:
        for path, kind in {
            "/auto/x": PROBLEM,
            "/openai/x": "application/json",
            "/jsonrpc/x": "application/json",
            "/text/x": TEXT,
        }.items():
            for headers in ({}, {"Accept": "text/html"}):
                answer = await place.browser().post(path, page=False, headers=headers)
                assert answer.status == 401
                assert answer.headers["Content-Type"] == kind
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
                assert f"{place.public}/oauth2/start" in answer.text
                assert answer.headers["X-Request-Id"] in answer.text
                assert "Location" not in answer.headers
        page = await place.browser().get("/openai/x")
        assert page.status == 302, "people are sent to sign in, whatever the route says"
