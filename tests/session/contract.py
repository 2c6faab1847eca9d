"""The promise of ``proxy.session.store.Store`` as tests: a new store is done when they pass.

Subclass ``StoreContract`` with the fixtures

- ``shelf``: an open, empty shelf, closed afterwards, whose clock is at ``NOW`` and stays there
  (``still_clock``);
- ``store``: a store on it, with ``LIFETIME`` and ``GRACE``, and no idle limit.

A store that knows what was dropped adds ``ForgetsDrops``; ``tests/session/test_ticket.py`` shows
how the same classes run on any shelf.
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Awaitable
from typing import Any

import pytest

from proxy.model import Identity, Session, Tokens
from proxy.session.shelf import Shelf
from proxy.session.store import Kept, Store
from tests.session.samples import HOUR, NOW, person, session

LIFETIME = 12 * HOUR
GRACE = 60.0

GARBAGE = [
    pytest.param("", id="empty"),
    pytest.param("A", id="one character"),
    pytest.param("A" * 43, id="looks like a handle"),
    pytest.param("A" * 86, id="looks like a ticket"),
    pytest.param("A" * 5000, id="long"),
    pytest.param("../../etc/passwd", id="path"),
    pytest.param("%s%n{0}*", id="format string (mod_auth_openidc CVE-2021-32785)"),
    pytest.param("a\r\nGET b", id="line end"),
    pytest.param("\0", id="NUL"),
    pytest.param("é\ud800", id="not ASCII, not even UTF-8"),
]


def still_clock() -> float:
    return NOW


def member(group: str) -> Identity:
    """Jean, who is in another group now."""
    return person(groups=(group,))


def refreshed(kept: Session, refresh_at: float = NOW + 100, **facts: Any) -> Session:
    """``kept`` after a refresh that gave new tokens."""
    tokens = Tokens("newer id token", refresh_token=f"good from {refresh_at}")
    return dataclasses.replace(kept, tokens=tokens, refresh_at=refresh_at, **facts)


async def found(store: Store, value: str, now: float = NOW) -> Session | None:
    kept = await store.load(value, now)
    return kept.session if kept is not None else None


class KeepsContract:
    """What was saved is loaded, by its value and nothing else."""

    async def test_what_was_saved_is_loaded(self, store: Store) -> None:
        kept = session(identity=person(groups=("é", "b"), claims={"siret": ["1", 2, None]}))
        saved = await store.save(kept, NOW)
        assert saved.session == kept
        assert await store.load(saved.value, NOW) == saved

    async def test_the_value_fits_a_cookie(self, store: Store) -> None:
        assert re.fullmatch(r"[A-Za-z0-9_-]{22,}", (await store.save(session(), NOW)).value)

    async def test_the_value_reveals_nothing_of_the_session(self, store: Store) -> None:
        kept = await store.save(session(id="SESSION-ID"), NOW)
        assert "SESSION-ID" not in kept.value
        assert "jean" not in kept.value
        assert kept.value not in repr(kept)

    async def test_no_two_values_are_alike(self, store: Store) -> None:
        assert len({(await store.save(session(), NOW)).value for _ in range(20)}) == 20

    async def test_a_session_has_an_end(self, store: Store) -> None:
        value = (await store.save(session(expires_at=NOW + 10), NOW)).value
        assert await store.load(value, NOW + 9.9) is not None
        assert await store.load(value, NOW + 10) is None
        assert await store.load(value, NOW + 10 * HOUR) is None

    async def test_a_session_that_is_over_when_saved_is_never_loaded(self, store: Store) -> None:
        value = (await store.save(session(expires_at=NOW), NOW)).value
        assert await store.load(value, NOW) is None

    async def test_no_session_outlives_the_lifetime_whatever_it_says(self, store: Store) -> None:
        long = session(created_at=NOW, expires_at=NOW + 100 * HOUR)
        value = (await store.save(long, NOW)).value
        assert await store.load(value, NOW + LIFETIME - 1) is not None
        assert await store.load(value, NOW + LIFETIME + 1) is None

    @pytest.mark.parametrize("value", GARBAGE)
    async def test_garbage_is_no_session_and_no_error(self, store: Store, value: str) -> None:
        await store.save(session(), NOW)
        assert await store.load(value, NOW) is None
        assert store.handle(value) == ""
        if store.forgets:
            assert await store.renew(Kept(session(), value), session(), NOW) is None
        await store.drop(value)
        await store.discard("")

    async def test_a_changed_value_opens_nothing(self, store: Store) -> None:
        value = (await store.save(session(), NOW)).value
        for position in range(0, len(value), 7):
            other = "A" if value[position] != "A" else "B"
            forged = value[:position] + other + value[position + 1 :]
            assert await store.load(forged, NOW) is None
        for forged in (value[:-1], value + "A", value + "=", value + "==", value + "\n"):
            assert await store.load(forged, NOW) is None

    async def test_sessions_do_not_meet(self, store: Store) -> None:
        """One person's value never gives another's session (redis CVE-2023-28858)."""
        saved = [await store.save(session(id=f"{n}" * 43), NOW) for n in range(9)]
        loaded = await asyncio.gather(*(store.load(kept.value, NOW) for kept in saved))
        assert loaded == saved

    async def test_dropping_twice_is_fine(self, store: Store) -> None:
        kept = await store.save(session(), NOW)
        for _ in range(2):
            await store.drop(kept.value)
            await store.discard(store.handle(kept.value))

    async def test_a_working_store_is_ready(self, store: Store) -> None:
        await store.ready()


class RenewContract:
    """Newer facts of a session that goes on."""

    async def test_newer_facts_are_kept(self, store: Store) -> None:
        kept = await store.save(session(), NOW)
        newer = dataclasses.replace(kept.session, seen_at=NOW)
        renewed = await store.renew(kept, newer, NOW)
        assert renewed is not None
        assert renewed.session == newer
        assert await store.load(renewed.value, NOW) == renewed

    async def test_after_a_refresh_the_old_value_leads_to_the_new_session(
        self, store: Store
    ) -> None:
        kept = await store.save(session(refresh_at=NOW), NOW)
        renewed = await store.renew(kept, refreshed(kept.session), NOW)
        assert renewed is not None
        assert renewed.session == refreshed(kept.session)
        assert await store.load(kept.value, NOW) == renewed
        assert await store.load(renewed.value, NOW) == renewed

    async def test_after_other_rights_the_old_value_leads_to_the_new_session(
        self, store: Store
    ) -> None:
        """A person whose rights changed gets a new value; tabs that are open go on."""
        kept = await store.save(session(refresh_at=NOW), NOW)
        renewed = await store.renew(kept, refreshed(kept.session, identity=member("new")), NOW)
        assert renewed is not None
        assert renewed.value != kept.value
        assert await store.load(kept.value, NOW) == renewed
        assert await found(store, renewed.value) == refreshed(kept.session, identity=member("new"))

    async def test_all_who_come_with_the_old_value_get_the_same_new_one(self, store: Store) -> None:
        kept = await store.save(session(refresh_at=NOW), NOW)
        await store.renew(kept, refreshed(kept.session, identity=member("new")), NOW)
        loaded = await asyncio.gather(*(store.load(kept.value, NOW) for _ in range(20)))
        assert len({each.value for each in loaded if each is not None}) == 1
        assert None not in loaded

    async def test_the_way_goes_on_from_value_to_value(self, store: Store) -> None:
        first = kept = await store.save(session(identity=member("0"), refresh_at=NOW - 10), NOW)
        for hop in range(1, 6):
            newer = refreshed(kept.session, NOW - 10 + hop, identity=member(str(hop)))
            kept = await store.renew(kept, newer, NOW) or pytest.fail("it has not ended")
            assert await store.load(first.value, NOW) == kept

    async def test_somebody_elses_session_is_never_on_the_way(self, store: Store) -> None:
        mine = await store.save(session(id="mine", refresh_at=NOW), NOW)
        other = await store.save(session(id="other", refresh_at=NOW), NOW)
        await store.renew(other, refreshed(other.session, id="other's next"), NOW)
        assert await found(store, mine.value) == mine.session

    async def test_use_that_is_written_down_late_undoes_no_refresh(self, store: Store) -> None:
        """A rotated refresh token that was lost would end the session at the next refresh."""
        kept = await store.save(session(refresh_at=NOW), NOW)
        renewed = await store.renew(kept, refreshed(kept.session, seen_at=NOW), NOW)
        used = dataclasses.replace(kept.session, seen_at=NOW)
        assert await store.renew(kept, used, NOW) == renewed
        assert await store.load(kept.value, NOW) == renewed

    async def test_many_renew_at_once(self, store: Store) -> None:
        kept = await store.save(session(), NOW)
        renewed = await asyncio.gather(
            *(
                store.renew(kept, dataclasses.replace(kept.session, seen_at=NOW - n), NOW)
                for n in range(50)
            )
        )
        assert None not in renewed
        for each in renewed:
            assert each is not None
            assert await store.load(each.value, NOW) is not None

    async def test_many_refresh_at_once_where_the_lock_was_lost(self, store: Store) -> None:
        kept = await store.save(session(refresh_at=NOW), NOW)
        fresh = [refreshed(kept.session, NOW + 10 + n, id=f"id {n}") for n in range(10)]
        await asyncio.gather(*(store.renew(kept, each, NOW) for each in fresh))
        assert await found(store, kept.value) in fresh


class ShelfContract:
    """What a store leaves on the shelf."""

    async def test_the_shelf_reveals_nothing(self, store: Store, shelf: Shelf) -> None:
        kept = await store.save(session(id="SESSION-ID", refresh_at=NOW), NOW)
        await store.renew(kept, refreshed(kept.session, id="NEXT-ID"), NOW)
        lying = await _everything(shelf)
        loaded = await store.load(kept.value, NOW)
        assert loaded is not None
        for secret in (kept.value[:40], loaded.value[:40], "SESSION-ID", "NEXT-ID", "jean"):
            assert secret.encode() not in lying

    async def test_what_lies_on_the_shelf_is_no_value(self, store: Store, shelf: Shelf) -> None:
        """Whoever reads the shelf cannot sign in with anything there."""
        kept = await store.save(session(refresh_at=NOW), NOW)
        await store.renew(kept, refreshed(kept.session, id="next"), NOW)
        async for key in shelf.keys(""):
            [value] = await shelf.get(key)
            texts = [key, key.partition(":")[2], (value or b"").decode("latin-1")]
            assert [await store.load(text, NOW) for text in texts] == [None] * 3

    async def test_records_that_change_places_open_nothing_new(
        self, store: Store, shelf: Shelf
    ) -> None:
        """Whoever writes to the shelf cannot give one person another's session."""
        saved = [await store.save(session(id=n, refresh_at=NOW), NOW) for n in ("a", "b")]
        for kept in saved:
            await store.renew(kept, refreshed(kept.session, id=kept.session.id * 2), NOW)
        keys = sorted([key async for key in shelf.keys("")])
        values = await shelf.get(*keys)
        for turn in range(1, len(keys)):
            for key, value in zip(keys, values[turn:] + values[:turn], strict=True):
                await shelf.put(key, value or b"", NOW + HOUR)
            for kept in saved:
                way = await found(store, kept.value)
                assert way is None or way == kept.session


