"""Every kind of call to the provider has its limits, and pushed requests fail closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from proxy.errors import LoginError, ProviderError, Reason
from proxy.model import Identity, Session, Tokens
from proxy.oidc.attempt import Attempt, Callback, begin, check_callback
from proxy.web.providers import IdentityProvider, RefreshOver
from tests.web.place import PUBLIC, Place, query

REDIRECT = f"{PUBLIC}/oauth2/callback"


@dataclass(slots=True)
class Scene:
    """One provider and our side of it, without a browser in between."""

    place: Place
    ours: IdentityProvider

    def attempt(self) -> Attempt:
        return begin("/", self.place.clock(), self.place.world.token)

    async def callback(self) -> Callback:
        """A return from the provider, with a code that can be redeemed."""
        attempt = self.attempt()
        self.place.provider.forget()
        url = await self.ours.authorization(attempt, REDIRECT, {})
        back = await self.place.provider.sign_in(url)
        params = parse_qsl(urlsplit(back).query)
        metadata = await self.ours.metadata()
        return check_callback(params, attempt, metadata, self.place.clock(), 600)

    async def tokens(self) -> tuple[Tokens, str]:
        """Fresh tokens, and the nonce that belongs to them."""
        callback = await self.callback()
        return await self.ours.redeem(callback, REDIRECT), callback.attempt.nonce

    async def session(self) -> Session:
        tokens, nonce = await self.tokens()
        told, sid = await self.ours.told(tokens, nonce)
        subject = str(told.id_token["sub"])
        person = Identity(told.issuer, subject, subject, provider=self.ours.name)
        now = self.place.clock()
        return Session("s", person, tokens, now, now + 3600, now, sid, now)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    settings = {"timeout": "300ms", "extra_headers": {"X-Tenant": "one"}}
    async with Place(provider=settings) as place:
        assert place.app.parts.providers is not None
        await place.app.parts.providers.first.check()
        place.provider.offer_revocation()
        place.provider.offer_pushing()
        scene = Scene(place, place.app.parts.providers.first)
        await _ask_again(scene)
        yield scene


async def _ask_again(scene: Scene) -> None:
    scene.place.clock.advance(30)
    await scene.ours.check()


async def _begin(scene: Scene) -> None:
    await scene.ours.authorization(scene.attempt(), REDIRECT, {})


Act = Callable[[], Awaitable[object]]


async def _prepared(scene: Scene, kind: str) -> Act:
    """Everything up to the one call, so that nothing else can fail."""
    ours = scene.ours
    match kind:
        case "discovery" | "jwks":
            return lambda: _ask_again(scene)
        case "push":
            return lambda: _begin(scene)
        case "token":
            callback = await scene.callback()
            return lambda: ours.redeem(callback, REDIRECT)
        case "refresh":
            session = await scene.session()
            return lambda: ours.refreshed(session)
        case "revoke":
            tokens = (await scene.session()).tokens
            return lambda: ours.revoke(tokens)
    raise ValueError(kind)


LIMITS = {
    "hang": (Reason.PROVIDER_TIMEOUT, "no answer in time"),
    "redirect": (Reason.PROVIDER_ERROR, "redirect"),
    "huge": (Reason.PROVIDER_ERROR, "1 MiB"),
}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["discovery", "jwks", "push", "token", "refresh", "revoke"])
async def test_a_call_is_limited_in_time_and_size_and_follows_nobody(
    scene: Scene, kind: str, limit: str
) -> None:
    act = await _prepared(scene, kind)
    reason, words = LIMITS[limit]
    endpoint = "token" if kind == "refresh" else kind
    scene.place.provider.misbehave(f"{endpoint}_{limit}")
    started = time.monotonic()
    with pytest.raises(ProviderError) as refused:
        await act()
    assert time.monotonic() - started < 3
    assert refused.value.reason is reason
    assert words in refused.value.detail
    assert scene.place.provider.calls["elsewhere"] == 0
    scene.place.provider.behave()


@pytest.mark.parametrize("limit", LIMITS)
async def test_userinfo_is_limited_as_well_and_its_problem_is_noted(
    scene: Scene, limit: str
) -> None:
    tokens, nonce = await scene.tokens()
    scene.place.provider.misbehave(f"userinfo_{limit}")
    told, _ = await scene.ours.told(tokens, nonce)
    assert told.userinfo is not None
    assert LIMITS[limit][1] in told.userinfo.problem
    assert told.notes == (f"userinfo said nothing: {told.userinfo.problem}",)
    assert scene.place.provider.calls["elsewhere"] == 0
    scene.place.provider.behave()


async def test_every_kind_of_call_has_the_extra_headers_and_no_cookie(scene: Scene) -> None:
    session = await scene.session()
    tokens, told = await scene.ours.refreshed(session)
    assert told is not None
    await scene.ours.revoke(tokens)
    fake = scene.place.provider
    for endpoint in ("discovery", "jwks", "par", "token", "userinfo", "revoke"):
        request = fake.last(endpoint)
        assert request.headers["X-Tenant"] == "one", endpoint
        assert "Cookie" not in request.headers
    kinds = {request.fields.get("grant_type") for request in fake.requests} - {None}
    assert kinds == {"authorization_code", "refresh_token"}


async def test_a_pushed_request_leaves_two_parameters_to_the_browser(scene: Scene) -> None:
    attempt = scene.attempt()
    url = await scene.ours.authorization(attempt, REDIRECT, {})
    assert url.startswith(f"{scene.place.provider.issuer}/authorize?")
    assert set(query(url)) == {"client_id", "request_uri"}
    pushed = scene.place.provider.last("par").fields
    assert pushed["state"] == attempt.state
    assert pushed["nonce"] == attempt.nonce
    assert pushed["redirect_uri"] == REDIRECT
    assert pushed["code_challenge_method"] == "S256"


async def test_a_sign_in_with_a_pushed_request(scene: Scene) -> None:
    browser = scene.place.browser()
    assert (await browser.sign_in("/deep")).status == 303
    assert (await browser.get("/deep")).status == 200
    assert scene.place.provider.calls["par"] == 1


FAULTS = ["400", "500", "200_error", "html", "no_uri", "odd_uri", "over", "hang", "redirect"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("required", [True, False])
async def test_who_cannot_push_sends_nobody_anywhere(
    scene: Scene, required: bool, fault: str
) -> None:
    scene.place.provider.offer_pushing(required=required)
    await _ask_again(scene)
    scene.place.provider.misbehave(f"push_{fault}")
    answer = await scene.place.browser().get("/deep")
    assert answer.status in (502, 504)
    assert answer.location == ""
    assert "pushed request" in scene.place.logged() or "push:" in scene.place.logged()
    for secret in scene.place.secrets():
        assert secret not in scene.place.logged()
    scene.place.provider.behave()


async def test_what_the_settings_and_the_provider_cannot_agree_on_is_not_ready(
    scene: Scene,
) -> None:
    place = scene.place
    place.provider.offer_pushing(required=True)
    await place.start_proxy(provider={"pushed_authorization": "off"})
    assert place.app.parts.providers is not None
    ours = place.app.parts.providers.first
    with pytest.raises(ProviderError, match="pushed_authorization is off"):
        await ours.check()
    assert (await place.browser().get("/ready", page=False)).status == 503
    assert (await place.browser().get("/")).status == 502


async def test_a_check_that_hangs_delays_no_sign_in(scene: Scene) -> None:
    place = scene.place
    place.clock.advance(7200)
    place.provider.misbehave("discovery_hang", "jwks_hang")
    checking = asyncio.ensure_future(scene.ours.check())
    await place.provider.behaviour.reached.wait()
    started = time.monotonic()
    assert (await place.browser().sign_in()).status == 303
    assert not checking.done() or time.monotonic() - started > 0.3
    with pytest.raises(ProviderError):
        await checking
    place.provider.behave()


async def test_a_refresh_is_not_sent_to_another_issuer(scene: Scene) -> None:
    session = await scene.session()
    other = replace(session.identity, issuer="https://other.example")
    known = scene.place.provider.calls["token"]
    with pytest.raises(LoginError) as refused:
        await scene.ours.refreshed(replace(session, identity=other))
    assert refused.value.reason is Reason.ISSUER_MISMATCH
    assert scene.place.provider.calls["token"] == known


async def test_a_refresh_brings_what_is_told_now(scene: Scene) -> None:
    session = await scene.session()
    tokens, told = await scene.ours.refreshed(session)
    assert told is not None
    assert (told.issuer, told.id_token["sub"]) == (
        session.identity.issuer,
        session.identity.subject,
    )
    assert tokens.refresh_token != session.tokens.refresh_token
    with pytest.raises(RefreshOver):
        await scene.ours.refreshed(session)  # its refresh token was used already


@pytest.mark.parametrize("fault", ["userinfo_500", "userinfo_hang"])
async def test_a_refresh_keeps_its_tokens_while_nothing_is_told(scene: Scene, fault: str) -> None:
    session = await scene.session()
    scene.place.provider.misbehave(fault)
    tokens, told = await scene.ours.refreshed(session)
    assert told is None
    assert tokens.refresh_token
    scene.place.provider.behave()


@pytest.mark.parametrize(
    "fault", ["userinfo_wrong_sub", "id_token_other_subject", "id_token_wrong_iss"]
)
async def test_a_refresh_about_somebody_else_is_not_believed(scene: Scene, fault: str) -> None:
    session = await scene.session()
    scene.place.provider.misbehave(fault)
    with pytest.raises(LoginError):
        await scene.ours.refreshed(session)


async def test_an_access_token_is_read_only_where_that_is_configured(scene: Scene) -> None:
    session = await scene.session()
    assert scene.ours.refreshes(session.tokens)
    assert not scene.ours.refreshes(Tokens("id"))
    keys = scene.place.provider.provider.keys
    now = int(scene.place.clock())
    claims = {
        "iss": scene.place.provider.issuer,
        "sub": session.identity.subject,
        "exp": now + 60,
        "realm_access": {"roles": ["admin"]},
    }
    scene.place.provider.misbehave("id_token_missing_at_hash")
    tokens, nonce = await scene.tokens()
    tokens = replace(tokens, access_token=keys.sign(claims, "at+jwt"))
    told, _ = await scene.ours.told(tokens, nonce)
    assert dict(told.access_token) == {}

    await scene.place.start_proxy(
        provider={"claims": {"from_access_token": True}, "claims_source": "id_token"}
    )
    assert scene.place.app.parts.providers is not None
    reading = scene.place.app.parts.providers.first
    told, _ = await reading.told(tokens, nonce)
    assert told.access_token["realm_access"] == {"roles": ["admin"]}
    forged = keys.sign(claims | {"sub": "somebody-else"}, "at+jwt")
    with pytest.raises(LoginError) as refused:
        await reading.told(replace(tokens, access_token=forged), nonce)
    assert refused.value.reason is Reason.ACCESS_TOKEN_INVALID
