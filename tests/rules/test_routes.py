"""Routes: exact before prefix, longest prefix first, and never anything below our own prefix."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.access import Access
from proxy.config.settings import Route as RouteSettings
from proxy.config.settings import Settings
from proxy.errors import BadRequest
from proxy.rules.routes import Endpoint, Route, Routes, compile_route, compile_routes
from proxy.rules.target import decode_path

UPSTREAM = "http://app:8501"
ENDPOINTS = {"/oauth2/auth": Endpoint.AUTH, "/ping": Endpoint.PING}
STATIC = "/oauth2/static/"


def configured(*routes: dict[str, Any], **more: Any) -> Settings:
    document = {"public_url": "https://app.example.org", "upstream": UPSTREAM, "routes": routes}
    return Settings.model_validate(document | more)


def compiled(*routes: dict[str, Any], **more: Any) -> Routes:
    return compile_routes(configured(*routes, **more), ENDPOINTS, STATIC)


def found(routes: Routes, path: str, method: str = "GET") -> str | None:
    route = routes.match(path, method)
    return route.path if route else None


TABLE = compiled(
    {"path": "/api/*"},
    {"path": "/api/v1/*"},
    {"path": "/api/v1/health"},
    {"path": "/api/v1/jobs", "methods": ["GET"]},
    {"path": "/api/v1/jobs", "methods": ["POST", "PUT"]},
    {"path": "/form", "methods": ["POST"]},
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/", "/*", id="root"),
        pytest.param("/else", "/*", id="anything else"),
        pytest.param("/api", "/api/*", id="a prefix holds its own base"),
        pytest.param("/api/", "/api/*", id="and its slash"),
        pytest.param("/api/x/y", "/api/*", id="and all below"),
        pytest.param("/apix", "/*", id="but not a longer name"),
        pytest.param("/API/x", "/*", id="case matters (Caddy CVE-2026-27587)"),
        pytest.param("/x/api/v1", "/*", id="only from the beginning"),
        pytest.param("/api/v1/x", "/api/v1/*", id="longest prefix"),
        pytest.param("/api/v1/health", "/api/v1/health", id="exact before prefix"),
        pytest.param("/api/v1/health/", "/api/v1/*", id="exact is exact"),
        pytest.param("/api/v1/healthz", "/api/v1/*", id="exact ends"),
        pytest.param("/form", "/*", id="for another method only"),
    ],
)
def test_the_closest_route_is_matched(path: str, expected: str) -> None:
    assert found(TABLE, path) == expected


def test_the_order_in_the_file_changes_nothing() -> None:
    routes = [{"path": p} for p in ("/*", "/a/*", "/a/b/*", "/a/b", "/a/b/c")]
    for path in ("/", "/a", "/a/b", "/a/b/x", "/a/b/c", "/a/c"):
        assert found(compiled(*routes), path) == found(compiled(*routes[::-1]), path)


@pytest.mark.parametrize(
    ("method", "methods"),
    [("GET", {"GET", "HEAD"}), ("POST", {"POST", "PUT"}), ("PUT", {"POST", "PUT"})],
)
def test_a_path_may_have_a_route_for_each_method(method: str, methods: set[str]) -> None:
    route = TABLE.match("/api/v1/jobs", method)
    assert route is not None
    assert route.methods == methods


def test_a_method_that_no_route_names_goes_to_the_next_prefix() -> None:
    assert found(TABLE, "/api/v1/jobs", "DELETE") == "/api/v1/*"


def test_a_route_with_methods_comes_before_one_for_all_of_them() -> None:
    routes = compiled({"path": "/a"}, {"path": "/a", "methods": ["POST"]})
    for method, expected in (("POST", frozenset({"POST"})), ("GET", frozenset())):
        route = routes.match("/a", method)
        assert route is not None
        assert route.methods == expected


def test_without_a_global_upstream_unknown_paths_match_nothing() -> None:
    routes = compiled({"path": "/a/*", "upstream": "http://a"}, upstream=None)
    assert found(routes, "/a/x") == "/a/*"
    assert found(routes, "/b") is None
    assert found(routes, "/") is None


@pytest.mark.parametrize(
    "path",
    [
        "/oauth2",
        "/oauth2/",
        "/oauth2/auth",
        "/oauth2/unknown",
        "/oauth2/static/../x",
        "/oauth2;x/auth",
        "/;/oauth2/auth",
    ],
)
def test_nothing_below_our_prefix_reaches_an_upstream(path: str) -> None:
    assert compiled({"path": "/oauth2/*", "access": "public"}).match(path, "GET") is None


@pytest.mark.parametrize("path", ["/oauth2x", "/oauth", "/x/oauth2/auth"])
def test_names_like_our_prefix_do(path: str) -> None:
    assert found(compiled(), path) == "/*"


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        pytest.param("/ping", Endpoint.PING, id="exact"),
        pytest.param("/oauth2/auth", Endpoint.AUTH, id="below the prefix"),
        pytest.param("/oauth2/static/a.css", Endpoint.STATIC, id="static file"),
        pytest.param("/ping/", None, id="slash"),
        pytest.param("/ping/x", None, id="below"),
        pytest.param("/x/ping", None, id="at the end (E1.10)"),
        pytest.param("/ping;x", None, id="parameter"),
        pytest.param("/PING", None, id="capitals"),
        pytest.param("/oauth2/static", None, id="static without its slash"),
        pytest.param("/oauth2/auth/", None, id="slash below the prefix"),
    ],
)
def test_our_endpoints_are_matched_exactly(path: str, endpoint: Endpoint | None) -> None:
    assert compiled().endpoint(path) is endpoint


ADMIN = compiled({"path": "/admin/*"}, {"path": "/admin/open", "access": "public"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/a;v=1/b;w", "/*", id="leads to the same route"),
        pytest.param("/admin/x;v=1", "/admin/*", id="below the same prefix"),
        pytest.param("/admin;v=1/x", None, id="would be another route without the parameter"),
        pytest.param("/;v=1/admin/x", None, id="an empty segment with a parameter"),
        pytest.param("/;/;/admin", None, id="two of them"),
        pytest.param("/admin/open;x", None, id="would be open without the parameter"),
        pytest.param("/admin/open;/x", "/admin/*", id="below an exact route is not that route"),
    ],
)
def test_a_path_parameter_cannot_hide_a_route(path: str, expected: str | None) -> None:
    """Tomcat and its like cut ``;x`` off (path desync, Traefik CVE-2026-40912 and others)."""
    assert found(ADMIN, path) == expected


@pytest.mark.parametrize(
    ("path", "rewrite", "raw", "sent"),
    [
        pytest.param("/api/*", None, "/api/x%20y", "/api/x%20y", id="as it came"),
        pytest.param("/api/*", "/", "/api/x", "/x", id="prefix cut off"),
        pytest.param("/api/*", "/", "/api", "/", id="the base itself"),
        pytest.param("/api/*", "/", "/api/", "/", id="with its slash"),
        pytest.param("/api/*", "/v2", "/api/x", "/v2/x", id="another prefix"),
        pytest.param("/api/*", "/v2/", "/api/x", "/v2/x", id="with a slash"),
        pytest.param("/api/*", "/v2", "/api", "/v2", id="base to base"),
        pytest.param("/api/*", "/v2", "/api/", "/v2/", id="slash stays"),
        pytest.param("/*", "/app", "/x", "/app/x", id="everything"),
        pytest.param("/ping2", "/healthz", "/ping2", "/healthz", id="exact"),
        pytest.param("/api/*", "/", "/api/a%20b", "/a%20b", id="the rest stays escaped"),
        pytest.param("/api/*", "/", "/%61pi/x", "/x", id="base partly escaped"),
        pytest.param("/api/*", "/", "/%61%70%69/%61", "/%61", id="base escaped altogether"),
        pytest.param("/api/*", "/v2", "/%61pi", "/v2", id="escaped base alone"),
    ],
)
def test_a_rewrite_replaces_the_base_however_it_is_spelled(
    path: str, rewrite: str | None, raw: str, sent: str
) -> None:
    route = Route(path, Access.REQUIRED, (UPSTREAM,), rewrite=rewrite)
    assert route.rewritten(raw) == sent


_SEGMENT = st.sampled_from(["a", "api", "%61", "b%20c", "..", "%2e", "%41pi", "x;y", "é", "%25"])


@given(
    base=st.sampled_from(["%61pi", "api", "a%70%69", "%61%70%69"]),
    rest=st.lists(_SEGMENT, max_size=4),
    rewrite=st.sampled_from(["/", "/v2", "/v2/", "/a/b"]),
)
def test_a_rewritten_path_is_as_safe_as_the_one_that_came(
    base: str, rest: list[str], rewrite: str
) -> None:
    raw = "/" + "/".join([base, *rest])
    try:
        decoded = decode_path(raw)
    except BadRequest:
        return
    route = Route("/api/*", Access.REQUIRED, (UPSTREAM,), rewrite=rewrite)
    sent = decode_path(route.rewritten(raw))
    assert sent.endswith(decoded.removeprefix("/api"))


def test_a_route_takes_what_it_does_not_name_from_the_settings() -> None:
    every = configured(identity={"audience": ["one"]})
    route = compile_route(RouteSettings(path="/a"), every)
    assert (route.upstream, route.audience, route.access) == (
        (UPSTREAM,),
        ("one",),
        Access.REQUIRED,
    )
    other = compile_route(
        RouteSettings.model_validate(
            {"path": "/a", "upstream": "http://b/c/", "audience": ["two"]}
        ),
        every,
    )
    assert (other.upstream, other.audience) == (("http://b/c/",), ("two",))


def test_a_route_without_any_upstream_is_an_error() -> None:
    with pytest.raises(ValueError, match="no upstream"):
        compile_route(RouteSettings(path="/a"), configured(upstream=None))


def test_head_goes_where_get_goes() -> None:
    """A HEAD on a GET route must not fall through to a laxer one."""
    routes = compiled({"path": "/a", "methods": ["GET"]}, {"path": "/*", "access": "public"})
    for method in ("GET", "HEAD"):
        route = routes.match("/a", method)
        assert route is not None
        assert route.path == "/a"


def test_an_empty_passthrough_prefix_lets_nothing_pass() -> None:
    route = compile_route(RouteSettings(path="/a", passthrough_prefixes=("", "sk-")), configured())
    assert route.passthrough == ("sk-",)


def test_pages_on_further_hosts_of_ours_may_open_websockets() -> None:
    settings = configured(server={"hosts": ["b.example:8443", "*"]})
    route = compile_route(RouteSettings(path="/a"), settings)
    scheme = settings.public_url.partition(":")[0]
    assert f"{scheme}://b.example:8443" in route.origins
    assert not any("*" in origin for origin in route.origins)


@pytest.mark.parametrize(
    ("public_url", "origins", "expected"),
    [
        pytest.param("https://a.example", [], {"https://a.example"}, id="our own"),
        pytest.param("https://a.example:443", [], {"https://a.example"}, id="default port"),
        pytest.param("http://a.example:80", [], {"http://a.example"}, id="of http"),
        pytest.param("https://a.example:8443", [], {"https://a.example:8443"}, id="another port"),
        pytest.param("https://a.example:80", [], {"https://a.example:80"}, id="of the other"),
        pytest.param(
            "https://a.example",
            ["https://B.example/"],
            {"https://a.example", "https://b.example"},
            id="further ones",
        ),
    ],
)
def test_origins_are_compared_as_browsers_write_them(
    public_url: str, origins: list[str], expected: set[str]
) -> None:
    route = compile_route(
        RouteSettings(path="/a", origins=tuple(origins)), configured(public_url=public_url)
    )
    assert route.origins == expected


def test_with_authentication_off_every_route_is_public() -> None:
    routes = compiled({"path": "/a"}, auth={"disabled": True})
    for path in ("/a", "/b"):
        route = routes.match(path, "GET")
        assert route is not None
        assert route.access is Access.PUBLIC


def test_a_long_path_costs_little() -> None:
    started = time.perf_counter()
    for _ in range(20):
        TABLE.match("/api" + "/a" * 4000, "GET")
    assert time.perf_counter() - started < 0.2
