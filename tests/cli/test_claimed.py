"""Supposed people: from files and flags, as a provider would describe them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.claimed import claimed
from proxy.cli.explain import add_person
from proxy.config.person import Claims
from proxy.config.provider import Entra, Provider
from proxy.oidc.person import Person, person
from proxy.oidc.roles import RoleTable
from proxy.oidc.told import Told

NOW = 1_700_000_000.0
IDP = Provider(name="idp", issuer_url="https://idp.example.org")
CLAIMS = {"sub": "1", "email": "ada@example.org", "email_verified": True, "groups": ["a", "b"]}


def told(*flags: str, provider: Provider = IDP) -> tuple[Told, Provider] | None:
    parser = argparse.ArgumentParser()
    add_person(parser)
    return claimed(parser.parse_args(flags), provider, NOW)


def who(*flags: str, provider: Provider = IDP) -> Person:
    found = told(*flags, provider=provider)
    assert found is not None
    return person(found[0], found[1], RoleTable(), ("level",))


def written(folder: Path, document: object) -> str:
    path = folder / "claims.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_without_a_word_there_is_nobody() -> None:
    assert told() is None


def test_flags_describe_a_person_whatever_the_provider_calls_things() -> None:
    odd = IDP.model_copy(update={"claims": Claims(user="oid", groups=("memberOf",), roles=("r",))})
    flags = (
        "--email", "Ada@example.org", "--groups", "a, b,", "--role", "admin", "--acr", "gold",
        "--amr", "pwd,otp", "--signed-in", "5m", "--claim", "level=7", "--sub", "ada-1",
    )  # fmt: skip
    found = who(*flags, provider=odd).identity
    assert (found.user, found.subject, found.email) == ("ada-1", "ada-1", "ada@example.org")
    assert found.email_verified is True
    assert (found.groups, found.role) == (("a", "b"), "admin")
    assert (found.acr, found.amr, found.auth_time) == ("gold", ("pwd", "otp"), NOW - 300)
    assert (found.claims, found.issuer) == ({"level": "7"}, "https://idp.example.org")
    assert found.provider == "idp"


def test_less_is_enough() -> None:
    found = who("--groups", "a").identity
    assert (found.user, found.email, found.email_verified) == ("someone", "", None)
    assert who("--email", "ada@example.org", "--email-unverified").identity.email_verified is False


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(IDP.model_copy(update={"claims_source": "userinfo"}), id="userinfo alone"),
        pytest.param(IDP.model_copy(update={"claims_source": "id_token"}), id="the ID token alone"),
        pytest.param(
            IDP.model_copy(update={"preset": "entra", "entra": Entra(service_principal_id="x")}),
            id="groups of Graph",
        ),
        pytest.param(IDP.model_copy(update={"preset": "github"}), id="groups of an API"),
        pytest.param(IDP.model_copy(update={"hosted_domains": ("example.org",)}), id="a workspace"),
    ],
)
def test_flags_count_wherever_the_provider_says_things(provider: Provider) -> None:
    assert who("--groups", "a,b", "--sub", "1", provider=provider).identity.groups == ("a", "b")


def test_flags_are_of_a_tenant_that_may_come() -> None:
    tenant = "AAAAAAAA-0000-0000-0000-000000000001"
    many = Provider(
        name="entra", preset="entra", entra=Entra(allowed_tenants=(tenant,)),
        issuer_url="https://login.example/{tenantid}/v2.0",
    )  # fmt: skip
    found = told("--sub", "1", provider=many)
    assert found is not None
    assert found[0].issuer == f"https://login.example/{tenant.lower()}/v2.0"


def test_a_file_holds_the_claims_as_they_are(tmp_path: Path) -> None:
    found = who("--claims", written(tmp_path, CLAIMS))
    assert found.identity.groups == ("a", "b")
    assert found.claims == CLAIMS
    said = told("--claims", written(tmp_path, CLAIMS | {"iss": "https://other.example"}))
    assert said is not None
    assert said[0].issuer == "https://other.example"
    assert said[1] is IDP


def test_a_file_may_hold_each_part(tmp_path: Path) -> None:
    parts = {
        "id_token": {"sub": "1"},
        "userinfo": {"sub": "1", "email": "ada@example.org", "groups": ["u"]},
        "access_token": {"sub": "1", "groups": ["t"]},
        "groups": ["g"],
    }
    from_token = IDP.model_copy(update={"claims": Claims(from_access_token=True)})
    found = who("--claims", written(tmp_path, parts), provider=from_token)
    assert found.groups == {"userinfo": ("u",), "access_token": ("t",), "api": ("g",)}


def test_a_claim_called_groups_makes_no_parts(tmp_path: Path) -> None:
    assert who("--claims", written(tmp_path, {"sub": "1", "groups": ["a"]})).identity.groups == (
        "a",
    )


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "claims.json: "),
        ({"id_token": {"sub": "1"}, "userinfo": []}, "userinfo is no object"),
        ({"id_token": {"sub": "1"}, "groups": ["a", 1]}, "groups is no list of texts"),
    ],
)
def test_a_file_of_no_use_is_named(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        told("--claims", written(tmp_path, document))


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("--claim", "level"), id="no value"),
        pytest.param(("--claim", "=1"), id="no name"),
        pytest.param(("--signed-in", "yesterday"), id="no duration"),
        pytest.param(("--claims", "x.json", "--email", "a@example.org"), id="a file and a flag"),
        pytest.param(("--claims", "x.json", "--email-unverified"), id="a file and a switch"),
    ],
)
def test_flags_that_say_nothing_clear_are_refused(flags: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="."):  # noqa: RUF043
        told(*flags)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        told("--claims", "/nowhere/claims.json")
