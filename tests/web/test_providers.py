"""Which provider is meant: by name, by person, and by what a token says of itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.programs import Exchange
from proxy.config.provider import Provider as ProviderSettings
from proxy.errors import BadRequest, ProviderError, Reason
from proxy.model import Identity, Session, Tokens
from proxy.oidc.attempt import Attempt, Callback
from proxy.oidc.exchange import Exchanged
from proxy.oidc.issuer import is_issuer
from proxy.oidc.logout_token import LogoutRequest
from proxy.oidc.metadata import Metadata
from proxy.oidc.told import Told
from proxy.web.providers import IdentityProvider, Providers

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
ENTRA = "https://login.example/{tenantid}/v2.0"


class Known:
    """A provider of which only the issuer matters; ``learns`` it when its metadata are asked."""

    failure = None
    seen = True
    keeps_access_token = False

    def __init__(self, name: str, issuer: str, *, learns: bool | None = None) -> None:
        self.settings = ProviderSettings(name=name)
        self.name = name
        self._issuer = issuer
        self._learns = learns
        self._known = learns is None
        self.answer: LogoutRequest | Exception = LogoutRequest(issuer, name, "", "jti", 0.0)

    def speaks_for(self, issuer: str) -> bool | None:
        return is_issuer(self._issuer, issuer) if self._known else None

    async def metadata(self) -> Metadata:
        if self._learns is False:
            raise ProviderError(Reason.PROVIDER_UNREACHABLE)
        self._known = True
        return Metadata(self._issuer, "", "", "")

    async def logout_request(self, token: str) -> LogoutRequest:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def check(self) -> None:
        raise NotImplementedError

    async def authorization(
        self, attempt: Attempt, redirect_uri: str, passed: Mapping[str, str]
    ) -> str:
        raise NotImplementedError

    async def redeem(self, callback: Callback, redirect_uri: str) -> Tokens:
        raise NotImplementedError

    async def told(self, tokens: Tokens, nonce: str) -> tuple[Told, str]:
        raise NotImplementedError

    def refreshes(self, tokens: Tokens) -> bool:
        raise NotImplementedError

    async def refreshed(self, session: Session) -> tuple[Tokens, Told | None]:
        raise NotImplementedError

    async def exchanged(self, token: str, wanted: Exchange) -> Exchanged:
        raise NotImplementedError

    async def revoke(self, tokens: Tokens) -> None:
        raise NotImplementedError


ONE, TWO = "https://one.example", "https://two.example"
REFUSED = BadRequest(Reason.LOGOUT_REQUEST_INVALID, "no")
DOWN = ProviderError(Reason.PROVIDER_UNREACHABLE)


def providers(*found: IdentityProvider) -> Providers:
    return Providers(found or (Known("one", ONE), Known("two", TWO), Known("entra", ENTRA)))


def names(found: list[IdentityProvider]) -> list[str]:
    return [provider.name for provider in found]


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.AA"


def test_by_name() -> None:
    ours = providers()
    assert ours.first.name == "one"
    assert [ours.named(name) for name in ("", "two")] == [ours.all[0], ours.all[1]]
    assert ours.named("three") is None


@pytest.mark.parametrize(
    ("name", "issuer", "found"),
    [
        pytest.param("two", TWO, "two", id="the one that vouched"),
        pytest.param("", ONE, "one", id="a session of before there were names"),
        pytest.param("", TWO, None, id="of before, and of another"),
        pytest.param("two", ONE, None, id="the name is another provider's now"),
        pytest.param("gone", ONE, None, id="no longer configured"),
        pytest.param("entra", f"https://login.example/{TENANT}/v2.0", "entra", id="a tenant"),
        pytest.param("entra", "https://login.example/{tenantid}/v2.0", None, id="the template"),
    ],
)
def test_by_person(name: str, issuer: str, found: str | None) -> None:
    provider = providers().of(Identity(issuer, "s", "s", provider=name))
    assert (provider.name if provider else None) == found


def test_a_person_s_provider_that_was_not_asked_yet_is_still_theirs() -> None:
    ours = providers(Known("one", ONE, learns=False))
    assert ours.of(Identity(ONE, "s", "s", provider="one")) is ours.first


@pytest.mark.parametrize(
    ("known", "issuer", "same"),
    [
        pytest.param(ONE, ONE, True, id="equal"),
        pytest.param(ONE, ONE + "/", False, id="a slash more"),
        pytest.param("", "", False, id="nothing"),
        pytest.param(ENTRA, f"https://login.example/{TENANT}/v2.0", True, id="a tenant"),
        pytest.param(ENTRA, f"https://login.example/{TENANT.upper()}/v2.0", False, id="spelling"),
        pytest.param(ENTRA, f"https://login.example/{TENANT}/v1.0", False, id="another end"),
        pytest.param(ENTRA, f"https://evil.example/{TENANT}/v2.0", False, id="another host"),
        pytest.param(ENTRA, "https://login.example/x/../y/v2.0", False, id="no GUID"),
        pytest.param(ENTRA, "https://login.example//v2.0", False, id="no tenant"),
        pytest.param(ENTRA, "", False, id="empty"),
        pytest.param(ENTRA, "/v2.0", False, id="shorter than the template"),
    ],
)
def test_is_issuer(known: str, issuer: str, same: bool) -> None:
    assert is_issuer(known, issuer) is same


async def test_by_issuer() -> None:
    ours = providers(Known("a", ONE), Known("b", TWO), Known("c", ONE, learns=True))
    assert names(await ours.issued_by(ONE)) == ["a", "c"]
    assert names(await ours.issued_by("https://evil.example")) == []


async def test_one_that_cannot_be_asked_may_be_it() -> None:
    down = Known("down", TWO, learns=False)
    assert names(await providers(Known("a", ONE), down).issued_by(ONE)) == ["a"]
    with pytest.raises(ProviderError):
        await providers(Known("a", ONE), down).issued_by(TWO)


async def test_a_logout_token_is_for_the_provider_that_it_names() -> None:
    assert (await providers().logout_request(token({"iss": TWO}))).subject == "two"


async def test_of_two_registrations_at_one_issuer_the_right_one_answers() -> None:
    one, two = Known("one", ONE), Known("two", ONE)
    one.answer = REFUSED
    assert (await providers(one, two).logout_request(token({"iss": ONE}))).subject == "two"
    two.answer = REFUSED
    with pytest.raises(BadRequest):
        await providers(one, two).logout_request(token({"iss": ONE}))
    two.answer = DOWN
    with pytest.raises(ProviderError):
        await providers(one, two).logout_request(token({"iss": ONE}))


@pytest.mark.parametrize(
    "made",
    [
        pytest.param("", id="nothing"),
        pytest.param("a.b", id="two parts"),
        pytest.param("a.b.c.d.e", id="encrypted"),
        pytest.param("e30.!!.AA", id="not base64url"),
        pytest.param(token([]), id="a list"),
        pytest.param(token({}), id="no issuer"),
        pytest.param(token({"iss": [ONE]}), id="a list of issuers"),
        pytest.param(token({"iss": "https://evil.example"}), id="another's"),
        pytest.param(token({"iss": ONE, "x": "y" * 70_000}), id="larger than 64 KiB"),
        pytest.param(
            "e30." + base64.urlsafe_b64encode(b'{"iss":"a","iss":"b"}').decode() + ".AA",
            id="two issuers",
        ),
    ],
)
async def test_a_logout_token_of_nobody_s_is_refused(made: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await providers().logout_request(made)
    assert refused.value.reason is Reason.LOGOUT_REQUEST_INVALID
    assert refused.value.detail.isprintable()


@given(st.text(max_size=300))
async def test_any_text_is_refused_without_surprise(made: str) -> None:
    with pytest.raises(BadRequest):
        await providers().logout_request(made)
