"""Microsoft Entra (preset entra): tenants, app roles, groups that a token has no room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.demo.people import Client
from tests.fakes.clock import FakeClock
from tests.fakes.entra import (
    EVA,
    GUESTS,
    GUS,
    HOME,
    LEE,
    MAX,
    Entra,
    FakeGraph,
    assignment,
    group,
    membership,
)
from tests.fakes.provider import FakeProvider
from tests.scenarios.preset_place import PresetPlace
from tests.web.place import query

ROLES = [{"name": "proxy_admin"}, {"name": "internal_user"}]


@pytest.fixture
async def graph() -> AsyncIterator[FakeGraph]:
    async with FakeGraph([membership(n) for n in range(201)]) as graph:
        yield graph


def place(tenant: str = HOME, entra: dict[str, Any] | None = None, **settings: Any) -> PresetPlace:
    def idp(client: Client, clock: FakeClock) -> FakeProvider:
        path, people = f"/{tenant}/v2.0", (LEE, MAX, GUS, EVA)
        return FakeProvider(client, dialect=Entra, users=people, clock=clock, base_path=path)

    def known(idp: FakeProvider) -> dict[str, Any]:
        many = tenant in ("organizations", "common")
        named = idp.issuer.replace(tenant, "{tenantid}") if many else idp.issuer
        return {
            "preset": "entra",
            "issuer_url": named,
            "server_metadata_url": idp.metadata_url,
            "entra": {"tenant": tenant, **(entra or {})},
        }

    return PresetPlace(idp, known, **settings)


async def test_a_sign_in() -> None:
    async with place() as here:
        assert "User.Read" in query((await here.browser().get("/")).location)["scope"]
        told = await here.told("lee")
        assert told["sub"] == LEE.extra["oid"]
        assert told["idp_sub"] == LEE.sub
        assert told["idp_iss"].endswith(f"/{HOME}/v2.0")
        assert told["groups"] == [group(0), group(1), group(2)]
        assert "email_verified" not in told


async def test_app_roles_the_highest_wins() -> None:
    """E2.10, R074: the order of the token does not count."""
    async with place(roles=ROLES, default_role="nobody") as here:
        assert (await here.told("lee"))["role"] == "proxy_admin"


async def test_somebody_of_another_tenant_is_refused_by_a_tenant() -> None:
    async with place() as here:
        assert (await here.browser().sign_in("/", "eva")).status == 403


@pytest.mark.parametrize("tenant", ["organizations", "common"])
async def test_of_many_tenants_those_on_the_list_may_come(tenant: str) -> None:
    async with place(tenant, {"allowed_tenants": [HOME, GUESTS]}) as here:
        assert (await here.told("lee"))["idp_iss"].endswith(f"/{HOME}/v2.0")
        assert (await here.told("gus"))["idp_iss"].endswith(f"/{GUESTS}/v2.0")
        browser = here.browser()
        assert (await browser.sign_in("/", "eva")).status == 403
        assert browser.session is None
        assert "tenant_not_allowed" in here.logged()


async def test_groups_that_a_token_has_no_room_for(graph: FakeGraph) -> None:
    """R090: 201 groups, asked for at Graph; nothing is sent to the address in the token."""
    rule = {"groups": {"any": [group(200)]}}
    async with place(entra={"graph_url": graph.url}, access=rule) as here:
        await here.told("max")
        assert graph.calls["groups"] == 3
        assert (await here.browser().sign_in("/", "lee")).status == 403
        assert graph.calls["groups"] == 3


async def test_201_pages(graph: FakeGraph) -> None:
    """E2.10: it stops at 200, and says so."""
    graph.size = 1
    rule = {"groups": {"any": [group(199)]}}
    async with place(entra={"graph_url": graph.url}, access=rule) as here:
        await here.told("max")
        assert graph.calls["groups"] == 200
        assert "groups cut after 200 pages" in here.logged()


async def test_an_application_without_groups_lets_none_count(graph: FakeGraph) -> None:
    """E2.10, R093: an empty list is no list of everything."""
    entra = {"graph_url": graph.url, "service_principal_id": graph.principal}
    async with place(entra=entra) as here:
        assert "groups" not in await here.told("lee") or (await here.told("lee"))["groups"] == []


async def test_groups_of_the_application_alone_count(graph: FakeGraph) -> None:
    graph.assignments = [assignment(1), assignment(999)]
    entra = {"graph_url": graph.url, "service_principal_id": graph.principal}
    async with place(entra=entra) as here:
        assert (await here.told("lee"))["groups"] == [group(1)]


async def test_without_graph_nobody_with_too_many_groups_comes_in(graph: FakeGraph) -> None:
    graph.status = 403
    async with place(entra={"graph_url": graph.url}) as here:
        browser = here.browser()
        assert (await browser.sign_in("/", "max")).status == 502
        assert browser.session is None
        assert "groups_unavailable" in here.logged()
        assert "secret-of-the-provider" not in here.logged()


async def test_without_graph_people_may_come_in_without_groups(graph: FakeGraph) -> None:
    graph.status = 403
    entra = {"graph_url": graph.url, "graph_failure": "no_groups"}
    async with place(entra=entra) as here:
        assert not (await here.told("max")).get("groups")
        assert "no groups: graph: status 403" in here.logged()


async def test_no_token_is_ever_logged(graph: FakeGraph) -> None:
    async with place(entra={"graph_url": graph.url}) as here:
        await here.told("max")
        assert graph.tokens
        assert not any(token in here.logged() for token in graph.tokens)
