"""The rules about routes, headers and paths."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.config.configurations import MINIMAL, problems_of


def reported(flags: Mapping[str, str], text: str = MINIMAL) -> str:
    return "\n".join(problems_of(text, flags=flags))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/a*", id="a star in a segment"),
        pytest.param("/*/a", id="a star in the middle"),
        pytest.param("/a/**", id="two stars"),
        pytest.param("/a%2fb", id="an escape"),
        pytest.param("//a", id="two slashes"),
        pytest.param("/a/../b", id="a dot segment"),
        pytest.param("/a?b", id="a query"),
        pytest.param("a", id="no slash at the start"),
        pytest.param("/a b", id="a space"),
    ],
)
def test_paths_that_no_route_may_have(path: str) -> None:
    assert "routes.0.path: " in reported({"routes": f'[{{"path": "{path}"}}]'})


@pytest.mark.parametrize("path", ["/", "/*", "/a", "/a/", "/a/*", "/a.b/~c/*", "/_event"])
def test_paths_that_a_route_may_have(path: str) -> None:
    assert reported({"routes": f'[{{"path": "{path}"}}]'}) == ""


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param(
            "[{path: /a}, {path: /a}]", "routes.1: the same path and method as routes.0", id="same"
        ),
        pytest.param(
            "[{path: /a, methods: [GET, POST]}, {path: /a, methods: [POST]}]",
            "routes.1: the same path and method as routes.0",
            id="overlapping methods",
        ),
        pytest.param("[{path: /a, methods: [get]}]", "'get' is not a method", id="lower case"),
        pytest.param("[{path: /a, rewrite: b}]", "rewrite: starts with /", id="relative rewrite"),
    ],
)
def test_routes_that_contradict(routes: str, expected: str) -> None:
    assert expected in reported({"routes": routes})


def test_one_path_may_have_routes_for_different_methods() -> None:
    assert reported({"routes": "[{path: /a, methods: [GET]}, {path: /a}]"}) == ""


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param("[{path: /a, upstream: 'http://a'}]", "not set: upstream", id="only a part"),
        pytest.param("[{path: '/*', upstream: 'http://a'}]", "", id="a route for everything"),
        pytest.param(
            "[{path: '/*', upstream: 'http://a', methods: [GET]}]",
            "not set: upstream",
            id="GET only",
        ),
        pytest.param(
            "[{path: '/*', upstream: 'http://a'}, {path: /b}]",
            "routes.1.upstream: is needed",
            id="a route without one",
        ),
    ],
)
def test_without_a_global_upstream_every_path_needs_one(routes: str, expected: str) -> None:
    found = reported({"routes": routes}, MINIMAL.replace("upstream: http://app:8501\n", ""))
    assert expected in found
    assert bool(expected) == bool(found)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"headers.extra": "{'X Y': a}"}, "not a valid header name", id="a space"),
        pytest.param({"headers.extra": "{x_forwarded_USER: a}"}, "another meaning", id="ours"),
        pytest.param({"headers.extra": "{Host: a}"}, "another meaning", id="host"),
        pytest.param({"headers.extra": "{X-Forwarded-Identity: a}"}, "another", id="the JWT's"),
        pytest.param({"headers.extra": "{X-A: a, x_a: b}"}, "same header", id="twice"),
        pytest.param({"headers.extra": "{X-A: ''}"}, "name of a claim", id="no claim"),
        pytest.param({"identity.header": "Cookie"}, "identity.header: Cookie", id="JWT as cookie"),
        pytest.param(
            {"paths.callback": "/oauth2/start"}, "paths.callback: /oauth2/start is", id="one path"
        ),
        pytest.param(
            {
                "providers": "[{name: start, preset: google}]",
                "paths.start": "/oauth2/callback/start",
            },
            "paths.start: /oauth2/callback/start is already the callback of provider start",
            id="the path of one provider's callback",
        ),
        pytest.param({"paths.ping": ""}, "paths.ping: must not be empty", id="no ping"),
        pytest.param(
            {"paths.start": "/a/../b"}, "paths.start: a path starts", id="dot segments in our paths"
        ),
        pytest.param(
            {"forwarding.client_key_file": "/run/key.pem"},
            "forwarding.client_key_file: needs forwarding.client_certificate_file",
            id="a key without its certificate",
        ),
        pytest.param(
            {"forwarding.server_name": "app example"},
            "forwarding.server_name: 'app example' is not allowed",
            id="a server name with a space",
        ),
    ],
)
def test_what_is_refused(flags: Mapping[str, str], expected: str) -> None:
    assert expected in reported(flags)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({"headers.extra": "{X-Siret: siret}"}, id="a header"),
        pytest.param(
            {"paths.callback": "/v1/auth/auth", "paths.start": "/v1/auth/login"}, id="E4.1"
        ),
    ],
)
def test_what_is_accepted(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""


def test_a_public_route_cannot_have_a_rule() -> None:
    route = "[{path: /a, access: public, rule: {emails: [a@b.example]}}]"
    assert "routes.0.rule: a public route" in reported({"routes": route})


def test_a_jwt_needs_an_audience() -> None:
    assert "identity.audience: " in reported({"identity.audience": "[]"})


REFRESHED = {"session.refresh_every": "30m"}


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        pytest.param("authorization: template", "authorization_template: goes with", id="no text"),
        pytest.param(
            "authorization_template: 'Bearer {a}'", "authorization_template: goes with", id="unused"
        ),
        pytest.param(
            "authorization: template, authorization_template: 'Bearer {a'",
            "authorization_template: has a brace without its other half",
            id="an open brace",
        ),
        pytest.param(
            "authorization: template, authorization_template: Bearer secret",
            "authorization_template: needs a claim",
            id="the same for everybody",
        ),
        pytest.param("authorization: exchange", "exchange: an audience or a", id="for nobody"),
        pytest.param("exchange: {audience: api}", "exchange: an audience or a", id="not exchanged"),
        pytest.param(
            "authorization: exchange, exchange: {scope: read}", "exchange: an audience", id="scope"
        ),
        pytest.param(
            "authorization: exchange, exchange: {resource: api}",
            "exchange.resource: must be a whole URL",
            id="a resource that is no URL",
        ),
        pytest.param(
            "authorization: exchange, exchange: {resource: 'https://api/#x'}",
            "exchange.resource: must be a whole URL",
            id="a resource with a fragment",
        ),
        pytest.param(
            "authorization: exchange, exchange: {audience: 'clé'}",
            "exchange.audience: may hold visible ASCII",
            id="an audience that is not ASCII",
        ),
        pytest.param(
            "access: public, authorization: exchange, exchange: {audience: api}",
            "authorization: a public route knows nobody",
            id="exchange on a public route",
        ),
        pytest.param(
            "access: public, authorization: template, authorization_template: '{a}'",
            "authorization: a public route knows nobody",
            id="a template on a public route",
        ),
    ],
)
def test_what_a_route_puts_in_place_of_authorization(route: str, expected: str) -> None:
    found = reported({"routes": f"[{{path: /a, {route}}}]", **REFRESHED})
    assert f"routes.0.{expected}" in found


@pytest.mark.parametrize(
    "route",
    [
        "authorization: template, authorization_template: 'Bearer {a}'",
        "authorization: exchange, exchange: {audience: api, scope: read write}",
        "authorization: exchange, exchange: {resource: 'https://api.example.org/'}",
        "authorization: exchange, exchange: {resource: 'urn:example:api'}",
    ],
)
def test_what_it_may_put_there(route: str) -> None:
    assert reported({"routes": f"[{{path: /a, {route}}}]", **REFRESHED}) == ""


def test_what_an_exchange_needs() -> None:
    routes = "[{path: /a, authorization: exchange, exchange: {audience: api}}]"
    assert "session.refresh_every: is needed for" in reported({"routes": routes})
    github = MINIMAL.replace("issuer_url: https://idp.example.org/", "preset: github")
    found = reported({"routes": routes, **REFRESHED}, github)
    assert "routes.0.authorization: GitHub exchanges no tokens" in found
