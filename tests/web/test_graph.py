"""Groups from Microsoft Graph: pages, limits, failures (R090 to R093)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from proxy.config.provider import Entra, Provider
from proxy.errors import ProviderError, Reason
from proxy.model import Tokens
from proxy.web.calls import Calls, open_session
from proxy.web.graph import Graph, GraphGroups
from proxy.web.metrics import Metrics
from tests.fakes.entra import PERSONAL, ROLE, UNIT, FakeGraph, assignment, group, membership

OVERAGE = {"_claim_names": {"groups": "src1"}}
TOKENS = Tokens("", "the access token")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as http:
        yield http


@pytest.fixture
async def server() -> AsyncIterator[FakeGraph]:
    async with FakeGraph([membership(n) for n in range(3)]) as server:
        yield server


class Asked:
    """Asks ``server`` with the options of provider.entra."""

    def __init__(self, server: FakeGraph, http: aiohttp.ClientSession) -> None:
        self._server, self._http = server, http

    async def __call__(
        self, deadline: float = 30.0, timeout: float = 10.0, **options: Any
    ) -> GraphGroups | None:
        entra = Entra.model_validate({"graph_url": self._server.url, **options})
        calls = Calls(Provider.model_validate({"timeout": timeout}), self._http, Metrics())
        return await Graph(entra, calls, deadline).groups(TOKENS, OVERAGE)


@pytest.fixture
def ask(server: FakeGraph, http: aiohttp.ClientSession) -> Asked:
    return Asked(server, http)


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(map(group, numbers))


async def test_all_groups_and_nothing_else(server: FakeGraph, ask: Asked) -> None:
    server.memberships = [membership(0), membership(1, ROLE), membership(2, UNIT), membership(3)]
    assert await ask() == GraphGroups(ids(0, 3))
    assert server.tokens == {"the access token"}


async def test_it_is_not_asked_without_need(server: FakeGraph, http: aiohttp.ClientSession) -> None:
    calls = Calls(Provider.model_validate({}), http, Metrics())
    graph = Graph(Entra.model_validate({"graph_url": server.url}), calls)
    assert await graph.groups(TOKENS, {"groups": ["a"]}) is None
    assert await graph.groups(TOKENS, OVERAGE | {"tid": PERSONAL}) == GraphGroups(())
    assert not server.calls


async def test_pages_are_followed(server: FakeGraph, ask: Asked) -> None:
    server.memberships = [membership(n) for n in range(250)]
    assert await ask() == GraphGroups(ids(*range(250)))
    assert server.calls["groups"] == 3


async def test_there_are_at_most_200_pages(server: FakeGraph, ask: Asked) -> None:
    server.size, server.memberships = 1, [membership(n) for n in range(201)]
    note = "groups cut after 200 pages"
    assert await ask() == GraphGroups(ids(*range(200)), note, is_partial=True)
    assert server.calls["groups"] == 200


async def test_the_token_goes_nowhere_else(server: FakeGraph, ask: Asked) -> None:
    server.size = 1
    async with FakeGraph() as elsewhere:
        server.links_to = f"{elsewhere.url}/v1.0/me/transitiveMemberOf"
        with pytest.raises(ProviderError, match="another origin") as refused:
            await ask()
        assert not elsewhere.calls
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


async def test_an_answer_without_groups(server: FakeGraph, ask: Asked) -> None:
    server.changed = {"value": None}
    assert await ask() == GraphGroups(())


async def test_only_groups_of_the_application_count(server: FakeGraph, ask: Asked) -> None:
    server.assignments = [assignment(7), assignment(1), assignment(2, "User")]
    assert await ask(service_principal_id=server.principal) == GraphGroups(ids(1))


async def test_the_groups_of_the_application_come_in_pages(server: FakeGraph, ask: Asked) -> None:
    server.assignments = [assignment(n) for n in range(1000, 1100)] + [assignment(2)]
    assert await ask(service_principal_id=server.principal) == GraphGroups(ids(2))
    assert server.calls["assignments"] == 2


async def test_an_application_without_groups_lets_none_count(server: FakeGraph, ask: Asked) -> None:
    assert await ask(service_principal_id=server.principal) == GraphGroups(())


async def test_an_application_that_cannot_be_read_lets_nobody_in(ask: Asked) -> None:
    with pytest.raises(ProviderError, match="Request_ResourceNotFound") as refused:
        await ask(service_principal_id="unknown")
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


FAULTS = [
    pytest.param({"status": 403}, "status 403, code='Authorization_RequestDenied'", id="refused"),
    pytest.param({"status": 429}, "status 429, code='Authorization_RequestDenied'", id="too much"),
    pytest.param({"changed": []}, "status 200, a JSON array, not an object", id="no answer"),
]


@pytest.mark.parametrize(("fault", "problem"), FAULTS)
async def test_a_failure_lets_nobody_in(
    server: FakeGraph, ask: Asked, fault: dict[str, Any], problem: str
) -> None:
    vars(server).update(fault)
    with pytest.raises(ProviderError) as refused:
        await ask()
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE
    assert refused.value.detail == f"graph: {problem}"


@pytest.mark.parametrize(("fault", "problem"), FAULTS)
async def test_a_failure_may_mean_no_groups(
    server: FakeGraph, ask: Asked, fault: dict[str, Any], problem: str
) -> None:
    vars(server).update(fault)
    said = await ask(graph_failure="no_groups")
    assert said == GraphGroups((), f"no groups: graph: {problem}", is_partial=True)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        pytest.param({"timeout": 0.1}, "groups: no answer in time", id="one page"),
        pytest.param({"deadline": 0.1}, "no answer in time", id="all pages"),
    ],
)
async def test_a_slow_answer_is_none(
    server: FakeGraph, ask: Asked, limits: dict[str, float], problem: str
) -> None:
    forever = asyncio.Event()

    async def wait() -> None:
        await forever.wait()

    server.wait = wait
    with pytest.raises(ProviderError) as refused:
        await ask(**limits)
    forever.set()
    assert refused.value.detail == f"graph: {problem}"


async def test_without_an_access_token(server: FakeGraph, http: aiohttp.ClientSession) -> None:
    calls = Calls(Provider.model_validate({}), http, Metrics())
    graph = Graph(Entra.model_validate({"graph_url": server.url}), calls)
    with pytest.raises(ProviderError, match="no access token"):
        await graph.groups(Tokens(""), OVERAGE)
