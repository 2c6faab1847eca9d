"""What programs without a good token are told (RFC 6750, RFC 9728)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from proxy.config.paths import RESOURCE
from proxy.web.answers import Answers
from proxy.web.resource import Resource
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.web.trusting import PUBLIC, runtime_of


def resource(**sections: Any) -> Resource:
    runtime = runtime_of(**sections)
    return Resource(runtime, Answers(runtime))


async def document(**sections: Any) -> tuple[dict[str, object], web.Response]:
    request = Request("GET", RESOURCE, [], http11=True, keep_alive=True, length=0, upgrade=False)
    visit = Visit(request, "id", 1000.0, "127.0.0.1")
    answer = await resource(**sections).metadata(visit)
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body), answer


async def test_programs_find_whoever_may_sign_them_in() -> None:
    ci = {"name": "ci", "issuer_url": "https://ci.example.org", "audiences": ["api"]}
    bearer = {"audiences": [PUBLIC], "issuers": [{**ci, "required_scopes": ["models", "chat"]}]}
    found, answer = await document(bearer=bearer)
    assert found == {
        "resource": PUBLIC,
        "authorization_servers": ["https://idp.example.org/", "https://ci.example.org"],
        "scopes_supported": ["models", "chat"],
        "bearer_methods_supported": ["header"],
    }
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_what_is_empty_is_left_out() -> None:
    found, _ = await document(tokens={"personal": True})
    assert found == {"resource": PUBLIC, "bearer_methods_supported": ["header"]}


TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"


@pytest.mark.parametrize(
    ("provider", "server"),
    [
        pytest.param({"preset": "github"}, None, id="GitHub is no authorization server"),
        pytest.param({"preset": "google"}, "https://accounts.google.com", id="a preset"),
        pytest.param(
            {"server_metadata_url": "https://idp.test/a/.well-known/openid-configuration"},
            "https://idp.test/a",
            id="known by its metadata",
        ),
        pytest.param(
            {"server_metadata_url": "https://idp.test/metadata"}, None, id="metadata elsewhere"
        ),
        pytest.param(
            {
                "preset": "entra",
                "entra": {"tenant": "organizations", "allowed_tenants": [TENANT]},
            },
            "https://login.microsoftonline.com/organizations/v2.0",
            id="one of many tenants",
        ),
    ],
)
async def test_the_issuer_of_each_provider(provider: dict[str, Any], server: str | None) -> None:
    whole = {"client_id": "app", "client_secret": "a secret", **provider}
    found, _ = await document(provider=whole, bearer={"audiences": ["api"]})
    assert found.get("authorization_servers") == ([server] if server else None)
