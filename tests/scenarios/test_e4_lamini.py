"""Acceptance scenarios E4: a self-managed install with the smallest configuration."""

from __future__ import annotations

import pytest

from proxy.config.checks import check
from proxy.config.paths import endpoint_paths
from proxy.config.settings import Settings
from proxy.demo.people import Client
from tests.fakes.provider import FakeProvider
from tests.web.place import PUBLIC, Place, query

PATHS = {"start": "/v1/auth/login", "callback": "/v1/auth/auth", "signed_out": "/"}


async def test_e4_1_server_metadata_url_and_the_providers_old_paths() -> None:
    async with Place(paths=PATHS, provider={"issuer_url": None}) as place:
        place.provider.register(
            Client("proxy", "proxy-secret", (f"{PUBLIC}/v1/auth/auth",), (f"{PUBLIC}/",))
        )
        browser = place.browser()
        asked = query((await browser.get("/chat?m=1")).location)
        assert asked["redirect_uri"] == f"{PUBLIC}/v1/auth/auth"
        started = await browser.get("/v1/auth/login?rd=/chat")
        assert started.location.startswith(place.provider.issuer)
        answer = await browser.sign_in("/chat?m=1")
        assert (answer.status, answer.location) == (303, "/chat?m=1")
        assert (await browser.get("/chat?m=1")).status == 200
        assert (await place.identity())["sub"].startswith("alice-")

        ended = await browser.post("/oauth2/sign_out")
        assert query(ended.location)["post_logout_redirect_uri"] == f"{PUBLIC}/"
        back = await browser.get(f"/?state={query(ended.location)['state']}")
        assert back.status == 200
        assert "/v1/auth/login" in back.text
        assert (await browser.get("/")).status == 302


async def test_e4_1_an_issuer_with_a_trailing_slash_is_compared_exactly() -> None:
    client = Client("proxy", "proxy-secret", (f"{PUBLIC}/oauth2/callback",))
    async with FakeProvider(client, base_path="/") as fake, Place() as place:
        assert fake.issuer.endswith("/")
        place.provider.misbehave("discovery_trailing_slash")
        answer = await place.browser().get("/")
        assert answer.status == 502
        assert "provider_metadata_invalid" in place.logged()


def test_e4_1_the_urls_to_register() -> None:
    settings = Settings.model_validate({"public_url": PUBLIC, "paths": PATHS})
    paths = endpoint_paths(settings)
    assert (paths.start, paths.callback, paths.signed_out) == (
        "/v1/auth/login", "/v1/auth/auth", "/",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("listen", "further", "refused"),
    [
        pytest.param("0.0.0.0:4180", {}, True, id="reachable by others"),
        pytest.param("127.0.0.1:4180", {}, False, id="this machine only"),
        pytest.param("[::1]:4180", {}, False, id="this machine only, IPv6"),
        pytest.param("0.0.0.0:4180", {"disabled_on_public_address": True}, False, id="insisted"),
    ],
)
def test_e4_2_disabled_authentication_stays_on_this_machine(
    listen: str, further: dict[str, bool], refused: bool
) -> None:
    settings = Settings.model_validate(
        {
            "public_url": "http://localhost:4180",
            "upstream": "http://127.0.0.1:1",
            "auth": {"disabled": True, **further},
            "server": {"listen": listen},
        }
    )
    problems = [problem.path for problem in check(settings)]
    assert ("auth.disabled" in problems) is refused, problems


async def test_e4_2_disabled_passes_requests_without_identity() -> None:
    async with Place(auth={"disabled": True}) as place:
        forged = {"X-Forwarded-User": "root", "X-Forwarded-Identity": "forged"}
        answer = await place.browser().get("/anything", headers=forged)
        assert answer.status == 200
        assert place.upstream.header("X-Forwarded-Identity") == []
        assert place.upstream.header("X-Forwarded-User") == []
        assert "auth.disabled" in place.logged()


async def test_e4_3_listed_keys_pass_through_on_listed_routes() -> None:
    route = {"path": "/api/*", "passthrough_prefixes": ["sk-", "lamini-"]}
    async with Place(routes=[route]) as place:
        browser = place.browser()
        key = {"Authorization": "Bearer sk-abc", "X-Forwarded-User": "root"}
        answer = await browser.get("/api/v1", page=False, headers=key)
        assert answer.status == 200
        assert place.upstream.header("Authorization") == ["Bearer sk-abc"]
        assert place.upstream.header("X-Forwarded-User") == []
        assert place.upstream.header("X-Forwarded-Identity") == []

        seen = len(place.upstream.seen)
        for path, headers in (
            ("/api/v1", {}),
            ("/api/v1", {"Authorization": "Bearer other"}),
            ("/api/v1", {"Authorization": "Basic sk-abc"}),
            ("/api/v1", {"Authorization": "sk-abc"}),
            ("/other", {"Authorization": "Bearer sk-abc"}),
        ):
            refused = await browser.get(path, page=False, headers=headers)
            assert refused.status == 401, (path, headers)
            assert refused.headers["Content-Type"] == "application/problem+json"
        assert len(place.upstream.seen) == seen
