"""The provider's keys: re-read for one that nobody knows, not too often, kept while it fails."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwt import JwtInvalid, VerificationKeys, verify
from proxy.errors import LoginError, ProviderError, Reason
from proxy.oidc.metadata import Metadata
from proxy.web.calls import Calls, Reply, open_session
from proxy.web.keys import Keys, read_json
from proxy.web.metrics import Metrics
from tests.crypto.forge import Key, ec_key, rsa_key, token
from tests.fakes.clock import FakeClock
from tests.fakes.scripted import ScriptedUpstream, Step, close, request, upstream

ALGORITHMS = ("ES256", "RS256")


def answer(*keys: Key | dict[str, object], status: bytes = b"200 OK") -> list[Step]:
    found = [key if isinstance(key, dict) else key.jwk() for key in keys]
    body = json.dumps({"keys": found}).encode()
    head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body))
    return [request, head + body, close]


FAILS = answer(status=b"500 No")


@asynccontextmanager
async def reading(
    *answers: list[Step], clock: FakeClock | None = None, algorithms: tuple[str, ...] = ALGORITHMS
) -> AsyncIterator[tuple[Keys, ScriptedUpstream]]:
    """Keys of a provider that gives these answers, one after the other, the last for good."""
    async with upstream(*answers) as scripted, open_session() as http:
        metadata = Metadata("https://i", "", "", scripted.url, id_token_algorithms=algorithms)

        async def known() -> Metadata:
            return metadata

        settings = ProviderSettings()
        calls = Calls(settings, http, Metrics())
        yield Keys(settings, calls, clock or FakeClock(), known), scripted


def signed_by(key: Key) -> Callable[[VerificationKeys], str]:
    made = token({"sub": key.kid}, key, "ES256", kid=key.kid)
    return lambda keys: str(verify(made, keys, ALGORITHMS).claims["sub"])


OLD, NEW = ec_key("old"), ec_key("new")


async def use(keys: Keys, key: Key, *, stranger: bool = False) -> str:
    return await keys.using(signed_by(key), Reason.ID_TOKEN_INVALID, stranger=stranger)


async def test_they_are_read_once_and_again_for_an_unknown_one() -> None:
    async with reading(answer(OLD), answer(OLD, NEW)) as (keys, scripted):
        assert [await use(keys, OLD), await use(keys, OLD)] == ["old", "old"]
        assert len(scripted.peers) == 1
        assert await use(keys, NEW) == "new"
        assert len(scripted.peers) == 2


async def test_after_a_reread_it_cools_down_and_refuses() -> None:
    clock = FakeClock()
    async with reading(answer(OLD), clock=clock) as (keys, scripted):
        for _ in range(50):
            with pytest.raises(LoginError) as refused:
                await use(keys, NEW)
            assert refused.value.reason is Reason.ID_TOKEN_INVALID
        assert len(scripted.peers) == 2
        clock.advance(61)
        with pytest.raises(LoginError):
            await use(keys, NEW)
        assert len(scripted.peers) == 3
        assert await use(keys, OLD) == "old"


async def test_strangers_do_not_use_up_the_reread_of_a_sign_in() -> None:
    async with reading(answer(OLD), answer(OLD), answer(NEW)) as (keys, _):
        with pytest.raises(LoginError):
            await use(keys, NEW, stranger=True)
        assert await use(keys, NEW) == "new"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(FAILS, id="500"),
        pytest.param(answer(), id="no key"),
        pytest.param(answer({"kty": "oct", "k": "c2VjcmV0"}), id="no key that we could use"),
        pytest.param(answer(status=b"302 Found"), id="a redirect"),
    ],
)
async def test_the_last_good_ones_are_kept_and_the_trouble_is_known(bad: list[Step]) -> None:
    clock = FakeClock()
    async with reading(answer(OLD), bad, answer(OLD, NEW), clock=clock) as (keys, _):
        await keys.renew(15)
        assert (keys.seen, keys.failure) == (True, None)
        clock.advance(15)
        await keys.renew(15)
        assert keys.failure is not None
        assert keys.seen
        assert await use(keys, OLD) == "old"
        await keys.renew(15)
        assert keys.failure is None
        assert await use(keys, NEW) == "new"


async def test_while_there_never_were_any_nothing_is_believed() -> None:
    async with reading(FAILS) as (keys, _):
        with pytest.raises(ProviderError):
            await use(keys, OLD)
        with pytest.raises(ProviderError):
            await keys.renew(15)
        assert not keys.seen


async def test_a_provider_that_signs_with_the_secret_alone_needs_none() -> None:
    async with reading(answer(), algorithms=("HS256",)) as (keys, _):
        await keys.renew(15)
        assert keys.seen
        with pytest.raises(LoginError):
            await use(keys, OLD)


async def test_a_hostile_document_costs_little() -> None:
    """As much as fits: 1 MiB of large keys that all have the token's name."""
    large = rsa_key("one", 4096).jwk(kid="same")
    most = [dict(large) for _ in range(1_000_000 // len(json.dumps(large)))]
    made = token({}, rsa_key("other", 4096), "RS256", kid="same")
    async with reading(answer(*most)) as (keys, _):
        await keys.renew(15)
        started = time.process_time()
        for _ in range(10):
            with pytest.raises(JwtInvalid):
                await keys.using(
                    lambda known: verify(made, known, ALGORITHMS), Reason.ID_TOKEN_INVALID
                )
        assert time.process_time() - started < 1.0


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(404, b"{}", Reason.PROVIDER_ERROR, id="not found"),
        pytest.param(200, b"[]", Reason.PROVIDER_METADATA_INVALID, id="a list"),
        pytest.param(200, b"<html>", Reason.PROVIDER_METADATA_INVALID, id="a page"),
        pytest.param(200, b'{"a": 1, "a": 2}', Reason.PROVIDER_METADATA_INVALID, id="twice"),
    ],
)
def test_an_answer_that_is_no_object(status: int, body: bytes, reason: Reason) -> None:
    with pytest.raises(ProviderError) as refused:
        read_json(Reply(status, "application/json", body), "keys")
    assert refused.value.reason is reason
