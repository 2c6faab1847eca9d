"""Cards: sealed, found by person and by the provider's session, and gone without a trace."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.model import Session
from proxy.session.cards import Card, Cards, session_tag
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, ISSUER, NOW, SESSIONS, person, session

OLD, NEW = b"o" * 32, b"n" * 32


def cards_on(shelf: MemoryShelf, *secrets: bytes, idle: float = 0.0) -> Cards:
    keys = secrets or (NEW,)
    return Cards(shelf, Sealer(keys, "session-card"), Pseudonyms(keys), idle)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


@pytest.fixture
def cards(shelf: MemoryShelf) -> Cards:
    return cards_on(shelf)


def card(name: str = "s", handle: str = "HANDLE", **facts: Any) -> Card:
    return Card.of(session(id=name * 43, **facts), handle, "Mozilla/5.0 (X11)", "192.0.2.7")


async def all_of(cards: Cards, now: float = NOW) -> set[Card]:
    return {found async for found in cards.all(now)}


def test_a_card_says_whose_session_it_is() -> None:
    made = Card.of(session(), "HANDLE", "Mozilla/5.0", "192.0.2.7")
    assert made == Card(
        sid=session_tag("s" * 43),
        session_id="s" * 43,
        handle="HANDLE",
        issuer=ISSUER,
        subject="704e",
        user="704e",
        email="jean@interieur.gouv.fr",
        provider_sid="op-session",
        created_at=NOW - 60,
        expires_at=NOW + HOUR,
        seen_at=NOW - 60,
        browser="Mozilla/5.0",
        address="192.0.2.7",
    )


def test_what_ends_a_session_is_not_shown() -> None:
    for text in (repr(card()), repr(card().shown())):
        assert "HANDLE" not in text
        assert "sssss" not in text


def test_what_administrators_are_shown() -> None:
    assert card().shown() == {
        "sid": session_tag("s" * 43),
        "iss": ISSUER,
        "sub": "704e",
        "user": "704e",
        "email": "jean@interieur.gouv.fr",
        "provider_sid": "op-session",
        "browser": "Mozilla/5.0 (X11)",
        "address": "192.0.2.7",
        "started_at": NOW - 60,
        "last_used_at": NOW - 60,
        "expires_at": NOW + HOUR,
    }


@pytest.mark.parametrize(
    ("browser", "kept"),
    [
        pytest.param("x" * 201, "x" * 200, id="long"),
        pytest.param("a\x1b[31mb\r\nc\0", "a[31mbc", id="control characters"),
        pytest.param("a\u202eb\ud800", "ab", id="what turns text round, what is no text"),
        pytest.param("Navigateur é", "Navigateur é", id="letters"),
        pytest.param("", "", id="none"),
    ],
)
def test_a_browser_is_cut_to_what_can_be_shown(browser: str, kept: str) -> None:
    assert Card.of(session(), "", browser).browser == kept


def test_the_public_name_tells_nothing_and_stays_what_it_was() -> None:
    assert session_tag("s" * 43) == "a5ef87d8c70a846ba98a5d0dc630c436"


async def test_what_was_put_is_found_everywhere(cards: Cards) -> None:
    mine = card()
    await cards.put(mine, NOW)
    assert await cards.get(mine.sid, NOW) == mine
    assert await cards.of_person(ISSUER, "704e", NOW) == [mine]
    assert await cards.of_provider_session(ISSUER, "op-session", NOW) == [mine]
    assert await all_of(cards) == {mine}


@pytest.mark.parametrize("sid", ["", "x", "0" * 32, "0" * 33, "../card", "é" * 32, "\ud800", "*"])
async def test_no_card_under_another_name(cards: Cards, sid: str) -> None:
    await cards.put(card(), NOW)
    assert await cards.get(sid, NOW) is None


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        pytest.param(ISSUER, "704f", id="another subject"),
        pytest.param("https://evil.example.org", "704e", id="the same subject elsewhere"),
        pytest.param(ISSUER + "7", "04e", id="the border moved"),
        pytest.param("", "", id="nobody"),
    ],
)
async def test_others_have_no_part_in_it(cards: Cards, issuer: str, subject: str) -> None:
    await cards.put(card(), NOW)
    assert await cards.of_person(issuer, subject, NOW) == []


async def test_the_oldest_comes_first(cards: Cards) -> None:
    made = [card(name, created_at=NOW - age) for name, age in (("a", 5), ("b", 50), ("c", 20))]
    for each in made:
        await cards.put(each, NOW)
    assert await cards.of_person(ISSUER, "704e", NOW) == [made[1], made[2], made[0]]
    assert await cards.of_provider_session(ISSUER, "op-session", NOW) == [made[1], made[2], made[0]]


async def test_newer_facts_replace_the_older(cards: Cards) -> None:
    await cards.put(card(), NOW)
    newer = card(seen_at=NOW + 5, expires_at=NOW + 2 * HOUR)
    await cards.put(newer, NOW + 5)
    assert await cards.of_person(ISSUER, "704e", NOW + 5) == [newer]


async def test_nothing_is_left_after_the_last_drop(shelf: MemoryShelf, cards: Cards) -> None:
    first, second = card("a"), card("b", provider_sid="")
    await cards.put(first, NOW)
    await cards.put(second, NOW)
    await cards.drop(first)
    assert await cards.of_person(ISSUER, "704e", NOW) == [second]
    assert await cards.of_provider_session(ISSUER, "op-session", NOW) == []
    await cards.drop(second)
    await cards.drop(second)
    assert shelf.left() == []


async def test_an_old_session_that_goes_leaves_the_newest_in_its_place(cards: Cards) -> None:
    """peers.md class 40: sub-only logout missed the newest once the oldest had been killed."""
    old, new = card("a", created_at=NOW - 50), card("b", created_at=NOW - 5)
    for each in (old, new):
        await cards.put(each, NOW)
    await cards.drop(old)
    assert await cards.of_person(ISSUER, "704e", NOW) == [new]
    assert await cards.of_provider_session(ISSUER, "op-session", NOW) == [new]


@pytest.mark.parametrize(
    ("idle", "facts", "end"),
    [
        pytest.param(0, {"expires_at": NOW + 10, "seen_at": NOW - 9}, 10, id="the absolute end"),
        pytest.param(20, {"expires_at": NOW + 10, "seen_at": NOW}, 10, id="which comes first"),
        pytest.param(20, {"expires_at": NOW + 90, "seen_at": NOW - 5}, 15, id="the idle end"),
    ],
)
async def test_a_card_goes_with_its_session(
    shelf: MemoryShelf, clock: FakeClock, idle: float, facts: dict[str, Any], end: float
) -> None:
    cards = cards_on(shelf, idle=idle)
    mine = card(**facts)
    await cards.put(mine, NOW)
    clock.advance(end - 0.1)
    assert await cards.of_person(ISSUER, "704e", clock()) == [mine]
    clock.advance(0.1)
    assert await cards.get(mine.sid, clock()) is None
    assert await all_of(cards, clock()) == set()
    assert await cards.of_person(ISSUER, "704e", clock()) == []
    assert await cards.of_provider_session(ISSUER, "op-session", clock()) == []
    assert shelf.left() == []


async def test_a_dump_of_the_shelf_reveals_nothing(shelf: MemoryShelf, cards: Cards) -> None:
    await cards.put(card(), NOW)
    dump = shelf.dump()
    for word in (ISSUER, "704e", "jean", "interieur", "op-session", "HANDLE", "Mozilla", "192.0.2"):
        assert word.encode() not in dump


async def test_keys_rotate_and_nobody_is_lost(shelf: MemoryShelf) -> None:
    before, between, after = (cards_on(shelf, *keys) for keys in ((OLD,), (NEW, OLD), (NEW,)))
    old, new = card("a", created_at=NOW - 50), card("b", created_at=NOW - 5)
    await before.put(old, NOW)
    await between.put(new, NOW)
    assert await between.of_person(ISSUER, "704e", NOW) == [old, new]
    assert await between.of_provider_session(ISSUER, "op-session", NOW) == [old, new]
    await between.put(old, NOW)  # seen again: sealed and named with the newest key
    assert await after.of_person(ISSUER, "704e", NOW) == [old, new]
    assert await between.of_person(ISSUER, "704e", NOW) == [old, new]
    await between.drop(old)
    await between.drop(new)
    assert shelf.left() == []


async def test_who_lacks_a_key_spoils_nothing(shelf: MemoryShelf) -> None:
    """A replica that does not have the newest secret yet."""
    behind, ahead = cards_on(shelf, OLD), cards_on(shelf, NEW, OLD)
    mine = card()
    await behind.put(mine, NOW)
    await ahead.put(mine, NOW)
    assert await behind.of_person(ISSUER, "704e", NOW) == []
    assert await behind.get(mine.sid, NOW) is None
    assert "person:" + Pseudonyms([OLD]).of("person", ISSUER, "704e")[0] in shelf.left()
    assert await ahead.of_person(ISSUER, "704e", NOW) == [mine]


@pytest.mark.parametrize("garbage", [b"", b"\xff\0", b"{}", b"[]", b"A" * 100, b"\xc3\xa9"])
async def test_garbage_is_no_card(shelf: MemoryShelf, cards: Cards, garbage: bytes) -> None:
    await cards.put(card("a"), NOW)
    await cards.put(card("b"), NOW)
    await shelf.put(f"card:{card('a').sid}", garbage, NOW + HOUR)
    await shelf.put("card:other", garbage, NOW + HOUR)
    assert await cards.get(card("a").sid, NOW) is None
    assert await cards.of_person(ISSUER, "704e", NOW) == [card("b")]
    assert await all_of(cards) == {card("b")}


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b"[]",
        b"[1]",
        b"not json",
        b"[" * 100_000,
        b'[2,"a","a","a","a","a","a","a","a",1.0,1.0,1.0,"a","a"]',
        b'[1,"a","a","a","a","a","a","a","a",true,1.0,1.0,"a","a"]',
        b'[1,"a","a","a","a","a","a","a","a",NaN,1.0,1.0,"a","a"]',
        b'[1,"a","a","a","a","a","a","a","a",1e999,1.0,1.0,"a","a"]',
        b'[1,"a","a","a","a","a","a","a",null,1.0,1.0,1.0,"a","a"]',
        b'[1,"a","a","a","a","a","a","a","a",1.0,1.0,1.0,"a"]',
    ],
)
async def test_what_another_version_sealed_is_no_card(
    shelf: MemoryShelf, cards: Cards, document: bytes
) -> None:
    box = Sealer([NEW], "session-card").seal(document, NOW)
    await shelf.put(f"card:{'0' * 32}", box.encode(), NOW + HOUR)
    assert await cards.get("0" * 32, NOW) is None


async def test_a_box_that_was_moved_is_no_card(shelf: MemoryShelf, cards: Cards) -> None:
    await cards.put(card("a"), NOW)
    await cards.put(card("b"), NOW)
    [box] = await shelf.get(f"card:{card('a').sid}")
    assert box is not None
    await shelf.put(f"card:{card('b').sid}", box, NOW + HOUR)
    assert await cards.get(card("b").sid, NOW) is None


async def test_names_without_a_card_are_taken_out(shelf: MemoryShelf, cards: Cards) -> None:
    await cards.put(card("a"), NOW)
    await cards.put(card("b"), NOW)
    await shelf.drop(f"card:{card('a').sid}")
    [key] = [key for key in shelf.left() if key.startswith("person:")]
    assert len(await shelf.members(key)) == 2
    assert await cards.of_person(ISSUER, "704e", NOW) == [card("b")]
    assert await shelf.members(key) == [card("b").sid]


async def test_all_of_many(cards: Cards) -> None:
    made = set()
    for number in range(250):
        one = Card.of(session(id=f"{number:043}", identity=person(subject=f"{number}")), "")
        made.add(one)
        await cards.put(one, NOW)
    assert await all_of(cards) == made


async def test_a_shelf_that_is_down_is_not_an_empty_one(shelf: MemoryShelf, cards: Cards) -> None:
    await cards.put(card(), NOW)
    shelf.down = True
    with pytest.raises(StoreError):
        await cards.get(card().sid, NOW)
    with pytest.raises(StoreError):
        await cards.of_person(ISSUER, "704e", NOW)
    with pytest.raises(StoreError):
        await all_of(cards)


@given(known=SESSIONS, handle=st.text(max_size=20), browser=st.text(), address=st.text(max_size=9))
async def test_any_card_comes_back_as_it_was(
    known: Session, handle: str, browser: str, address: str
) -> None:
    known = dataclasses.replace(known, expires_at=NOW + HOUR)
    mine = Card.of(known, handle, browser, address)
    cards = cards_on(MemoryShelf(FakeClock(NOW)))
    await cards.put(mine, NOW)
    assert await cards.get(mine.sid, NOW) == mine
