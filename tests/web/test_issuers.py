"""Bearer tokens of trusted issuers become people."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import unquote_plus

import pytest

from proxy.errors import AccessDenied, BearerRefused, ProviderError, Reason
from proxy.model import Identity
from proxy.web.admission import Admissions
from proxy.web.calls import open_session
from proxy.web.hooks import Hook
from proxy.web.issuers import Issuers, Trusted
from proxy.web.metrics import Metrics
from proxy.web.providers import Providers
from tests.crypto.forge import rsa_key
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import CLIENT, SECRET, FakeIssuer, basic_pair
from tests.web.trusting import runtime_of, trusting
from tests.wire.stage import eventually

WE = {"client_id": CLIENT, "client_secret": SECRET}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def ci(clock: FakeClock) -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer(clock) as issuer:
        yield issuer


async def refused(issuers: Issuers, text: str, clock: FakeClock) -> BearerRefused:
    with pytest.raises(BearerRefused) as found:
        await issuers.identity(text, clock())
    assert text not in str(found.value) or not text
    return found.value


async def test_a_jwt_becomes_a_person(clock: FakeClock, ci: FakeIssuer) -> None:
    claims = {"groups": ["teams"], "extra": ["repository"]}
    bearer = {"issuers": [ci.settings(claims={"user": "email", **claims})]}
    roles = [{"name": "builder", "groups": ["dev"]}]
    async with trusting(clock, bearer=bearer, roles=roles, claims={"user": "sub"}) as issuers:
        text = ci.made(teams=["dev", "ops"], repository="app")
        assert issuers.claims_issuer(text) == ci.url
        found = await issuers.identity(text, clock())
    who = found.identity
    assert (who.provider, who.issuer, who.subject) == ("ci", ci.url, "robot-1")
    assert (who.user, who.email) == ("robot@example.org", "robot@example.org")
    assert (who.groups, who.role) == (("dev", "ops"), "builder")
    assert dict(who.claims) == {"repository": "app"}
    assert (found.expires_at, found.scopes) == (clock() + 660, ("models",))
    assert found.until == clock() + 300


async def test_it_is_verified_once_and_again_after_five_minutes(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        text = ci.made(exp=clock() + 7200)
        first = await issuers.identity(text, clock())
        ci.keys[0] = rsa_key("other")
        clock.advance(299)
        assert await issuers.identity(text, clock()) is first
        assert ci.calls == {"metadata": 1, "keys": 1}
        clock.advance(3600)  # and the keys are read again
        await refused(issuers, text, clock)


async def test_it_is_good_until_it_is_over(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        text = ci.made(exp=clock() + 30)
        await issuers.identity(text, clock())
        clock.advance(89)
        await issuers.identity(text, clock())
        clock.advance(1)
        assert (await refused(issuers, text, clock)).error == "invalid_token"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"aud": "other"}, id="for another"),
        pytest.param({"exp": None}, id="without an end"),
        pytest.param({"sub": None}, id="about nobody"),
        pytest.param({"key": rsa_key("thief")}, id="signed by another"),
    ],
)
async def test_a_bad_jwt_is_refused(
    clock: FakeClock, ci: FakeIssuer, changes: dict[str, object]
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        await refused(issuers, ci.made(**changes), clock)  # type: ignore[arg-type]


async def test_a_scope_that_is_missing(clock: FakeClock, ci: FakeIssuer) -> None:
    bearer = {"issuers": [ci.settings(required_scopes=["admin"])]}
    async with trusting(clock, bearer=bearer) as issuers:
        found = await refused(issuers, ci.made(), clock)
    assert (found.status, found.error, found.scope) == (403, "insufficient_scope", "admin")


async def test_what_the_claims_map_refuses_is_refused(clock: FakeClock, ci: FakeIssuer) -> None:
    bearer = {"issuers": [ci.settings(claims={"user": "employee"})]}
    async with trusting(clock, bearer=bearer) as issuers:
        found = await refused(issuers, ci.made(), clock)
    assert (found.status, found.reason) == (401, Reason.IDENTITY_INCOMPLETE)


async def test_the_hook_is_asked_as_at_a_sign_in(clock: FakeClock, ci: FakeIssuer) -> None:
    asked: list[str] = []

    async def handler(identity: Identity, claims: object) -> Identity:
        asked.append(identity.subject)
        if identity.subject == "mallory":
            raise AccessDenied("Ask your team for a seat.")
        return replace(identity, role="from-the-hook")

    runtime = runtime_of(
        bearer={"issuers": [ci.settings()]},
        hooks={"post_login": "here:handler"},
        access={"groups": {"any": ["dev"]}},
    )
    hook = Hook("here:handler", 5.0, handler, takes_event=False)
    async with open_session() as http:
        admissions = Admissions(runtime, hook)
        issuers = Issuers(runtime, Providers([]), http, Metrics(), clock, admissions)
        for _ in range(3):
            found = await issuers.identity(ci.made(), clock())
            assert found.identity.role == "from-the-hook"
        for subject, groups in (("mallory", ["dev"]), ("bob", ["ops"])):
            with pytest.raises(AccessDenied):
                await issuers.identity(ci.made(sub=subject, groups=groups), clock())
    # whom the rules refuse is no business of the hook's
    assert asked == ["robot-1", "mallory"]


async def test_an_end_that_a_claim_declares_ends_it(clock: FakeClock, ci: FakeIssuer) -> None:
    session = {"end_claim": "valid_until"}
    async with trusting(clock, bearer={"issuers": [ci.settings()]}, session=session) as issuers:
        found = await issuers.identity(ci.made(valid_until=clock() + 100), clock())
        assert (found.expires_at, found.until) == (clock() + 100, clock() + 100)
        await refused(issuers, ci.made(valid_until=clock() - 1), clock)
        await refused(issuers, ci.made(valid_until="soon"), clock)


async def test_each_issuers_keys_are_for_its_own_tokens(clock: FakeClock, ci: FakeIssuer) -> None:
    async with FakeIssuer(clock, rsa_key("second")) as other:
        bearer = {"issuers": [ci.settings("one"), other.settings("two")]}
        async with trusting(clock, bearer=bearer) as issuers:
            assert (await issuers.identity(ci.made(), clock())).identity.provider == "one"
            assert (await issuers.identity(other.made(), clock())).identity.provider == "two"
            await refused(issuers, ci.made(other.keys[0]), clock)
            await refused(issuers, other.made(iss=ci.url), clock)
            await refused(issuers, ci.made(iss=other.url), clock)


async def test_whose_token_it_is_is_told_without_asking_anybody(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        assert issuers.claims_issuer(ci.made()) == ci.url
        assert issuers.claims_issuer(ci.made(iss=ci.url + "/")) == ""
        assert issuers.claims_issuer(ci.made(iss="https://idp.example.org/")) == ""
        assert issuers.claims_issuer("sk-12345") == ""
        found = await refused(issuers, ci.made(iss="https://evil.example"), clock)
        assert "none of ours" in found.detail
    assert not ci.calls


async def test_a_new_key_is_fetched_once_a_minute_for_strangers(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        await issuers.identity(ci.made(), clock())
        ci.keys.insert(0, rsa_key("rotated"))
        await issuers.identity(ci.made(sub="two"), clock())
        assert ci.calls["keys"] == 2
        for _ in range(20):
            await refused(issuers, ci.made(rsa_key("nobody's")), clock)
        assert ci.calls["keys"] == 2
        clock.advance(60)
        await refused(issuers, ci.made(rsa_key("nobody's")), clock)
        assert ci.calls["keys"] == 3


async def test_an_issuer_that_is_down_is_not_asked_for_every_stranger(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        ci.status = 500
        for _ in range(20):
            with pytest.raises(ProviderError):
                await issuers.identity(ci.made(), clock())
        assert ci.calls == {"metadata": 1}
        ci.status = 200
        clock.advance(5)
        await issuers.identity(ci.made(), clock())


async def test_the_public_name_is_the_tokens_and_tells_nothing_of_it(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    bearer = {"issuers": [ci.settings()]}
    async with FakeIssuer(clock, rsa_key("second")) as other:
        bearer["issuers"].append(other.settings("two"))
        async with trusting(clock, bearer=bearer) as issuers:
            one = await issuers.identity(ci.made(), clock())
            shown_anew = await issuers.identity(ci.made(iat=clock() - 1), clock())
            elsewhere = await issuers.identity(other.made(), clock())
            text = ci.made(jti=None)
            nameless = await issuers.identity(text, clock())
    assert one.id == shown_anew.id != elsewhere.id
    assert nameless.id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert all(len(found.id) == 16 for found in (one, elsewhere, nameless))


async def test_an_opaque_token_is_asked_about(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        assert issuers.introspects
        ci.knows("opaque-1")
        found = await issuers.identity("opaque-1", clock())
        assert (found.identity.subject, found.identity.provider) == ("robot-1", "ci")
        assert found.until == clock() + 60
        ((authorization, form),) = ci.asked
        assert form == {"token": "opaque-1", "token_type_hint": "access_token"}
        assert unquote_plus(basic_pair(authorization)) == f"{CLIENT}:{SECRET}"
        assert issuers.claims_issuer("opaque-1") == ""


async def test_the_answer_is_believed_for_a_while_and_no_longer_than_the_token_lives(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    bearer = {"issuers": [ci.settings(**WE, clock_skew=0)], "cache": "30s"}
    async with trusting(clock, bearer=bearer) as issuers:
        ci.knows("long")
        ci.knows("short", exp=clock() + 10)
        for _ in range(3):
            await issuers.identity("long", clock())
            assert (await issuers.identity("short", clock())).until == clock() + 10
        assert ci.calls["introspect"] == 2
        clock.advance(10)
        await refused(issuers, "short", clock)
        clock.advance(20)
        ci.known["long"] = {"active": False}
        await refused(issuers, "long", clock)


async def test_without_a_cache_every_request_asks(clock: FakeClock, ci: FakeIssuer) -> None:
    bearer = {"issuers": [ci.settings(**WE)], "cache": 0}
    async with trusting(clock, bearer=bearer) as issuers:
        ci.knows("opaque")
        await issuers.identity("opaque", clock())
        ci.known.clear()
        for asked in (2, 3):
            await refused(issuers, "opaque", clock)
            assert ci.calls["introspect"] == asked


async def test_a_no_is_remembered_briefly(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        for _ in range(5):
            await refused(issuers, "unknown", clock)
        assert ci.calls["introspect"] == 1
        ci.knows("unknown")
        clock.advance(10)
        await issuers.identity("unknown", clock())


async def test_all_who_wait_share_one_call(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        ci.knows("one", sub="person-1")
        ci.knows("two", sub="person-2")
        ci.gate.clear()
        asked = [issuers.identity(text, clock()) for text in ["one", "two"] * 20]
        waiting = [asyncio.ensure_future(one) for one in asked]
        await eventually(lambda: ci.calls["introspect"] == 2)
        ci.gate.set()
        found: list[Trusted] = await asyncio.gather(*waiting)
    assert ci.calls["introspect"] == 2
    subjects = [one.identity.subject for one in found]
    assert subjects == ["person-1", "person-2"] * 20


async def test_two_issuers_may_differ_about_the_same_text(clock: FakeClock, ci: FakeIssuer) -> None:
    async with FakeIssuer(clock, rsa_key("second")) as other:
        bearer = {"issuers": [ci.settings("one", **WE), other.settings("two", **WE)]}
        async with trusting(clock, bearer=bearer) as issuers:
            other.knows("opaque")
            found = await issuers.identity("opaque", clock())
            assert (found.identity.issuer, found.identity.provider) == (other.url, "two")
            # whoever cannot answer may be the one that knows it
            ci.status = 500
            with pytest.raises(ProviderError):
                await issuers.identity("unknown", clock())
            other.known["theirs"] = {**other.known["opaque"], "iss": ci.url}
            ci.status = 200
            await refused(issuers, "theirs", clock)


async def test_a_jwt_of_nobodys_is_told_to_nobody(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        await refused(issuers, ci.made(iss="https://another.example"), clock)
    assert not ci.asked


async def test_an_opaque_token_with_two_dots_stays_opaque(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        ci.knows("a.b.c")
        await issuers.identity("a.b.c", clock())
        assert issuers.claims_issuer("a.b.c") == ""


@pytest.mark.parametrize("fault", [401, 500])
async def test_an_issuer_that_does_not_answer_is_no_refusal(
    clock: FakeClock, ci: FakeIssuer, fault: int
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        await refused(issuers, "unknown", clock)
        ci.status = fault
        ci.knows("opaque")
        with pytest.raises(ProviderError):
            await issuers.identity("opaque", clock())
        ci.status = 200
        await issuers.identity("opaque", clock())


async def test_an_issuer_without_introspection_is_not_asked(
    clock: FakeClock, ci: FakeIssuer
) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
        assert not issuers.introspects
        await refused(issuers, "opaque", clock)
    assert not ci.calls


async def test_what_is_kept_is_bounded(clock: FakeClock, ci: FakeIssuer) -> None:
    async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
        issuers._kept._size = issuers._questions._noes._size = 8
        for number in range(20):
            ci.knows(f"good-{number}", jti=f"{number}")
            await issuers.identity(f"good-{number}", clock())
            await refused(issuers, f"bad-{number}", clock)
        assert len(issuers._kept) == len(issuers._questions._noes) == 8
        # what strangers make up pushes nothing good out
        assert (await issuers.identity("good-19", clock())).identity.subject == "robot-1"
        assert ci.calls["introspect"] == 40
