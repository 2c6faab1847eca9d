"""An app behind the proxy believes one good identity header, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.crypto import jwt
from proxy.demo.keys import Keys
from proxy.demo.verifier import KEYS_LIFE, REFETCH_PAUSE, Expected, IdentityVerifier, Untrusted
from proxy.model import Json
from tests.demo.proxied import AUDIENCE, HEADER, ISSUER, FakeProxy
from tests.demo.serving import serving
from tests.fakes.clock import FakeClock


@dataclass(frozen=True, slots=True)
class Pair:
    proxy: FakeProxy
    verifier: IdentityVerifier

    async def claims(self, *tokens: str) -> dict[str, Json]:
        headers = CIMultiDict([(HEADER, token) for token in tokens])
        return dict((await self.verifier.verify(CIMultiDictProxy(headers))).claims)


@pytest_asyncio.fixture
async def pair(clock: FakeClock) -> AsyncIterator[Pair]:
    proxy = FakeProxy(clock)
    async with serving(proxy.app) as url, aiohttp.ClientSession() as session:
        expected = Expected(ISSUER, AUDIENCE)
        yield Pair(proxy, IdentityVerifier(f"{url}/jwks.json", expected, HEADER, session, clock))


async def test_a_good_identity_is_believed(pair: Pair) -> None:
    assert (await pair.claims(pair.proxy.identity()))["email"] == "alice@example.org"


async def test_an_audience_list_may_name_the_app(pair: Pair) -> None:
    assert await pair.claims(pair.proxy.identity(aud=["other", AUDIENCE]))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"iss": "https://evil.example"}, "iss", id="another issuer"),
        pytest.param({"iss": None}, "iss", id="no issuer"),
        pytest.param({"aud": "other"}, "aud", id="another audience"),
        pytest.param({"aud": ["other"]}, "aud", id="another audience list"),
        pytest.param({"aud": None}, "aud", id="no audience"),
        pytest.param({"sub": None}, "sub", id="no sub"),
        pytest.param({"sub": 7}, "sub", id="a number as sub"),
        pytest.param({"jti": None}, "jti", id="no jti"),
        pytest.param({"exp": None}, "exp", id="no exp"),
        pytest.param({"exp": "9999999999"}, "exp", id="a text as exp"),
        pytest.param({"exp": True}, "exp", id="a truth value as exp"),
        pytest.param({"exp": 1_799_999_969}, "expired", id="expired"),
        pytest.param({"iat": None}, "iat", id="no iat"),
        pytest.param({"iat": 1_800_000_031}, "future", id="from the future"),
    ],
)
async def test_wrong_claims_are_refused(pair: Pair, changes: dict[str, Json], why: str) -> None:
    with pytest.raises(Untrusted, match=why):
        await pair.claims(pair.proxy.identity(**changes))


async def test_the_header_comes_exactly_once(pair: Pair) -> None:
    token = pair.proxy.identity()
    for tokens in ((), (token, token)):
        with pytest.raises(Untrusted, match="exactly once"):
            await pair.claims(*tokens)


async def test_forged_signatures_are_refused(pair: Pair) -> None:
    proxy, stranger = pair.proxy, Keys("ES256")
    same_kid = replace(stranger.signer, kid=proxy.keys.signer.kid)
    shared = replace(jwt.shared_secret_signer(b"k" * 32), kid=proxy.keys.signer.kid)
    head, _, _ = proxy.identity().rpartition(".")
    for token in (
        stranger.sign(proxy.claims()),
        same_kid.sign(proxy.claims()),
        shared.sign(proxy.claims()),
        head + ".",
        "no token",
    ):
        with pytest.raises(Untrusted, match="cannot be believed"):
            await pair.claims(token)


async def test_keys_are_fetched_once_and_again_when_old(pair: Pair, clock: FakeClock) -> None:
    for _ in range(3):
        await pair.claims(pair.proxy.identity())
    assert pair.proxy.calls["jwks"] == 1
    clock.advance(KEYS_LIFE + 1)
    await pair.claims(pair.proxy.identity())
    assert pair.proxy.calls["jwks"] == 2


async def test_a_new_key_is_found_with_one_more_look(pair: Pair) -> None:
    await pair.claims(pair.proxy.identity())
    pair.proxy.keys.rotate()
    await pair.claims(pair.proxy.identity())
    assert pair.proxy.calls["jwks"] == 2


async def test_unknown_keys_cannot_cause_a_storm(pair: Pair, clock: FakeClock) -> None:
    for _ in range(20):
        with pytest.raises(Untrusted):
            await pair.claims(Keys("ES256").sign(pair.proxy.claims()))
    assert pair.proxy.calls["jwks"] == 2
    clock.advance(REFETCH_PAUSE)
    pair.proxy.keys.rotate()
    await pair.claims(pair.proxy.identity())


async def test_known_keys_outlive_an_unreachable_proxy(pair: Pair, clock: FakeClock) -> None:
    await pair.claims(pair.proxy.identity())
    pair.proxy.down = True
    clock.advance(KEYS_LIFE + 1)
    assert await pair.claims(pair.proxy.identity())


async def test_without_any_keys_nobody_is_believed(pair: Pair) -> None:
    pair.proxy.down = True
    with pytest.raises(Untrusted, match="keys cannot be read"):
        await pair.claims(pair.proxy.identity())
