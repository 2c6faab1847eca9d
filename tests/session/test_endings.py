"""Endings: what they cover, how long they are kept, who is told, and that none undoes another."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.pseudonym import Pseudonyms
from proxy.errors import StoreError
from proxy.model import Session
from proxy.session.endings import SKEW, Ending, Endings, Scope
from proxy.session.shelf import Only
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, ISSUER, NOW, person, session
from tests.session.shelf_contract import listening, until

OLD, NEW = b"o" * 32, b"n" * 32
LIFETIME = 12 * HOUR


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


@pytest.fixture
def endings(shelf: MemoryShelf) -> Endings:
    return endings_on(shelf)


def endings_on(shelf: MemoryShelf, *secrets: bytes) -> Endings:
    return Endings(shelf, Pseudonyms(secrets or (NEW,)), LIFETIME)


async def end(endings: Endings, scope: str) -> Ending:
    """An ending of each scope that covers ``session()``."""
    match scope:
        case "session":
            return await endings.session("s" * 43, NOW)
        case "person":
            return await endings.person(ISSUER, "704e", NOW)
        case "provider":
            return await endings.provider_session(ISSUER, "op-session", NOW)
        case "provider and person":
            return await endings.provider_session(ISSUER, "op-session", NOW, "704e")
    return await endings.everybody(NOW)


SCOPES = ["session", "person", "provider", "provider and person", "everybody"]

OTHERS: dict[str, Session] = {
    "itself": session(),
    "another of this person": session(id="t" * 43, provider_sid="op-2"),
    "without the provider's id": session(id="t" * 43, provider_sid=""),
    "another in the provider's session": session(id="t" * 43),
    "another person in it": session(id="t" * 43, identity=person(subject="9")),
    "another person": session(id="t" * 43, identity=person(subject="9"), provider_sid="op-2"),
    "the same names elsewhere": session(id="t" * 43, identity=person(issuer="https://b.example")),
    "begun later": session(id="t" * 43, created_at=NOW + 1),
    "begun at that moment": session(id="t" * 43, created_at=NOW),
}

COVERED = {
    "session": {"itself"},
    "person": {
        "itself",
        "another of this person",
        "without the provider's id",
        "another in the provider's session",
        "begun at that moment",
    },
    "provider": {
        "itself",
        "another in the provider's session",
        "another person in it",
        "begun at that moment",
    },
    "provider and person": {
        "itself",
        "another in the provider's session",
        "begun at that moment",
    },
    "everybody": set(OTHERS) - {"begun later"},
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("scope", SCOPES)
async def test_what_an_ending_covers(endings: Endings, scope: str, name: str) -> None:
    ending = await end(endings, scope)
    assert endings.covers(ending, OTHERS[name]) is (name in COVERED[scope])
    assert await endings.is_over(OTHERS[name], NOW + 2) is (name in COVERED[scope])
    if name in COVERED[scope]:
        assert ending.record in endings.keys(OTHERS[name])


async def test_nothing_is_over_before(endings: Endings) -> None:
    assert not await endings.is_over(session(), NOW)


async def test_one_question_is_enough(shelf: MemoryShelf, endings: Endings) -> None:
    await endings.is_over(session(), NOW)
    assert shelf.asked == 1


@pytest.mark.parametrize("scope", SCOPES)
async def test_an_ending_is_kept_until_nothing_that_it_covers_can_live(
    shelf: MemoryShelf, clock: FakeClock, endings: Endings, scope: str
) -> None:
    """However far a refresh in other hands has moved the end, and by the slowest clock."""
    await end(endings, scope)
    known = session(created_at=NOW, expires_at=NOW + LIFETIME)
    clock.advance(LIFETIME + SKEW - 0.1)
    assert await endings.is_over(known, clock())
    clock.advance(0.1)
    assert shelf.left() == []


@pytest.mark.parametrize("scope", SCOPES)
async def test_everybody_is_told(shelf: MemoryShelf, endings: Endings, scope: str) -> None:
    async with listening(shelf) as heard:
        ending = await end(endings, scope)
        [message] = heard
    assert message is not None
    assert Ending.read(message) == ending


class Hesitant(MemoryShelf):
    """Tells nobody until ``go_on``."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish(self, message: bytes) -> None:
        self.reached.set()
        await self.go_on.wait()
        await super().publish(message)


