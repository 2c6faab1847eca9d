"""The promise of ``proxy.session.store.Store`` as tests: a new store is done when they pass.

Subclass ``StoreContract`` with a ``store`` fixture; a store that remembers what was dropped adds
``RemembersDrops``.
"""

from __future__ import annotations

import dataclasses
import re

import pytest

from proxy.session.store import Store
from tests.session.samples import HOUR, NOW, person, session

GARBAGE = [
    pytest.param("", id="empty"),
    pytest.param("A", id="one character"),
    pytest.param("A" * 43, id="looks like a ticket"),
    pytest.param("A" * 5000, id="long"),
    pytest.param("../../etc/passwd", id="path"),
    pytest.param("%s%n{0}*", id="format string (mod_auth_openidc CVE-2021-32785)"),
    pytest.param("a\r\nGET b", id="line end"),
    pytest.param("\0", id="NUL"),
    pytest.param("é\ud800", id="not ASCII, not even UTF-8"),
]


class StoreContract:
    """What holds for every store."""

    async def test_what_was_saved_is_loaded(self, store: Store) -> None:
        kept = session(identity=person(groups=("é", "b"), claims={"siret": ["1", 2, None]}))
        assert await store.load(await store.save(kept, NOW), NOW) == kept

    async def test_the_value_fits_a_cookie(self, store: Store) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", await store.save(session(), NOW))

    async def test_the_value_reveals_nothing_of_the_session(self, store: Store) -> None:
        value = await store.save(session(id="SESSION-ID"), NOW)
        assert "SESSION-ID" not in value
        assert "jean" not in value

    async def test_no_two_values_are_alike(self, store: Store) -> None:
        assert len({await store.save(session(), NOW) for _ in range(20)}) == 20

    async def test_a_session_has_an_end(self, store: Store) -> None:
        value = await store.save(session(expires_at=NOW + 10), NOW)
        assert await store.load(value, NOW + 9.9) is not None
        assert await store.load(value, NOW + 10) is None
        assert await store.load(value, NOW + 10 * HOUR) is None

    async def test_a_session_that_is_over_when_saved_is_never_loaded(self, store: Store) -> None:
        assert await store.load(await store.save(session(expires_at=NOW), NOW), NOW) is None

    @pytest.mark.parametrize("value", GARBAGE)
    async def test_garbage_is_no_session_and_no_error(self, store: Store, value: str) -> None:
        await store.save(session(), NOW)
        assert await store.load(value, NOW) is None
        await store.drop(value)

    async def test_a_changed_value_opens_nothing(self, store: Store) -> None:
        value = await store.save(session(), NOW)
        for position in range(0, len(value), 7):
            other = "A" if value[position] != "A" else "B"
            forged = value[:position] + other + value[position + 1 :]
            assert await store.load(forged, NOW) is None
        assert await store.load(value[:-1], NOW) is None
        assert await store.load(value + "A", NOW) is None

    async def test_sessions_do_not_meet(self, store: Store) -> None:
        """One person's value never gives another's session (redis CVE-2023-28858)."""
        values = [await store.save(session(id=f"{n}" * 43), NOW) for n in range(9)]
        loaded = [await store.load(value, NOW) for value in values]
        assert [found.id for found in loaded if found] == [f"{n}" * 43 for n in range(9)]

    async def test_saving_again_keeps_the_newer_facts(self, store: Store) -> None:
        kept = session()
        await store.save(kept, NOW)
        renewed = dataclasses.replace(kept, seen_at=NOW + 60)
        value = await store.save(renewed, NOW + 60)
        assert await store.load(value, NOW + 61) == renewed

    async def test_dropping_twice_is_fine(self, store: Store) -> None:
        value = await store.save(session(), NOW)
        await store.drop(value)
        await store.drop(value)

    async def test_a_working_store_is_ready(self, store: Store) -> None:
        await store.ready()


class RemembersDrops:
    """What a store with a memory promises besides."""

    async def test_a_dropped_session_is_gone(self, store: Store) -> None:
        value = await store.save(session(), NOW)
        await store.drop(value)
        assert await store.load(value, NOW) is None

    async def test_dropping_one_leaves_the_others(self, store: Store) -> None:
        first, second = await store.save(session(), NOW), await store.save(session(id="2"), NOW)
        await store.drop(first)
        assert await store.load(second, NOW) is not None
