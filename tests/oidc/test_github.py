"""What is believed of GitHub's answers: numbers, verified addresses, names of one origin."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.config.person import Claims
from proxy.config.provider import Provider
from proxy.config.providers import resolved
from proxy.errors import LoginError, ProviderError, Reason
from proxy.oidc.github import (
    api_url,
    check_granted,
    github_metadata,
    read_email,
    read_organisations,
    read_page,
    read_person,
    read_teams,
    refresh_refused,
    revocation,
    wants_groups,
)

PAGE = "https://api.github.com/user/teams?per_page=100"


def github(**options: Any) -> Provider:
    given = {"preset": "github", "client_id": "Iv1.abc", "client_secret": "shh", **options}
    return resolved(Provider.model_validate(given), Claims.model_validate({}))


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("options", "api"),
    [
        pytest.param({}, "https://api.github.com", id="github.com"),
        pytest.param(
            {"url": "https://octo.ghe.com"}, "https://api.octo.ghe.com", id="data residency"
        ),
        pytest.param(
            {"url": "https://git.example.org/"}, "https://git.example.org/api/v3", id="a server"
        ),
        pytest.param(
            {"url": "https://git.example.org", "api_url": "https://api.example.org/"},
            "https://api.example.org",
            id="named",
        ),
    ],
)
def test_where_the_api_is(options: dict[str, str], api: str) -> None:
    assert api_url(github(github=options)) == api


def test_the_metadata_is_known() -> None:
    metadata = github_metadata(github())
    assert metadata.issuer == "https://github.com/login/oauth"
    assert metadata.authorization_endpoint == "https://github.com/login/oauth/authorize"
    assert metadata.token_endpoint == "https://github.com/login/oauth/access_token"
    assert metadata.userinfo_endpoint == "https://api.github.com/user"
    assert (metadata.jwks_uri, metadata.end_session_endpoint) == ("", "")


def test_a_server_without_tls_is_refused() -> None:
    with pytest.raises(ProviderError) as refused:
        github_metadata(github(github={"url": "http://git.example.org"}))
    assert refused.value.reason is Reason.PROVIDER_METADATA_INVALID


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [("read:user user:email read:org", True), ("admin:org", True), ("user:email", False)],
)
def test_groups_are_wanted_where_their_scope_is(scope: str, wanted: bool) -> None:
    assert wants_groups(github(scope=scope)) is wanted


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"scope": "read:org,read:user,user:email"}, id="all"),
        pytest.param({"scope": "admin:org,user"}, id="more"),
        pytest.param({}, id="not said: as asked for"),
        pytest.param({"scope": "", "access_token": "ghu_1"}, id="a GitHub App"),
    ],
)
def test_what_was_granted_is_enough(answer: dict[str, str]) -> None:
    check_granted(body({"access_token": "gho_1"} | answer), github())


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        pytest.param("read:user,user:email", Reason.GROUPS_UNAVAILABLE, id="no organisations"),
        pytest.param("", Reason.GROUPS_UNAVAILABLE, id="nothing"),
        pytest.param("read:org,read:user", Reason.TOKEN_RESPONSE_INVALID, id="no addresses"),
        pytest.param(["read:org"], Reason.TOKEN_RESPONSE_INVALID, id="a list"),
    ],
)
def test_what_was_granted_is_too_little(scope: object, reason: Reason) -> None:
    with pytest.raises(ProviderError) as refused:
        check_granted(body({"access_token": "gho_1", "scope": scope}), github())
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("answer", "over"),
    [
        (b'{"error": "bad_refresh_token"}', True),
        (b'{"error": "incorrect_client_credentials"}', False),
        (b'{"access_token": "x"}', False),
        (b"<h1>Unicorn!</h1>", False),
        (b"[]", False),
    ],
)
def test_a_refused_refresh(answer: bytes, over: bool) -> None:
    assert refresh_refused(answer) is over


def test_a_person_is_a_number() -> None:
    user = {
        "id": 583231,
        "login": "mona",
        "name": "Mona",
        "email": "for-show@example.org",
        "avatar_url": "https://avatars.example/1",
        "company": None,
        "site_admin": False,
        "sub": "1",
        "groups": ["admins"],
        "email_verified": True,
    }
    assert read_person(body(user)) == {
        "sub": "583231",
        "preferred_username": "mona",
        "login": "mona",
        "name": "Mona",
        "picture": "https://avatars.example/1",
        "site_admin": False,
    }


@pytest.mark.parametrize(
    "user",
    [
        pytest.param([], id="a list"),
        pytest.param({"login": "mona"}, id="no id"),
        pytest.param({"login": "mona", "id": "583231"}, id="a text"),
        pytest.param({"login": "mona", "id": True}, id="true"),
        pytest.param({"login": "mona", "id": 0}, id="zero"),
        pytest.param({"login": "mona", "id": 2**53}, id="not exact everywhere"),
        pytest.param({"login": "mona", "id": 1.5}, id="a fraction"),
        pytest.param({"login": None, "id": 1}, id="no login"),
        pytest.param({"login": "", "id": 1}, id="an empty login"),
    ],
)
def test_what_is_no_person(user: object) -> None:
    with pytest.raises(LoginError) as refused:
        read_person(body(user))
    assert refused.value.reason is Reason.USERINFO_INVALID


MAIN = {"email": "mona@example.org", "primary": True, "verified": True}


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        pytest.param([MAIN], True, id="primary and verified"),
        pytest.param([MAIN | {"primary": False}], False, id="not primary"),
        pytest.param([MAIN | {"verified": False}], False, id="not verified"),
        pytest.param([MAIN | {"verified": "true"}], False, id="verified is a text"),
        pytest.param([MAIN | {"verified": 1}], False, id="verified is a number"),
        pytest.param([{"email": "mona@example.org", "primary": True}], False, id="not said"),
        pytest.param([MAIN | {"verified": False}, MAIN | {"primary": False}], False, id="apart"),
        pytest.param([], False, id="none"),
    ],
)
def test_the_address_is_the_primary_one_once_verified(
    entries: list[dict[str, object]], told: bool
) -> None:
    believed = {"email": "mona@example.org", "email_verified": True}
    assert read_email(entries) == (believed if told else {})


def test_an_address_that_is_none() -> None:
    with pytest.raises(LoginError):
        read_email([MAIN | {"email": None}])


def test_groups_are_organisations_and_their_teams() -> None:
    assert read_organisations([{"login": "acme"}, {"login": "octo-org"}]) == ("acme", "octo-org")
    teams = [{"slug": "admins", "organization": {"login": "acme"}}]
    assert read_teams(teams) == ("acme:admins",)


@pytest.mark.parametrize(
    "team",
    [
        {"slug": "admins"},
        {"slug": "admins", "organization": "acme"},
        {"slug": "admins", "organization": {"login": None}},
        {"slug": 7, "organization": {"login": "acme"}},
        {"slug": "", "organization": {"login": "acme"}},
        {"slug": "b:c", "organization": {"login": "a"}},
        {"slug": "c", "organization": {"login": "a:b"}},
    ],
)
def test_what_is_no_team(team: dict[str, object]) -> None:
    with pytest.raises(ProviderError) as refused:
        read_teams([team])
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


NEXT = "https://api.github.com/user/teams?per_page=100&page=2"


@pytest.mark.parametrize(
    ("links", "following"),
    [
        pytest.param("", "", id="one page"),
        pytest.param(f'<{NEXT}>; rel="next", <{NEXT}9>; rel="last"', NEXT, id="next and last"),
        pytest.param(f'<{NEXT}9>; rel="last", <{NEXT}>; rel="next"', NEXT, id="the other way"),
        pytest.param(f"<{NEXT}>; rel=next", NEXT, id="without quotes"),
        pytest.param(f'<{NEXT}>; rel="prev"', "", id="the last page"),
        pytest.param(f'<{NEXT}>; rel="nextish"', "", id="another relation"),
    ],
)
def test_the_next_page(links: str, following: str) -> None:
    assert read_page(b'[{"login": "acme"}]', links, PAGE).next == following


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/user/teams?page=2",
        "http://api.github.com/user/teams?page=2",
        "https://api.github.com:8443/user/teams",
        "https://api.github.com@evil.example/",
        "/user/teams?page=2",
        "https://api.github.com/a b",
    ],
)
def test_a_next_page_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="a Link"):
        read_page(b"[]", f'<{target}>; rel="next"', PAGE)


@pytest.mark.parametrize("page", [b"{}", b"null", b'["acme"]', b"<html>", b'[{"a":1,"a":2}]'])
def test_what_is_no_page(page: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|objects|twice"):
        read_page(page, "", PAGE)


def test_a_token_is_given_back_to_the_api() -> None:
    request = revocation(github(), "gho_secret")
    assert request.url == "https://api.github.com/applications/Iv1.abc/token"
    assert dict(request.headers)["Authorization"] == "Basic SXYxLmFiYzpzaGg="
    assert json.loads(request.body) == {"access_token": "gho_secret"}
    assert "secret" not in repr(request)
