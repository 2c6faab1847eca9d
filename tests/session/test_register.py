"""The register: sessions begin, are seen and found, and end whatever happens on the way."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import StoreError
from proxy.session.cards import Card, session_tag
from proxy.session.endings import SKEW, Ending
from tests.session.register_stage import IDLE, LIFETIME, Stage, on, set_up
from tests.session.samples import HOUR, ISSUER, NOW, person, session
from tests.session.shelf_contract import listening


@pytest.fixture(params=[True, False], ids=["forgetting store", "carrying store"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return set_up(request.param)


class TestBeginning:
    async def test_a_session_that_begins_is_found(self, stage: Stage) -> None:
        begun = await stage.sign_in("a")
        card = await stage.register.find(session_tag(begun.id), NOW)
        value = stage.values["a"].value
        assert card == Card.of(begun, stage.store.handle(value), "browser a", "192.0.2.7")
        assert await stage.register.of_person(ISSUER, "704e", NOW) == [card]
        assert [each async for each in stage.register.everybody(NOW)] == [card]
        assert await stage.lives("a")

    @pytest.mark.parametrize("most", [1, 2, 3])
    async def test_of_too_many_the_oldest_end(self, most: int) -> None:
        stage = set_up(True, most)
        for name in "abcd":
            stage.clock.advance(1)
            await stage.sign_in(name)
        assert await stage.known() == "abcd"[-most:]
        assert await stage.living() == "abcd"[-most:]

    async def test_a_limit_of_none(self) -> None:
        stage = set_up(True, 0)
        for name in "abcdefgh":
            await stage.sign_in(name)
        assert await stage.living() == "abcdefgh"

    async def test_the_limit_is_for_each_person(self) -> None:
        stage = set_up(True, 1)
        await stage.sign_in("a")
        await stage.sign_in("b", identity=person(subject="9"))
        await stage.sign_in("c", identity=person(issuer="https://b.example.org"))
        assert await stage.living() == "abc"

    async def test_the_new_one_never_ends(self) -> None:
        """Even where its clock is behind that of a replica."""
        stage = set_up(True, 1)
        await stage.sign_in("b", created_at=NOW + 5)
        await stage.sign_in("a", created_at=NOW)
        assert "a" in await stage.living()

    async def test_at_the_same_moment_the_limit_holds_too(self) -> None:
        stage = set_up(True, 2)
        for name in "dbca":
            await stage.sign_in(name)
        living = await stage.living()
        assert len(living) == 2
        assert "a" in living

    async def test_two_that_begin_at_once_do_not_end_one_another(self) -> None:
        stage = set_up(True, 1)
        await asyncio.gather(
            *(stage.sign_in(name, created_at=NOW + at) for at, name in enumerate("abcde"))
        )
        assert await stage.living() == "e"

    async def test_sessions_that_nobody_uses_do_not_count(self) -> None:
        stage = set_up(True, 2)
        await stage.sign_in("a")
        await stage.sign_in("b")
        stage.clock.advance(IDLE)
        await stage.sign_in("c")
        assert await stage.known() == "c"

    async def test_a_session_whose_person_was_ended_meanwhile_does_not_begin(
        self, stage: Stage
    ) -> None:
        await stage.register.end_person(ISSUER, "704e", NOW)
        late = session(id="a" * 43, created_at=NOW - 1)
        kept = await stage.store.save(late, NOW)
        assert await stage.register.begin(late, kept.value, "", "", NOW) is False
        stage.values["a"] = kept
        assert not await stage.lives("a")
        assert stage.left() == {"ended"}


class TestSeeing:
    async def test_the_card_follows(self, stage: Stage) -> None:
        begun = await stage.sign_in("a")
        stage.clock.advance(60)
        newer = dataclasses.replace(begun, seen_at=NOW + 60, expires_at=NOW + HOUR)
        assert await stage.register.seen(newer, "another value", NOW + 60) is True
        [card] = await stage.register.of_person(ISSUER, "704e", NOW + 60)
        handle = stage.store.handle("another value")
        assert card == Card.of(newer, handle, "browser a", "192.0.2.7")

    async def test_what_was_lost_is_known_again(self, stage: Stage) -> None:
        """A server that was flushed: cookie sessions go on."""
        begun = await stage.sign_in("a")
        await stage.shelf.drop(*stage.shelf.left())
        assert await stage.register.seen(begun, stage.values["a"].value, NOW) is True
        assert await stage.known() == "a"

    @pytest.mark.parametrize("how", ["session", "person", "everybody"])
    async def test_what_has_ended_is_not_brought_back(self, stage: Stage, how: str) -> None:
        begun = await stage.sign_in("a")
        if how == "session":
            await stage.end("a")
        elif how == "person":
            await stage.register.end_person(ISSUER, "704e", NOW)
        else:
            await stage.register.end_everybody(NOW)
        assert await stage.register.seen(begun, stage.values["a"].value, NOW) is False
        assert await stage.known() == ""
        assert stage.left() == {"ended"}

    @pytest.mark.parametrize("turns", range(16))
    async def test_an_end_in_the_middle_is_an_end(self, stage: Stage, turns: int) -> None:
        begun = await stage.sign_in("a")
        newer = dataclasses.replace(begun, seen_at=NOW + 1)
        seeing = asyncio.create_task(stage.register.seen(newer, stage.values["a"].value, NOW))
        for _ in range(turns):
            await asyncio.sleep(0)
        await stage.end("a")
        await seeing
        assert not await stage.lives("a")
        assert await stage.known() == ""
        assert stage.left() == {"ended"}


async def end_by_value(stage: Stage) -> None:
    await stage.end("a")


async def end_by_card(stage: Stage) -> None:
    card = Card.of(stage.values["a"].session, stage.store.handle(stage.values["a"].value))
    await stage.register.end_card(card, stage.clock())


async def end_by_person(stage: Stage) -> object:
    return await stage.register.end_person(ISSUER, "704e", stage.clock())


async def end_by_provider(stage: Stage) -> object:
    return await stage.register.end_provider_session(ISSUER, "op-session", stage.clock(), "704e")


async def end_all(stage: Stage) -> object:
    return await stage.register.end_everybody(stage.clock())


WAYS = [end_by_value, end_by_card, end_by_person, end_by_provider, end_all]
Way = Callable[[Stage], Awaitable[object]]


class TestEnding:
    @pytest.mark.parametrize("way", WAYS)
    async def test_it_is_over_and_leaves_only_the_ending(self, stage: Stage, way: Way) -> None:
        await stage.sign_in("a")
        async with listening(stage.shelf) as heard:
            await way(stage)
            [message] = heard
        assert message is not None
        ending = Ending.read(message)
        assert ending is not None
        assert stage.endings.covers(ending, stage.values["a"].session)
        assert not await stage.lives("a")
        assert await stage.known() == ""
        assert stage.left() == {"ended"}
        stage.clock.advance(LIFETIME + SKEW)
        assert stage.shelf.left() == []

    @pytest.mark.parametrize("way", WAYS)
    async def test_cut_short_anywhere_it_is_over_or_untouched(self, stage: Stage, way: Way) -> None:
        """After every number of calls: a session that nobody ended for sure is whole, and any
        other one never lives again; ending once more clears up."""
        for calls in range(40):
            one = set_up(stage.store.forgets)
            await one.sign_in("a")
            async with listening(one.shelf) as heard:
                one.shelf.calls_left = calls
                try:
                    await way(one)
                    finished = True
                except StoreError:
                    finished = False
                told = any(message is not None for message in heard)
            one.shelf.down = False
            if await one.lives("a"):
                assert not told
                assert await one.known() == "a"
            else:
                await self.check_it_stays_over(one)
            one.clock.now = NOW
            if finished:
                return
            await way(one)
            assert not await one.lives("a")
            # A name in a set goes when it is met, and at the session's end at the latest.
            assert one.left() <= {"ended", "person", "provider"}
            assert await one.known() == ""
            assert await one.cards.of_provider_session(ISSUER, "op-session", NOW) == []
            assert one.left() == {"ended"}
        pytest.fail("never finished")

    async def check_it_stays_over(self, stage: Stage) -> None:
        for later in (1, 601, HOUR, LIFETIME - 1):
            stage.clock.now = NOW + later
            assert not await stage.lives("a")

    async def test_one_ends_and_the_others_stay(self, stage: Stage) -> None:
        for name in "abc":
            stage.clock.advance(1)
            await stage.sign_in(name)
        await stage.end("b")
        assert await stage.living() == "ac"
        assert await stage.known() == "ac"

    async def test_a_store_that_forgets_needs_no_long_memory_after_a_sign_out(self) -> None:
        stage = set_up(True)
        await stage.sign_in("a")
        await stage.end("a")
        stage.clock.advance(600)
        assert stage.shelf.left() == []
        assert not await stage.lives("a")

    async def test_a_newer_handle_than_the_one_in_hand_goes_too(self) -> None:
        stage = set_up(True)
        begun = await stage.sign_in("a")
        newer = await stage.store.save(dataclasses.replace(begun, id="z" * 43), NOW)
        await stage.register.seen(begun, newer.value, NOW)
        await stage.end("a")
        assert await stage.store.load(newer.value, NOW) is None
        assert await stage.store.load(stage.values["a"].value, NOW) is None

    async def test_a_person_ends_with_what_has_no_card(self, stage: Stage) -> None:
        for name in "ab":
            await stage.sign_in(name)
        [card, _] = await stage.register.of_person(ISSUER, "704e", NOW)
        await stage.cards.drop(card)
        assert await stage.register.end_person(ISSUER, "704e", NOW) == 1
        assert await stage.living() == ""

    async def test_one_of_a_person_is_spared(self, stage: Stage) -> None:
        for name in "abc":
            await stage.sign_in(name)
        await stage.sign_in("d", identity=person(subject="9"))
        count = await stage.register.end_person(ISSUER, "704e", NOW, spared="b" * 43)
        assert count == 2
        assert await stage.living() == "bd"
        assert await stage.known() == "b"

    async def test_who_is_ended_may_sign_in_again(self, stage: Stage) -> None:
        await stage.sign_in("a")
        await stage.register.end_person(ISSUER, "704e", NOW)
        stage.clock.advance(0.001)
        await stage.sign_in("b")
        assert await stage.living() == "b"

    async def test_what_is_known_ends_even_by_a_clock_that_is_behind(self, stage: Stage) -> None:
        await stage.sign_in("a", created_at=NOW + 5)
        assert await stage.register.end_person(ISSUER, "704e", NOW) == 1
        assert await stage.living() == ""
        assert await stage.known() == ""

    async def test_everybody(self, stage: Stage) -> None:
        for number, name in enumerate("abcd"):
            await stage.sign_in(name, identity=person(subject=f"{number}"))
        assert await stage.register.end_everybody(NOW) == 4
        assert await stage.living() == ""
        assert stage.left() == {"ended"}

    async def test_nobody_is_no_error(self, stage: Stage) -> None:
        assert await stage.register.end_person(ISSUER, "none", NOW) == 0
        assert await stage.register.end_everybody(NOW) == 0

    async def test_a_shelf_that_is_down_ends_nothing_silently(self, stage: Stage) -> None:
        await stage.sign_in("a")
        stage.shelf.down = True
        for way in WAYS:
            with pytest.raises(StoreError):
                await way(stage)


class TestProviderSession:
    """OpenID Connect Back-Channel Logout 1.0 section 2.7; peers.md class 40."""

    @pytest.mark.parametrize(
        ("sid", "subject", "left"),
        [
            pytest.param("op-1", "", "bd", id="sid only: whoever's it is"),
            pytest.param("op-1", "704e", "bcd", id="sid and its sub"),
            pytest.param("op-1", "nobody", "abcd", id="sid with another's sub ends nothing"),
            pytest.param("op-2", "9", "abcd", id="sid of one, sub of another"),
            pytest.param("op-9", "", "abcd", id="unknown sid"),
            pytest.param("", "", "abcd", id="no sid"),
            pytest.param("", "704e", "abcd", id="no sid is not everything of the sub"),
        ],
    )
    async def test_what_a_logout_token_ends(
        self, stage: Stage, sid: str, subject: str, left: str
    ) -> None:
        other = person(subject="9")
        await stage.sign_in("a", provider_sid="op-1")
        await stage.sign_in("b", provider_sid="op-2")
        await stage.sign_in("c", provider_sid="op-1", identity=other)
        await stage.sign_in("d", provider_sid="")
        ended = await stage.register.end_provider_session(ISSUER, sid, NOW, subject)
        assert await stage.living() == left
        assert ended == 4 - len(left)

    async def test_sub_only_ends_all_of_them(self, stage: Stage) -> None:
        await stage.sign_in("a", provider_sid="op-1")
        await stage.sign_in("b", provider_sid="")
        assert await stage.register.end_person(ISSUER, "704e", NOW) == 2
        assert await stage.living() == ""

    async def test_another_issuer_has_no_say(self, stage: Stage) -> None:
        await stage.sign_in("a")
        await stage.register.end_provider_session("https://b.example", "op-session", NOW)
        await stage.register.end_person("https://b.example", "704e", NOW)
        assert await stage.living() == "a"

    async def test_what_has_no_card_ends_as_well(self, stage: Stage) -> None:
        for name, subject in (("a", "704e"), ("b", "9")):
            await stage.sign_in(name, identity=person(subject=subject))
            [card] = await stage.register.of_person(ISSUER, subject, NOW)
            await stage.cards.drop(card)
        assert await stage.register.end_provider_session(ISSUER, "op-session", NOW, "9") == 0
        assert await stage.living() == "a"
        assert await stage.register.end_provider_session(ISSUER, "op-session", NOW) == 0
        assert await stage.living() == ""

    async def test_an_old_session_that_ends_leaves_the_newest_within_reach(
        self, stage: Stage
    ) -> None:
        await stage.sign_in("a")
        stage.clock.advance(1)
        await stage.sign_in("b")
        await stage.end("a")
        assert await stage.register.end_person(ISSUER, "704e", stage.clock()) == 1
        assert await stage.living() == ""


class TestClaims:
    async def test_the_first_one_only(self, stage: Stage) -> None:
        claims = [stage.register.claim("attempt", "key", NOW + 60) for _ in range(20)]
        assert sum(await asyncio.gather(*claims)) == 1

    async def test_until_its_time(self, stage: Stage) -> None:
        assert not await stage.register.claimed("jti", "key")
        assert await stage.register.claim("jti", "key", NOW + 60)
        assert await stage.register.claimed("jti", "key")
        stage.clock.advance(60 + SKEW)
        assert stage.shelf.left() == []
        assert await stage.register.claim("jti", "key", NOW + 120)

    @pytest.mark.parametrize("key", ["", "é", "\ud800", "a" * 10_000, "a b\r\n*", "../x:y"])
    async def test_any_text_can_be_claimed(self, stage: Stage, key: str) -> None:
        assert await stage.register.claim("jti", key, NOW + 60)
        assert not await stage.register.claim("jti", key, NOW + 60)
        assert await stage.register.claim("attempt", key, NOW + 60)
        assert all(name.isascii() and len(name) < 100 for name in stage.shelf.left())


@pytest.mark.parametrize("forgets", [True, False])
async def test_keys_rotate_and_everything_is_still_found(forgets: bool) -> None:
    old, new = b"o" * 32, b"n" * 32
    before = set_up(forgets, secrets=(old,))
    await before.sign_in("a")
    await before.sign_in("b", provider_sid="op-2")
    await before.sign_in("c", identity=person(subject="9"))
    await before.register.end_person(ISSUER, "9", NOW)
    after = on(before.shelf, before.clock, forgets, 0, (new, old))
    after.values = before.values
    assert await after.known() == "ab"
    assert await after.living() == "ab"
    assert await after.register.end_provider_session(ISSUER, "op-2", NOW, "704e") == 1
    assert await after.living() == "a"
    after.clock.advance(1)
    await after.sign_in("d")
    assert await after.register.end_person(ISSUER, "704e", NOW + 1) == 2
    assert await after.living() == ""
    assert after.left() == {"ended"}
