"""A provider's own tokens as bearer tokens: its keys and its client serve for them as well."""

from __future__ import annotations

import pytest

from proxy.crypto.jwk import encode_base64url
from proxy.demo.people import Client
from proxy.errors import BearerRefused, ProviderError
from proxy.web.provider import Provider
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider
from tests.web.trusting import PUBLIC, judging

US = Client("proxy", "the secret of these tests", ("https://app.example.org/oauth2/callback",))


def claims(fake: FakeProvider, now: float, **changes: object) -> dict[str, object]:
    good = {"iss": fake.issuer, "sub": "alice", "aud": PUBLIC, "exp": now + 300, "iat": now}
    return {**good, "email": "alice@example.org", **changes}


async def test_tokens_of_the_provider_by_the_keys_of_its_sign_ins() -> None:
    clock = FakeClock()
    async with FakeProvider(US, clock=clock) as fake:
        provider = {
            "issuer_url": fake.issuer, "client_id": US.client_id, "client_secret": US.secret,
            "claims_source": "userinfo", "claims": {"user": "email"},
        }  # fmt: skip
        bearer = {"audiences": [PUBLIC]}
        async with judging(clock, provider=provider, bearer=bearer) as (issuers, providers):
            assert isinstance(providers.first, Provider)
            source = providers.first.source()
            assert source.settings is providers.first.settings
            await providers.first.check()
            before = dict(fake.calls)
            sign = fake.provider.keys.sign
            found = await issuers.identity(sign(claims(fake, clock()), "at+jwt"), clock())
            assert (found.identity.user, found.identity.provider) == (
                "alice@example.org",
                "default",
            )
            assert dict(fake.calls) == before
            for changes in (
                {"aud": US.client_id},  # an ID token of ours, which nobody said is good here
                {"aud": "another-client", "nonce": "n"},
                {"aud": [PUBLIC, "another-client"], "nonce": "n", "azp": "another-client"},
            ):
                with pytest.raises(BearerRefused):
                    await issuers.identity(sign(claims(fake, clock(), **changes)), clock())
            good = sign(claims(fake, clock()))
            forged = ".".join([*good.split(".")[:2], encode_base64url(b"x" * 256)])
            with pytest.raises(BearerRefused):
                await issuers.identity(forged, clock())


async def test_strangers_leave_the_re_read_of_keys_to_sign_ins() -> None:
    clock = FakeClock()
    async with FakeProvider(US, clock=clock) as fake:
        provider = {"issuer_url": fake.issuer, "client_id": "proxy", "client_secret": US.secret}
        bearer = {"audiences": [PUBLIC]}
        async with judging(clock, provider=provider, bearer=bearer) as (issuers, providers):
            assert isinstance(providers.first, Provider)
            await providers.first.check()
            fake.rotate_keys()
            text = fake.provider.keys.sign(claims(fake, clock()))
            before = fake.calls["jwks"]
            await issuers.identity(text, clock())
            assert fake.calls["jwks"] == before + 1
            fake.rotate_keys()
            newer = fake.provider.keys.sign(claims(fake, clock()))
            with pytest.raises(BearerRefused):
                await issuers.identity(newer, clock())
            assert fake.calls["jwks"] == before + 1


async def test_without_audiences_no_token_of_the_provider_is_good() -> None:
    clock = FakeClock()
    async with FakeProvider(US, clock=clock) as fake:
        provider = {"issuer_url": fake.issuer, "client_id": "proxy", "client_secret": US.secret}
        async with judging(clock, provider=provider) as (issuers, _):
            text = fake.provider.keys.sign(claims(fake, clock()))
            assert (issuers.claims_issuer(text), issuers.introspects) == ("", False)
            with pytest.raises(BearerRefused):
                await issuers.identity(text, clock())


async def test_a_provider_that_nobody_has_reached_may_be_the_one() -> None:
    clock = FakeClock()
    async with FakeProvider(US, clock=clock) as fake:
        url = f"{fake.issuer}/.well-known/openid-configuration"
        provider = {"server_metadata_url": url, "client_id": "proxy", "client_secret": US.secret}
        provider["issuer_url"] = None  # type: ignore[assignment]
        bearer = {"audiences": [PUBLIC]}
        async with judging(clock, provider=provider, bearer=bearer) as (issuers, _):
            text = fake.provider.keys.sign(claims(fake, clock()))
            assert issuers.claims_issuer(text) == fake.issuer
            fake.misbehave("discovery_500")
            with pytest.raises(ProviderError):
                await issuers.identity(text, clock())
            fake.behave()
            clock.advance(5)
            assert (await issuers.identity(text, clock())).identity.subject == "alice"
            stranger = fake.provider.keys.sign(claims(fake, clock(), iss="https://other.example"))
            assert issuers.claims_issuer(stranger) == ""
