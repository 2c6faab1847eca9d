"""How one issuer is read: what is asked of it, and what it need not have."""

from __future__ import annotations

import pytest

from proxy.errors import BearerRefused, ConfigError, ProviderError, Reason
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import CLIENT, SECRET, FakeIssuer
from tests.web.trusting import trusting

WE = {"client_id": CLIENT, "client_secret": SECRET}


async def test_its_keys_in_the_settings_need_no_metadata() -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        bearer = {"issuers": [ci.settings(jwks_uri=f"{ci.url}/keys")]}
        async with trusting(clock, bearer=bearer) as issuers:
            await issuers.identity(ci.made(), clock())
        assert ci.calls == {"keys": 1}


async def test_introspection_in_the_settings_needs_no_metadata() -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        bearer = {"issuers": [ci.settings(**WE, introspection_endpoint=f"{ci.url}/introspect")]}
        async with trusting(clock, bearer=bearer) as issuers:
            ci.knows("opaque")
            await issuers.identity("opaque", clock())
        assert ci.calls == {"introspect": 1}


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        pytest.param({"issuer": "https://evil.example"}, "issuer", id="another's metadata"),
        pytest.param({"issuer": None}, "names no issuer", id="no issuer"),
        pytest.param({"jwks_uri": "http://keys.example/"}, "not https", id="keys on http"),
        pytest.param({"jwks_uri": 7}, "not a text", id="no address of keys"),
    ],
)
async def test_metadata_that_cannot_be_believed(metadata: dict[str, object], words: str) -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        ci.more_metadata = metadata
        async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
            with pytest.raises(ProviderError) as refused:
                await issuers.identity(ci.made(), clock())
        assert refused.value.reason is Reason.PROVIDER_METADATA_INVALID
        assert words in refused.value.detail
        assert ci.calls == {"metadata": 1}


@pytest.mark.parametrize("endpoint", [None, "http://elsewhere.example/introspect", 7])
async def test_introspection_that_is_not_there_or_not_safe_is_not_used(endpoint: object) -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        ci.more_metadata = {"introspection_endpoint": endpoint}
        async with trusting(clock, bearer={"issuers": [ci.settings(**WE)]}) as issuers:
            with pytest.raises(BearerRefused):
                await issuers.identity("opaque", clock())
            await issuers.identity(ci.made(), clock())
        assert not ci.asked


async def test_an_issuer_without_keys_has_no_good_jwt() -> None:
    clock = FakeClock()
    async with FakeIssuer(clock) as ci:
        ci.more_metadata = {"jwks_uri": None}
        async with trusting(clock, bearer={"issuers": [ci.settings()]}) as issuers:
            with pytest.raises(BearerRefused):
                await issuers.identity(ci.made(), clock())


async def test_authorities_that_cannot_be_read_stop_the_start() -> None:
    issuer = {
        "name": "ci",
        "issuer_url": "https://ci.example.org",
        "audiences": ["api"],
        "ca_file": "/nowhere/ca.pem",
    }
    with pytest.raises(ConfigError):
        async with trusting(bearer={"issuers": [issuer]}):
            raise AssertionError
