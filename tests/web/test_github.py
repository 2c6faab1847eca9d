"""GitHub as a provider, against a small server that answers as GitHub documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from proxy.config.person import Claims
from proxy.config.provider import Provider
from proxy.config.providers import resolved
from proxy.errors import BadRequest, LoginError, ProviderError, Reason
from proxy.model import Identity, Session, Tokens
from proxy.oidc.attempt import begin, check_callback
from proxy.oidc.told import Told
from proxy.web.calls import Calls, open_session
from proxy.web.github import GitHub
from proxy.web.metrics import Metrics
from proxy.web.providers import RefreshOver
from tests.fakes.github import EVE, MONA, FakeGitHub

REDIRECT = "https://play.example.org/oauth2/callback"
NOW = 1_800_000_000.0


@pytest.fixture
async def server() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub(REDIRECT) as server:
        yield server


class Client:
    """What signs in at ``server``."""

    def __init__(self, server: FakeGitHub, **options: Any) -> None:
        github = {"url": server.url, **options.pop("github", {})}
        given = {"preset": "github", "client_id": "proxy", "client_secret": "proxy-secret"}
        provider = Provider.model_validate({**given, **options, "github": github})
        self.settings = resolved(provider, Claims.model_validate({}))
        self.server = server

    async def __aenter__(self) -> Client:
        self._http = open_session()
        calls = Calls(self.settings, self._http, Metrics())
        self.github = GitHub(self.settings, calls, lambda: NOW)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.close()

    async def tokens(self, user: str = "mona") -> Tokens:
        attempt = begin("/", NOW, lambda: "r" * 43)
        url = await self.github.authorization(attempt, REDIRECT, {})
        back = parse_qsl(urlsplit(await self.server.sign_in(url, user)).query)
        metadata = await self.github.metadata()
        callback = check_callback(back, attempt, metadata, NOW, 600)
        return await self.github.redeem(callback, REDIRECT)

    async def told(self, user: str = "mona") -> Told:
        told, sid = await self.github.told(await self.tokens(user), "")
        assert sid == ""
        return told


def session(tokens: Tokens, subject: str = str(MONA.number)) -> Session:
    identity = Identity(issuer="", subject=subject, user=subject)
    return Session("id", identity, tokens, NOW, NOW + 60, NOW)


async def test_a_whole_sign_in(server: FakeGitHub) -> None:
    async with Client(server) as client:
        told = await client.told()
    asked = server.last("/authorize").fields
    assert set(asked) == {
        *("response_type", "client_id", "redirect_uri", "scope", "state"),
        *("code_challenge", "code_challenge_method"),
    }
    assert asked["scope"] == "read:user user:email read:org"
    sent = server.last("token")
    assert sent.headers["Accept"] == "application/json"
    assert sent.fields["code_verifier"] == "r" * 43
    assert told.issuer == server.issuer
    assert told.id_token == {
        "iss": server.issuer,
        "sub": "583231",
        "preferred_username": "mona",
        "login": "mona",
        "name": "Mona Lisa",
        "picture": "https://avatars.example/u/583231",
        "type": "User",
        "site_admin": False,
        "email": "mona@example.org",
        "email_verified": True,
    }
    assert told.groups == ("acme", "octo-org", "acme:admins", "octo-org:all-staff")
    assert told.notes == ()


async def test_an_unverified_address_is_none(server: FakeGitHub) -> None:
    async with Client(server) as client:
        told = await client.told("eve")
    assert "email" not in told.id_token
    assert "email_verified" not in told.id_token


async def test_addresses_that_may_not_be_read(server: FakeGitHub) -> None:
    server.forbidden.add("/user/emails")
    async with Client(server) as client:
        told = await client.told()
    assert "email" not in told.id_token
    assert told.notes == ("no address: /user/emails: status 403",)


async def test_teams_may_be_left_out(server: FakeGitHub) -> None:
    async with Client(server, github={"teams": False}) as client:
        assert (await client.told()).groups == ("acme", "octo-org")
    assert server.calls["/user/teams"] == 0


async def test_without_the_scope_organisations_are_not_asked_for(server: FakeGitHub) -> None:
    async with Client(server, scope="user:email") as client:
        assert (await client.told()).groups is None
    assert server.calls["/user/orgs"] == 0


async def test_lists_come_in_pages(server: FakeGitHub) -> None:
    many = tuple(f"org-{n}" for n in range(250))
    server.replace(replace(MONA, organisations=many, teams=()))
    async with Client(server) as client:
        assert (await client.told()).groups == many
    assert server.calls["/user/orgs"] == 3


async def test_pages_have_an_end(server: FakeGitHub) -> None:
    server.replace(replace(MONA, organisations=tuple(f"org-{n}" for n in range(2001)), teams=()))
    async with Client(server) as client:
        told = await client.told()
    assert told.groups is not None
    assert len(told.groups) == 2000
    assert told.notes == ("/user/orgs cut after 20 pages",)
    assert server.calls["/user/orgs"] == 20


async def test_the_token_goes_nowhere_else(server: FakeGitHub) -> None:
    server.replace(replace(MONA, organisations=tuple(f"org-{n}" for n in range(101))))
    async with FakeGitHub(REDIRECT) as elsewhere, Client(server) as client:
        server.links_to = f"{elsewhere.url}/api/v3/user/orgs"
        with pytest.raises(ProviderError) as refused:
            await client.told()
        assert elsewhere.requests == []
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


@pytest.mark.parametrize("path", ["/user/orgs", "/user/teams"])
@pytest.mark.parametrize("how", ["forbidden", "broken", "changed"])
async def test_groups_that_cannot_be_read_let_nobody_in(
    server: FakeGitHub, path: str, how: str
) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        if how == "changed":
            server.changed[path] = {"login": "acme"}
        else:
            getattr(server, how).add(path)
        with pytest.raises(ProviderError) as refused:
            await client.github.told(tokens, "")
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


async def test_a_scope_that_was_not_granted(server: FakeGitHub) -> None:
    server.granted = "read:user user:email"
    async with Client(server) as client:
        with pytest.raises(ProviderError) as refused:
            await client.tokens()
    assert refused.value.reason is Reason.GROUPS_UNAVAILABLE


@pytest.mark.parametrize("path", ["/user", "/user/emails"])
async def test_a_fault_is_a_fault(server: FakeGitHub, path: str) -> None:
    server.broken.add(path)
    async with Client(server) as client:
        with pytest.raises(ProviderError) as refused:
            await client.told()
    assert refused.value.reason is Reason.PROVIDER_ERROR


async def test_a_rate_limit_is_named(server: FakeGitHub) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        server.limited = True
        with pytest.raises(ProviderError, match=r"status 403 \(its rate limit\)"):
            await client.github.told(tokens, "")


async def test_an_answer_as_a_form_is_refused(server: FakeGitHub) -> None:
    server.form_encoded = True
    async with Client(server) as client:
        with pytest.raises(ProviderError) as refused:
            await client.tokens()
    assert refused.value.reason is Reason.TOKEN_RESPONSE_INVALID


async def test_a_wrong_secret_is_an_error_with_status_200(server: FakeGitHub) -> None:
    async with Client(server, client_secret="wrong") as client:
        with pytest.raises(ProviderError, match="incorrect_client_credentials") as refused:
            await client.tokens()
    assert refused.value.reason is Reason.TOKEN_REFUSED


async def test_another_verifier_redeems_nothing(server: FakeGitHub) -> None:
    """The server of these tests insists on PKCE as GitHub does."""
    async with Client(server) as client:
        github, attempt = client.github, begin("/", NOW, lambda: "r" * 43)
        url = await github.authorization(attempt, REDIRECT, {})
        back = parse_qsl(urlsplit(await server.sign_in(url)).query)
        stolen = replace(attempt, verifier="s" * 43)
        callback = check_callback(back, stolen, await github.metadata(), NOW, 600)
        with pytest.raises(ProviderError, match="bad_verification_code"):
            await github.redeem(callback, REDIRECT)


async def test_an_answer_of_another_issuer_is_no_answer(server: FakeGitHub) -> None:
    """GitHub names itself in the callback (RFC 9207)."""
    async with Client(server) as client:
        attempt = begin("/", NOW, lambda: "r" * 43)
        url = await client.github.authorization(attempt, REDIRECT, {})
        back = dict(parse_qsl(urlsplit(await server.sign_in(url)).query))
        assert back["iss"] == server.issuer
        back["iss"] = "https://github.com/login/oauth"
        metadata = await client.github.metadata()
        with pytest.raises(LoginError) as refused:
            check_callback(list(back.items()), attempt, metadata, NOW, 600)
    assert refused.value.reason is Reason.ISSUER_MISMATCH


async def test_pkce_may_be_off_for_an_old_server(server: FakeGitHub) -> None:
    async with Client(server, pkce="off") as client:
        assert (await client.told()).id_token["sub"] == "583231"
    assert "code_challenge" not in server.last("/authorize").fields


async def test_a_refresh_asks_the_api_again(server: FakeGitHub) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        assert client.github.refreshes(tokens)
        server.replace(replace(MONA, login="lisa", organisations=(), teams=()))
        new, told = await client.github.refreshed(session(tokens))
    assert new == tokens
    assert told is not None
    assert told.id_token["preferred_username"] == "lisa"
    assert told.groups == ()
    assert server.calls["token"] == 1


async def test_a_token_that_was_withdrawn_ends_the_session(server: FakeGitHub) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        server.tokens.clear()
        with pytest.raises(RefreshOver):
            await client.github.refreshed(session(tokens))


@pytest.mark.parametrize("fault", ["limited", "broken"])
async def test_a_fault_at_a_refresh_ends_nothing(server: FakeGitHub, fault: str) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        if fault == "limited":
            server.limited = True
        else:
            server.broken.add("/user")
        with pytest.raises(ProviderError):
            await client.github.refreshed(session(tokens))


async def test_a_token_is_of_one_person(server: FakeGitHub) -> None:
    async with Client(server) as client:
        tokens = await client.tokens("eve")
        with pytest.raises(LoginError) as refused:
            await client.github.refreshed(session(tokens, str(MONA.number)))
    assert refused.value.reason is Reason.USERINFO_SUBJECT_MISMATCH


async def test_a_github_app_has_refresh_tokens(server: FakeGitHub) -> None:
    server.app = True
    async with Client(server) as client:
        tokens = await client.tokens()
        assert tokens.expires_at == NOW + 28800
        new, told = await client.github.refreshed(session(tokens))
        assert told is not None
        assert told.groups == ("acme", "octo-org", "acme:admins", "octo-org:all-staff")
        assert new.access_token != tokens.access_token
        assert new.refresh_token != tokens.refresh_token
        with pytest.raises(RefreshOver):
            await client.github.refreshed(session(tokens))


async def test_new_tokens_are_kept_when_the_api_fails_after_them(server: FakeGitHub) -> None:
    server.app = True
    async with Client(server) as client:
        tokens = await client.tokens()
        server.broken.add("/user")
        new, told = await client.github.refreshed(session(tokens))
    assert told is None
    assert new.refresh_token != tokens.refresh_token


async def test_tokens_are_given_back(server: FakeGitHub) -> None:
    async with Client(server) as client:
        tokens = await client.tokens()
        await client.github.revoke(tokens)
        assert server.tokens == {}
        await client.github.revoke(tokens)
        server.broken.add("/applications/proxy/token")
        with pytest.raises(ProviderError):
            await client.github.revoke(tokens)


async def test_it_is_well_as_long_as_it_answers(server: FakeGitHub) -> None:
    async with Client(server) as client:
        github = client.github
        assert not github.seen
        await github.check()
        assert github.seen
        server.limited = True
        await github.check()
        server.limited = False
        server.broken.add("/rate_limit")
        with pytest.raises(ProviderError):
            await github.check()
        assert github.failure is not None
        server.broken.clear()
        await github.check()
        assert github.failure is None
    assert all(r.endpoint == "/rate_limit" for r in server.requests)
    assert "Authorization" not in server.requests[0].headers


async def test_it_speaks_for_itself_and_sends_no_logout_tokens(server: FakeGitHub) -> None:
    async with Client(server) as client:
        assert client.github.speaks_for(server.issuer) is True
        assert client.github.speaks_for("https://github.com/login/oauth") is False
        with pytest.raises(BadRequest):
            await client.github.logout_request("token")


def test_eve_is_who_the_tests_think() -> None:
    assert EVE.emails[0][1:] == (True, False)