async def _after(turns: int, work: Awaitable[None]) -> None:
    for _ in range(turns):
        await asyncio.sleep(0.0001)
    await work


async def _everything(shelf: Shelf) -> bytes:
    keys = [key async for key in shelf.keys("")]
    values = await shelf.get(*keys)
    return b"\n".join([*(key.encode() for key in keys), *(value or b"" for value in values)])


class StoreContract(KeepsContract, RenewContract, ShelfContract):
    """What holds for every store."""


class ForgetsDrops:
    """What a store promises besides whose ``forgets`` is true."""

    async def test_it_says_so(self, store: Store) -> None:
        assert store.forgets

    async def test_a_dropped_session_is_gone(self, store: Store, shelf: Shelf) -> None:
        kept = await store.save(session(), NOW)
        await store.drop(kept.value)
        assert await store.load(kept.value, NOW) is None
        assert await _everything(shelf) == b""

    async def test_a_discarded_session_is_gone(self, store: Store, shelf: Shelf) -> None:
        kept = await store.save(session(), NOW)
        handle = store.handle(kept.value)
        assert handle
        assert handle not in kept.value
        await store.discard(handle)
        assert await store.load(kept.value, NOW) is None
        assert await _everything(shelf) == b""

    async def test_dropping_one_leaves_the_others(self, store: Store) -> None:
        first, second = [await store.save(session(id=name), NOW) for name in "ab"]
        await store.drop(first.value)
        assert await store.load(second.value, NOW) == second

    async def test_what_was_dropped_is_not_renewed(self, store: Store, shelf: Shelf) -> None:
        """authentik CVE-2025-29928: a deleted session stayed valid."""
        kept = await store.save(session(refresh_at=NOW), NOW)
        await store.drop(kept.value)
        for newer in (
            dataclasses.replace(kept.session, seen_at=NOW),
            refreshed(kept.session),
            refreshed(kept.session, id="new"),
        ):
            assert await store.renew(kept, newer, NOW) is None
        assert await _everything(shelf) == b""

    async def test_dropping_an_old_value_ends_the_session_that_followed(
        self, store: Store, shelf: Shelf
    ) -> None:
        """A sign-out from a tab whose cookie is older."""
        kept = await store.save(session(id="old", refresh_at=NOW), NOW)
        renewed = await store.renew(kept, refreshed(kept.session, id="new"), NOW)
        assert renewed is not None
        await store.drop(kept.value)
        assert await store.load(renewed.value, NOW) is None
        assert await store.load(kept.value, NOW) is None
        assert await _everything(shelf) == b""

    async def test_nothing_survives_a_sign_out_during_a_renewal(
        self, store: Store, shelf: Shelf
    ) -> None:
        for turn in range(20):
            kept = await store.save(session(id=f"old{turn}", refresh_at=NOW), NOW)
            newer = refreshed(kept.session, id=f"new{turn}")
            renewed, _ = await asyncio.gather(
                store.renew(kept, newer, NOW), _after(turn, store.drop(kept.value))
            )
            assert await store.load(kept.value, NOW) is None
            if renewed is not None:
                assert await store.load(renewed.value, NOW) is None
        assert await _everything(shelf) == b""