@pytest.mark.parametrize("scope", SCOPES)
async def test_whoever_leaves_between_keeping_and_telling_cuts_nothing_off(
    clock: FakeClock, scope: str
) -> None:
    """A provider that hung up left an ending that no process at work had heard of."""
    shelf = Hesitant(clock)
    endings = endings_on(shelf)
    async with listening(shelf) as heard:
        caller = asyncio.create_task(end(endings, scope))
        await shelf.reached.wait()
        caller.cancel()
        await asyncio.wait([caller])
        assert caller.cancelled()
        assert await endings.is_over(session(created_at=NOW), NOW)
        assert heard == []
        shelf.go_on.set()
        await until(lambda: len(heard) == 1)
    [message] = heard
    assert message is not None
    ending = Ending.read(message)
    assert ending is not None
    assert endings.covers(ending, session(created_at=NOW))


@pytest.mark.parametrize("calls", [0, 1, 2])
async def test_it_is_kept_before_anybody_is_told(
    shelf: MemoryShelf, endings: Endings, calls: int
) -> None:
    async with listening(shelf) as heard:
        shelf.calls_left = calls
        with pytest.raises(StoreError):
            await endings.person(ISSUER, "704e", NOW)
        assert heard == []
    shelf.down = False
    assert await endings.is_over(session(), NOW) is (calls == 2)


async def test_ending_twice_is_fine(shelf: MemoryShelf, endings: Endings) -> None:
    for scope in SCOPES:
        await end(endings, scope)
        kept = shelf.dump()
        await end(endings, scope)
        assert shelf.dump() == kept


async def test_it_is_forgotten_early_where_nothing_is_left_to_cover(
    shelf: MemoryShelf, clock: FakeClock, endings: Endings
) -> None:
    ending = await endings.session("s" * 43, NOW + HOUR)
    await endings.forget(ending, NOW + 600)
    clock.advance(599)
    assert await endings.is_over(session(), clock())
    clock.advance(1)
    assert shelf.left() == []


async def test_to_forget_is_never_to_remember_longer(
    shelf: MemoryShelf, clock: FakeClock, endings: Endings
) -> None:
    ending = await endings.session("s" * 43, NOW + 5 - LIFETIME - SKEW)
    await endings.forget(ending, NOW + 600)
    clock.advance(5)
    await endings.forget(dataclasses.replace(ending, until=NOW + HOUR), NOW + 600)
    assert shelf.left() == []


class TestSparing:
    async def test_one_session_is_left(self, endings: Endings) -> None:
        ending = await endings.person(ISSUER, "704e", NOW, spared="s" * 43)
        assert not await endings.is_over(session(), NOW)
        assert not endings.covers(ending, session())
        assert await endings.is_over(session(id="t" * 43), NOW)
        assert "sss" not in repr(ending)

    async def test_what_was_over_is_not_brought_back(self, endings: Endings) -> None:
        """Ended everywhere, while one of the sessions ends the others."""
        await endings.person(ISSUER, "704e", NOW)
        await endings.person(ISSUER, "704e", NOW + 1, spared="s" * 43)
        assert await endings.is_over(session(), NOW + 1)
        assert not await endings.is_over(session(created_at=NOW + 0.5), NOW + 1)

    async def test_two_that_end_each_other_both_end(self, endings: Endings) -> None:
        await endings.person(ISSUER, "704e", NOW, spared="s" * 43)
        await endings.person(ISSUER, "704e", NOW, spared="t" * 43)
        assert await endings.is_over(session(), NOW)
        assert await endings.is_over(session(id="t" * 43), NOW)

    async def test_a_clock_that_is_behind_undoes_nothing(self, endings: Endings) -> None:
        await endings.person(ISSUER, "704e", NOW)
        await endings.person(ISSUER, "704e", NOW - 50)
        assert await endings.is_over(session(created_at=NOW - 5), NOW)

    async def test_both_of_two_at_once_are_kept(self, shelf: MemoryShelf, endings: Endings) -> None:
        await asyncio.gather(
            *(endings.person(ISSUER, "704e", NOW, spared=f"{n}" * 43) for n in range(5))
        )
        for n in range(5):
            assert await endings.is_over(session(id=f"{n}" * 43), NOW)

    @given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["", "a", "b", "c"])), max_size=8))
    async def test_any_endings_cover_together_what_each_covers(
        self, made: list[tuple[int, str]]
    ) -> None:
        shelf = MemoryShelf(FakeClock(NOW))
        endings = endings_on(shelf)
        for before, spared in made:
            await endings.person(ISSUER, "704e", NOW + before, spared)
        for name, age in itertools.product("abcd", range(5)):
            expected = any(NOW + age <= NOW + b and name != s for b, s in made)
            known = session(id=name, created_at=NOW + age)
            assert await endings.is_over(known, NOW + 5) is expected
        assert len(shelf.dump()) < 500


