"""The session in the browser's cookie: the store's promise, and what only this store does."""

from __future__ import annotations

import zlib

import pytest

from proxy.crypto.seal import Sealer
from proxy.session.cookie import CookieStore
from tests.session.contract import StoreContract
from tests.session.samples import HOUR, NOW, session

OLD, NEW = bytes(range(32)), bytes(range(100, 132))
LIFETIME = 12 * HOUR


class TestCookieStore(StoreContract):
    @pytest.fixture
    def store(self) -> CookieStore:
        return CookieStore(Sealer([NEW], "session"), LIFETIME)


def _store(*secrets: bytes, purpose: str = "session", lifetime: float = LIFETIME) -> CookieStore:
    return CookieStore(Sealer(secrets, purpose), lifetime)


async def test_a_replica_with_the_same_secret_loads_it() -> None:
    value = await _store(NEW).save(session(), NOW)
    assert await _store(NEW).load(value, NOW) == session()


async def test_a_session_survives_one_rotation_of_the_secret_and_not_the_next() -> None:
    value = await _store(OLD).save(session(), NOW)
    assert await _store(NEW, OLD).load(value, NOW) == session()
    assert await _store(NEW).load(value, NOW) is None


async def test_a_sealed_sign_in_attempt_is_no_session() -> None:
    """One keyspace for both let an attempt pass as a session (LemonLDAP CVE-2026-19349)."""
    value = await _store(NEW, purpose="login-attempt").save(session(), NOW)
    assert await _store(NEW).load(value, NOW) is None


async def test_no_box_outlives_the_lifetime_whatever_it_says_inside() -> None:
    store = _store(NEW)
    value = await store.save(session(expires_at=NOW + 100 * HOUR), NOW)
    assert await store.load(value, NOW + LIFETIME) is not None
    assert await store.load(value, NOW + LIFETIME + 1) is None


async def test_a_shorter_lifetime_ends_what_was_sealed_before() -> None:
    value = await _store(NEW).save(session(), NOW)
    assert await _store(NEW, lifetime=60).load(value, NOW + 61) is None


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"not compressed", id="not compressed"),
        pytest.param(zlib.compress(b"{}"), id="another document"),
        pytest.param(zlib.compress(b"a" * 10_000_000), id="bomb"),
    ],
)
async def test_a_good_box_with_something_else_inside_is_no_session(content: bytes) -> None:
    value = Sealer([NEW], "session").seal(content, NOW)
    assert await _store(NEW).load(value, NOW) is None
