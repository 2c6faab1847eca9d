"""When Microsoft Graph is asked, what, and what is believed of its answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.config.provider import Entra
from proxy.oidc.graph import (
    GraphRefused,
    asked,
    assignments_url,
    memberships_url,
    overage,
    personal,
    read_assignments,
    read_memberships,
)

URL = "https://graph.microsoft.com/v1.0/me/transitiveMemberOf?$select=id&$top=999"
PRINCIPAL = "33333333-0000-4000-8000-000000000001"
OVERAGE = {"_claim_names": {"groups": "src1"}}


def entra(**options: Any) -> Entra:
    return Entra.model_validate(options)


@pytest.mark.parametrize(
    ("claims", "over"),
    [
        pytest.param(OVERAGE, True, id="_claim_names"),
        pytest.param({"hasgroups": True}, True, id="hasgroups"),
        pytest.param({"groups": ["a"]}, False, id="groups"),
        pytest.param({}, False, id="nothing"),
        pytest.param({"_claim_names": {"wids": "src1"}}, False, id="another claim"),
        pytest.param({"_claim_names": "groups"}, False, id="no object"),
    ],
)
def test_no_room_for_groups(claims: dict[str, object], over: bool) -> None:
    assert overage(claims) is over


@pytest.mark.parametrize(
    ("options", "claims", "ask"),
    [
        pytest.param({}, {}, False, id="auto, enough room"),
        pytest.param({}, OVERAGE, True, id="auto, no room"),
        pytest.param({"service_principal_id": PRINCIPAL}, {}, True, id="auto, restricted"),
        pytest.param({"graph_groups": "always"}, {}, True, id="always"),
        pytest.param({"graph_groups": "never"}, OVERAGE, False, id="never"),
    ],
)
def test_when_graph_is_asked(options: dict[str, str], claims: dict[str, object], ask: bool) -> None:
    assert asked(entra(**options), claims) is ask


def test_personal_accounts_are_in_no_group() -> None:
    assert personal({"tid": "9188040d-6c67-4c5b-b112-36a304b66dad"})
    assert not personal({"tid": "11111111-aaaa-4bbb-8ccc-000000000001"})


@pytest.mark.parametrize(
    ("options", "base"),
    [
        ({}, "https://graph.microsoft.com"),
        ({"cloud": "us_government"}, "https://graph.microsoft.us"),
        ({"cloud": "china"}, "https://microsoftgraph.chinacloudapi.cn"),
        ({"graph_url": "https://dod-graph.microsoft.us/"}, "https://dod-graph.microsoft.us"),
    ],
)
def test_where_graph_is(options: dict[str, str], base: str) -> None:
    settings = entra(service_principal_id=PRINCIPAL, **options)
    assert memberships_url(settings) == f"{base}/v1.0/me/transitiveMemberOf?$select=id&$top=999"
    assert assignments_url(settings) == (
        f"{base}/v1.0/servicePrincipals/{PRINCIPAL}/appRoleAssignedTo?$top=999"
    )


GROUP = {"@odata.type": "#microsoft.graph.group", "id": "aaaa-1"}


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        pytest.param([GROUP], ("aaaa-1",), id="a group"),
        pytest.param(None, (), id="null"),
        pytest.param([], (), id="none"),
        pytest.param([GROUP | {"id": None}], (), id="no id"),
        pytest.param([{"@odata.type": "#microsoft.graph.group"}], (), id="without an id"),
        pytest.param([GROUP | {"id": 7}], (), id="a number"),
        pytest.param([GROUP | {"id": "a,b"}], (), id="no id of a directory"),
        pytest.param([GROUP | {"@odata.type": "#microsoft.graph.directoryRole"}], (), id="role"),
        pytest.param([{"id": "aaaa-1"}], (), id="of no kind"),
    ],
)
def test_memberships_are_groups_with_ids(value: object, ids: tuple[str, ...]) -> None:
    page = read_memberships(200, json.dumps({"value": value}).encode(), URL)
    assert (page.ids, page.next) == (ids, "")


def test_assignments_are_those_of_groups() -> None:
    value = [
        {"principalType": "Group", "principalId": "aaaa-1", "id": "x"},
        {"principalType": "User", "principalId": "aaaa-2", "id": "y"},
        {"principalType": "Group", "principalId": None, "id": "z"},
    ]
    assert read_assignments(200, json.dumps({"value": value}).encode(), URL).ids == ("aaaa-1",)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        pytest.param(
            403,
            b'{"error": {"code": "Authorization_RequestDenied", "message": "secret"}}',
            "status 403, code='Authorization_RequestDenied'",
            id="refused",
        ),
        pytest.param(503, b"<html>", "status 503, not JSON (at character 0)", id="no JSON"),
        pytest.param(200, b"[]", "status 200, a JSON array, not an object", id="a list"),
        pytest.param(200, b"{}", "the answer has no value", id="no value"),
        pytest.param(200, b'{"value": {}}', "value is not a list of objects", id="an object"),
        pytest.param(200, b'{"value": ["a"]}', "value is not a list of objects", id="texts"),
    ],
)
def test_what_is_no_answer(status: int, body: bytes, problem: str) -> None:
    with pytest.raises(GraphRefused) as refused:
        read_memberships(status, body, URL)
    assert str(refused.value) == problem


def test_the_next_page() -> None:
    link = "https://graph.microsoft.com/v1.0/me/transitiveMemberOf?$skiptoken=abc"
    body = json.dumps({"value": [], "@odata.nextLink": link}).encode()
    assert read_memberships(200, body, URL).next == link


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/me/transitiveMemberOf",
        "http://graph.microsoft.com/v1.0/me",
        "https://graph.microsoft.com:8443/v1.0/me",
        "https://graph.microsoft.com@evil.example/v1.0/me",
        "https://graph.microsoft.com.evil.example/",
        "//graph.microsoft.com/v1.0/me",
        "/v1.0/me",
        "https://[::1",
        "https://graph.microsoft.com/v1.0/me\r\nX: y",
        7,
        ["https://graph.microsoft.com/"],
    ],
)
def test_a_next_page_elsewhere_is_refused(link: object) -> None:
    body = json.dumps({"value": [], "@odata.nextLink": link}).encode()
    with pytest.raises(GraphRefused, match=r"@odata\.nextLink"):
        read_memberships(200, body, URL)