class TestKeys:
    async def test_after_a_rotation_endings_are_found(self, shelf: MemoryShelf) -> None:
        before, after = endings_on(shelf, OLD), endings_on(shelf, NEW, OLD)
        await before.person(ISSUER, "704e", NOW)
        await before.provider_session(ISSUER, "op-2", NOW)
        assert await after.is_over(session(), NOW)
        other = session(identity=person(subject="9"), provider_sid="op-2")
        assert await after.is_over(other, NOW)
        ending = await after.person(ISSUER, "9", NOW)
        assert after.covers(ending, other)

    async def test_a_dump_names_nobody(self, shelf: MemoryShelf, endings: Endings) -> None:
        await endings.person(ISSUER, "704e", NOW)
        await endings.provider_session(ISSUER, "op-session", NOW)
        for word in (b"704e", b"op-session", ISSUER.encode()):
            assert word not in shelf.dump()


GARBAGE: list[Any] = [
    b"",
    b"\xff",
    b"null",
    b"[]",
    b"{}",
    b'{"v":1}',
    b'{"v":2,"ended":[["session","s",1,2,""]]}',
    b'{"v":1,"ended":{}}',
    b'{"v":1,"ended":[]}',
    b'{"v":1,"ended":[["session","s",1,2]]}',
    b'{"v":1,"ended":[["nobody","s",1,2,""]]}',
    b'{"v":1,"ended":[["session",null,1,2,""]]}',
    b'{"v":1,"ended":[[["session"],"s",1,2,""]]}',
    b'{"v":1,"ended":[["session","s",true,2,""]]}',
    b'{"v":1,"ended":[["session","s","1",2,""]]}',
    b'{"v":1,"ended":[["session","s",1e999,2,""]]}',
    b'{"v":1,"ended":[["session","s",1' + b"0" * 400 + b',2,""]]}',
    b'{"v":1,"ended":[["session","s",NaN,2,""]]}',
    b"[" * 20_000,
    b'{"v":1,"ended":[["session","' + b"s" * 20_000 + b'",1,2,""]]}',
]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_an_ending_that_cannot_be_read_is_one_all_the_same(
    shelf: MemoryShelf, endings: Endings, garbage: bytes
) -> None:
    """Unparsable means refused: somebody wanted something to be over."""
    assert Ending.read(garbage) is None
    for key in endings.keys(session()):
        await shelf.put(key, garbage, NOW + HOUR)
        assert await endings.is_over(session(), NOW)
        await shelf.drop(key)
    assert not await endings.is_over(session(), NOW)
    await endings.person(ISSUER, "704e", NOW)
    assert await endings.is_over(session(), NOW)


async def test_an_ending_that_lies_elsewhere_covers_what_it_says(
    shelf: MemoryShelf, endings: Endings
) -> None:
    other = await endings.person(ISSUER, "9", NOW)
    for key in endings.keys(session()):
        await shelf.put(key, other.message(), NOW + HOUR)
    assert not await endings.is_over(session(), NOW)


async def test_where_something_else_lies_the_ending_takes_its_place(
    shelf: MemoryShelf, endings: Endings
) -> None:
    [_, _, key] = endings.keys(session(provider_sid=""))
    await shelf.add(key, "a set", 1, NOW + HOUR)
    assert await shelf.put(key, b"", NOW + HOUR, Only.ABSENT) is False
    await endings.person(ISSUER, "704e", NOW)
    assert await endings.is_over(session(), NOW)


async def test_a_shelf_that_is_down_is_not_a_session_that_lives(
    shelf: MemoryShelf, endings: Endings
) -> None:
    shelf.down = True
    with pytest.raises(StoreError):
        await endings.is_over(session(), NOW)


@given(
    st.builds(
        Ending,
        st.sampled_from(Scope),
        st.text(max_size=80),
        st.floats(0, 1e11),
        st.floats(0, 1e11) | st.integers(0, 10**11),
        st.text(max_size=80),
    )
)
def test_a_message_is_read_as_it_was(ending: Ending) -> None:
    assert Ending.read(ending.message()) == ending


async def test_a_token_is_over_until_it_would_have_ended(
    shelf: MemoryShelf, clock: FakeClock, endings: Endings
) -> None:
    """However long that is: the lifetime of sessions has no say."""
    far = NOW + 90 * 24 * HOUR
    stands_for = session(id="token:tok_1", created_at=float("inf"), expires_at=far)
    other = session(id="token:tok_2", created_at=float("inf"), expires_at=far)
    async with listening(shelf) as heard:
        ending = await endings.token("token:tok_1", far)
        await until(lambda: ending.message() in heard)
    assert endings.covers(ending, stands_for)
    assert await endings.is_over(stands_for, far - 1)
    assert not await endings.is_over(other, NOW)
    # a person's ending is about sign-ins, of which a token is none
    await endings.person(ISSUER, "704e", NOW)
    assert not await endings.is_over(other, NOW)
    clock.advance(far + SKEW - NOW)
    assert shelf.left() == []
