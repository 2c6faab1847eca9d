"""Groups of several sources, and the role that follows: requirements R056 to R058, R070 to R076."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from proxy.config.person import Role
from proxy.config.provider import Provider
from proxy.crypto.jwk import encode_base64url
from proxy.errors import LoginError, Reason
from proxy.model import MOST_GROUPS
from proxy.oidc.person import Person, names_groups
from proxy.oidc.roles import RoleTable
from proxy.oidc.userinfo import Userinfo
from tests.oidc.acts import Changes, who
from tests.oidc.scene import ISSUER

TABLE = RoleTable.compile(
    (
        Role(name="admin", groups=("admins",), emails=("boss@b.fr",)),
        Role(name="viewer", groups=("viewers",)),
    ),
    "guest",
)
SUB = {"sub": "704e-1"}


def _who(claims: Changes, mapping: Changes | None = None, **parts: Any) -> Person:
    return who(claims, mapping, TABLE, **parts)


TEXTS = [
    pytest.param(["viewers", "admins"], id="a list"),
    pytest.param(["admins", "viewers"], id="in another order"),
    pytest.param("viewers, admins", id="a text"),
    pytest.param([{"name": "viewers"}, {"name": "admins"}], id="objects"),
]


@pytest.mark.parametrize("value", TEXTS)
@pytest.mark.parametrize(
    ("path", "wrap"),
    [
        pytest.param("groups", lambda v: {"groups": v}, id="groups"),
        pytest.param("realm_access.roles", lambda v: {"realm_access": {"roles": v}}, id="a path"),
        pytest.param(r"kubernetes\.io.ns", lambda v: {"kubernetes.io": {"ns": v}}, id="a dot"),
    ],
)
@pytest.mark.parametrize("source", ["id_token", "userinfo", "access_token"])
def test_e2_2_the_role_follows_from_groups_wherever_they_are(
    source: str, path: str, wrap: Callable[[object], Mapping[str, object]], value: object
) -> None:
    said = wrap(value)
    mapping: dict[str, object] = {"groups": [path], "group_object_key": "name"}
    parts: dict[str, object] = {}
    if source == "userinfo":
        parts["userinfo"] = Userinfo({**SUB, **said})
    if source == "access_token":
        parts["access_token"] = {"iss": ISSUER, **said}
        mapping["from_access_token"] = True
    found = _who(said if source == "id_token" else {}, mapping, **parts)
    assert found.identity.role == "admin"
    assert set(found.groups) == {source}
    assert set(found.identity.groups) == {"viewers", "admins"}


def test_e2_2_none_is_the_default_role() -> None:
    found = _who({"groups": ["others"]})
    assert (found.identity.role, found.role_source) == ("guest", "default_role")


def test_r056_the_access_token_counts_only_where_it_is_asked_for() -> None:
    said = {"iss": ISSUER, "groups": ["admins"], "role": "admin"}
    assert _who({}, access_token=said).identity.role == "guest"
    assert not _who({}, access_token=said).groups


def test_r056_another_issuer_s_access_token_ends_the_sign_in() -> None:
    said = {"iss": "https://other.example.org", "groups": ["admins"]}
    with pytest.raises(LoginError) as error:
        _who({}, {"from_access_token": True}, access_token=said)
    assert error.value.reason is Reason.ACCESS_TOKEN_INVALID


def test_r057_all_sources_are_united_each_group_once_in_a_stable_order() -> None:
    found = _who(
        {"groups": ["b", "a"], "more": "c a"},
        {"groups": ["more", "groups"], "groups_separator": " ", "from_access_token": True},
        userinfo=Userinfo({**SUB, "groups": ["a", "d"]}),
        access_token={"iss": ISSUER, "groups": "e d"},
        groups=("f", "a", "f"),
    )
    assert found.identity.groups == ("c", "a", "b", "d", "e", "f")
    assert found.groups == {
        "id_token": ("c", "a", "b"),
        "userinfo": ("a", "d"),
        "access_token": ("e", "d"),
        "api": ("f", "a"),
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [("merge", ("a", "b")), ("userinfo", ("b",)), ("id_token", ("a",))],
)
def test_claims_source_holds_for_groups_too(source: str, expected: tuple[str, ...]) -> None:
    said = Userinfo({**SUB, "groups": ["b"]})
    found = _who({"groups": ["a"]}, userinfo=said, options={"claims_source": source})
    assert found.identity.groups == expected


@pytest.mark.parametrize(
    ("value", "note"),
    [
        pytest.param({"a": 1}, "groups in groups (id_token): dict left out", id="object"),
        pytest.param(["a", {}], "groups in groups (id_token): 1 of 2 values left out", id="odd"),
    ],
)
def test_r058_wrong_types_are_ignored_and_noted(value: object, note: str) -> None:
    found = _who({"groups": value}, notes=("before",))
    assert found.notes == ("before", note)
    assert "admins" not in found.identity.groups
    assert found.identity.groups_partial  # one of those may have been it


def test_groups_beyond_the_limit_are_cut_and_roles_are_not() -> None:
    found = _who({"groups": [*map(str, range(MOST_GROUPS)), "admins"]})
    assert len(found.identity.groups) == MOST_GROUPS
    assert found.identity.role == "admin"
    assert found.notes == ("1001 groups: 1000 are kept",)
    assert found.identity.groups_partial
    for number, partial in ((MOST_GROUPS, True), (MOST_GROUPS - 1, False)):
        whole = _who({"groups": list(map(str, range(number)))})
        assert (whole.notes, whole.identity.groups_partial) == ((), partial)


@pytest.mark.parametrize(
    ("entra", "groups", "expected"),
    [
        pytest.param({}, None, ("a",), id="Graph was not asked"),
        pytest.param({}, ("b",), ("b",), id="Graph's stand for the token's"),
        pytest.param({}, (), (), id="Graph knows of none"),
        pytest.param({"service_principal_id": "x"}, None, (), id="only Graph's, and none came"),
        pytest.param({"service_principal_id": "x"}, ("b",), ("b",), id="only Graph's count"),
    ],
)
def test_graph_s_groups_stand_for_the_token_s(
    entra: dict[str, object], groups: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    options = {"preset": "entra", "entra": entra}
    found = _who({"groups": ["a"]}, groups=groups, options=options)
    assert found.identity.groups == expected


@pytest.mark.parametrize(
    ("claims", "mapping", "role"),
    [
        pytest.param({"role": "VIEWER"}, {}, "viewer", id="R073: any case"),
        pytest.param({"role": ["viewer", "admin"]}, {}, "admin", id="R073: a list"),
        pytest.param({"role": "viewer,admin"}, {}, "guest", id="a role's name is not split"),
        pytest.param({"role": {"admin": 1}}, {}, "guest", id="an object"),
        pytest.param({"app_roles": ["x", "viewer", "admin"]}, {"roles": ["roles", "app_roles"]},
                     "admin", id="R074: app roles"),
        pytest.param({"role": "admin", "groups": ["viewers"]}, {}, "viewer", id="R072"),
        pytest.param({"email": "boss@b.fr", "email_verified": True}, {}, "admin", id="R076"),
        pytest.param({"email": "boss@b.fr"}, {}, "guest", id="R076: not proven"),
        pytest.param({"upn": "boss@b.fr", "email_verified": True}, {"email": "upn"}, "guest",
                     id="B16: verified is another address"),
    ],
)  # fmt: skip
def test_roles(claims: dict[str, object], mapping: dict[str, object], role: str) -> None:
    assert _who(claims, mapping).identity.role == role


def test_roles_of_the_access_token() -> None:
    mapping = {"roles": ["realm_access.roles"], "from_access_token": True}
    said = {"iss": ISSUER, "realm_access": {"roles": ["viewer", "offline_access"]}}
    found = _who({}, mapping, access_token=said)
    assert (found.identity.role, found.role_source) == ("viewer", "role claim")


def test_r073_unknown_roles_are_noted_once_and_short() -> None:
    found = _who({"role": ["x" * 100, "é", "viewer"]})
    assert found.notes == (f"not among roles: '{'x' * 79}, '\\xe9'",)
    assert found.identity.roles == ("viewer",)


@pytest.mark.parametrize(
    ("claims", "source", "expected"),
    [
        pytest.param({"groups": ["a"]}, "merge", True, id="groups"),
        pytest.param({"role": "a"}, "merge", True, id="roles"),
        pytest.param({"_claim_names": {"groups": "s"}}, "merge", True, id="groups elsewhere"),
        pytest.param({"sub": "s"}, "merge", False, id="neither"),
        pytest.param({"groups": ["a"]}, "userinfo", False, id="does not count"),
        pytest.param(None, "merge", True, id="nobody knows"),
    ],
)
def test_whether_a_kept_id_token_may_have_told_of_groups(
    claims: dict[str, object] | None, source: str, expected: bool
) -> None:
    body = encode_base64url(json.dumps(claims).encode()) if claims else ""
    provider = Provider.model_validate({"claims_source": source})
    assert names_groups(f"e30.{body}.x", provider) is expected
