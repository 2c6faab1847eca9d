"""What is decided before anything is done: where a request goes, and whether it may."""

from __future__ import annotations

import os
from typing import Any

import pytest

from proxy.config.settings import Settings
from proxy.errors import BadRequest, Reason
from proxy.model import Kind
from proxy.rules.gate import Forward, Login, Refuse
from proxy.rules.routes import Endpoint, Route
from proxy.web.judge import Judge
from proxy.web.runtime import compile_runtime
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.web.place import HOST, PUBLIC, SECRET

ROUTES: list[dict[str, Any]] = [
    {"path": "/open/*", "access": "public"},
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/keys/*", "passthrough_prefixes": ["sk-"]},
    {"path": "/posts", "methods": ["POST"], "access": "public"},
    {"path": "/app/*"},
    {"path": "/socket/*", "origins": [PUBLIC]},
]


def judging(**settings: Any) -> Judge:
    given = {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:1",
        "cookie": {"secret": SECRET},
        "provider": {
            "issuer_url": "https://id.example.org",
            "client_id": "proxy",
            "client_secret": "secret",
        },
        "paths": {"signed_out": "/bye"},
        **settings,
    }
    return Judge(compile_runtime(Settings.model_validate(given), os.urandom))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return judging(routes=ROUTES)


def visit(method: str, target: str, *headers: tuple[str, str], host: str = HOST) -> Visit:
    fields = [("Host", host), *headers]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    request = Request(method, target, raw, http11=True, keep_alive=True, length=0, upgrade=False)
    return Visit(request, "id", 1000.0, "127.0.0.1")


def read(judge: Judge, *given: Any, **more: Any) -> Visit:
    found = visit(*given, **more)
    judge.read(found)
    return found


def test_reading_fills_in_target_and_cookies(judge: Judge) -> None:
    found = read(judge, "GET", "/a%20b?c=d", ("Cookie", "x=1; y=2"))
    assert (found.goal.path, found.goal.query, found.goal.host) == ("/a b", "c=d", HOST)
    assert found.pairs == [(b"x", b"1"), (b"y", b"2")]


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        pytest.param("TRACE", "/", [], 405, id="TRACE"),
        pytest.param("GET", "/a/../b", [], 400, id="dots"),
        pytest.param("GET", "//a", [], 400, id="an empty segment"),
        pytest.param("GET", "/a%2fb", [], 400, id="an escaped slash"),
        pytest.param("GET", "/", [("Host", HOST)], 400, id="a second Host"),
        pytest.param("GET", "/", [("Authorization", "a"), ("authorization", "b")], 400,
                     id="two keys"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_goes_nowhere(
    judge: Judge, method: str, target: str, headers: list[tuple[str, str]], status: int
) -> None:
    found = visit(method, target, *headers)
    with pytest.raises(BadRequest) as caught:
        judge.read(found)
    assert caught.value.status == status
    with pytest.raises(BadRequest):
        judge.place(found)


@pytest.mark.parametrize(
    ("target", "place"),
    [
        pytest.param("/ping", Endpoint.PING, id="ping"),
        pytest.param("/oauth2/auth?allowed_groups=a", Endpoint.AUTH, id="forward-auth"),
        pytest.param("/oauth2/callback?code=x", Endpoint.CALLBACK, id="callback"),
        pytest.param("/open/x", "/open/*", id="a public route"),
        pytest.param("/open", "/open/*", id="its root"),
        pytest.param("/app/x;y=1", "/app/*", id="path parameters on a closed route"),
        pytest.param("/bye", "/*", id="the app's own page, without our memory of a sign-out"),
        pytest.param("/elsewhere", "/*", id="what no route names"),
        pytest.param("/posts", "/*", id="a route of another method"),
        pytest.param("/open/x;y=1", "400", id="path parameters on a public route"),
        pytest.param("/maybe/x;y=1", "400", id="path parameters on an optional route"),
    ],
)
def test_where_a_request_goes(judge: Judge, target: str, place: Endpoint | str) -> None:
    found = read(judge, "GET", target)
    if place == "400":
        with pytest.raises(BadRequest, match="path parameter"):
            judge.place(found)
        return
    where = judge.place(found)
    assert (where.path if isinstance(where, Route) else where) == place


def test_the_way_back_from_a_sign_out_is_known_by_its_memory(judge: Judge) -> None:
    name = judge._runtime.names.sign_out
    found = read(judge, "GET", "/bye?state=x", ("Cookie", f"{name}=x"))
    assert judge.place(found) is Endpoint.SIGNED_OUT


@pytest.mark.parametrize(
    ("method", "path"),
    [pytest.param("GET", "/else", id="path"), pytest.param("GET", "/posts", id="method")],
)
def test_without_a_route_there_is_nothing(method: str, path: str) -> None:
    route = {"path": "/posts", "methods": ["POST"], "upstream": "http://127.0.0.1:1"}
    judge = judging(upstream=[], routes=[route])
    with pytest.raises(BadRequest) as caught:
        judge.place(read(judge, method, path))
    assert (caught.value.reason, caught.value.status) == (Reason.NOT_FOUND, 404)


@pytest.mark.parametrize(
    ("target", "is_answered"),
    [
        pytest.param("/ping", True, id="ping"),
        pytest.param("/ready", True, id="ready"),
        pytest.param("/oauth2/auth", True, id="forward-auth"),
        pytest.param("/oauth2/.well-known/jwks.json", True, id="keys"),
        pytest.param("/oauth2/callback", False, id="callback"),
        pytest.param("/oauth2/sign_out", False, id="sign-out"),
        pytest.param("/oauth2/userinfo", False, id="userinfo"),
        pytest.param("/open/x", False, id="a public route"),
        pytest.param("/app/x", False, id="a closed route"),
        pytest.param("/elsewhere", False, id="no route"),
    ],
)
def test_only_machines_may_ask_by_another_name(
    judge: Judge, target: str, is_answered: bool
) -> None:
    found = read(judge, "GET", target, host="10.0.0.7:4180")
    if is_answered:
        assert isinstance(judge.place(found), Endpoint)
        return
    with pytest.raises(BadRequest) as caught:
        judge.place(found)
    assert (caught.value.reason, caught.value.status) == (Reason.BAD_HOST, 421)


NAVIGATE = ("Sec-Fetch-Mode", "navigate")
KEY = ("Authorization", "Bearer sk-1")


@pytest.mark.parametrize(
    ("target", "headers", "verdict", "passes"),
    [
        pytest.param("/open/x", [], Forward(None), False, id="public"),
        pytest.param("/maybe/x", [], Forward(None), False, id="optional"),
        pytest.param("/app/x", [], Refuse(Reason.NO_SESSION), False, id="closed to a program"),
        pytest.param("/app/x", [NAVIGATE], Login(), False, id="closed to a person"),
        pytest.param("/app/x", [KEY], Refuse(Reason.NO_SESSION), False, id="a key elsewhere"),
        pytest.param("/keys/x", [KEY], Forward(None), True, id="a key"),
        pytest.param("/keys/x", [("Authorization", "Bearer xsk-1")], Refuse(Reason.NO_SESSION),
                     False, id="another key"),
        pytest.param("/keys/x", [("Authorization", "Basic sk-1")], Refuse(Reason.NO_SESSION),
                     False, id="no bearer"),
    ],
)  # fmt: skip
def test_nobody_gets_as_far_as_the_table_says(
    judge: Judge, target: str, headers: list[tuple[str, str]], verdict: object, passes: bool
) -> None:
    found = read(judge, "GET", target, *headers)
    route = judge.place(found)
    assert isinstance(route, Route)
    assert judge.decide(found, route, None) == verdict
    assert found.passthrough is passes


SOCKET = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
          ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]  # fmt: skip


@pytest.mark.parametrize(
    ("origins", "is_refused"),
    [
        pytest.param([PUBLIC], False, id="ours"),
        pytest.param([PUBLIC.upper()], False, id="in capitals"),
        pytest.param([], False, id="a program"),
        pytest.param(["https://evil.example"], True, id="another"),
        pytest.param(["null"], True, id="null"),
        pytest.param([PUBLIC, PUBLIC], True, id="two"),
        pytest.param([PUBLIC + ".evil.example"], True, id="ours and more"),
        pytest.param([""], True, id="empty"),
    ],
)
def test_who_may_open_a_websocket(judge: Judge, origins: list[str], is_refused: bool) -> None:
    headers = [*SOCKET, *(("origin", origin) for origin in origins)]
    found = read(judge, "GET", "/socket/x", *headers)
    assert found.kind is Kind.WEBSOCKET
    route = judge.place(found)
    assert isinstance(route, Route)
    if not is_refused:
        judge.check_origin(found, route)
        return
    with pytest.raises(BadRequest) as caught:
        judge.check_origin(found, route)
    assert (caught.value.reason, caught.value.status) == (Reason.ORIGIN_REFUSED, 403)


def test_other_requests_may_come_from_anywhere(judge: Judge) -> None:
    found = read(judge, "POST", "/socket/x", ("Origin", "https://evil.example"))
    route = judge.place(found)
    assert isinstance(route, Route)
    judge.check_origin(found, route)
