"""Terminals that wait: found by what they know and by what is typed, decided and claimed once."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.errors import StoreError
from proxy.session.device import INTERVAL, LIFE, MOST_TRIES, Begun, State, Terminal, Terminals
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf

SECRETS = [bytes(range(32))]
WHO = ("https://idp.example", "alice")


class Stage:
    """A shelf, and terminals on it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shelf = MemoryShelf(self.clock)
        self.terminals = self.with_secrets(*SECRETS)

    def with_secrets(self, *secrets: bytes) -> Terminals:
        return Terminals(
            self.shelf, Sealer(secrets, "terminal"), Pseudonyms(secrets, "terminal"), os.urandom
        )

    @property
    def now(self) -> float:
        return self.clock()

    async def begin(self) -> Begun:
        return await self.terminals.begin("curl", "203.0.113.7", ("api",), self.now)

    async def found(self, begun: Begun) -> Terminal:
        found = await self.terminals.of_secret(begun.terminal.id, begun.secret, self.now)
        assert found is not None
        return found

    async def decide(self, begun: Begun, state: State = State.ALLOWED) -> bool:
        terminal = await self.found(begun)
        return await self.terminals.decide(terminal, state, *WHO, "198.51.100.1", self.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_terminal_is_found_by_its_secret_and_by_its_code(stage: Stage) -> None:
    begun = await stage.begin()
    found = await stage.found(begun)
    assert (found.program, found.address, found.scopes) == ("curl", "203.0.113.7", ("api",))
    assert (found.state, found.expires_at) == (State.PENDING, stage.now + LIFE)
    assert found == await stage.terminals.of_code(begun.user_code, stage.now)
    assert found == await stage.terminals.get(begun.terminal.id, stage.now)


async def test_secrets_are_long_and_codes_have_34_bits(stage: Stage) -> None:
    begun = [await stage.begin() for _ in range(50)]
    assert len({each.secret for each in begun}) == len({each.user_code for each in begun}) == 50
    letters = set("".join(each.user_code for each in begun)) - {"-"}
    assert letters <= set("BCDFGHJKLMNPQRSTVWXZ")
    assert len(letters) == 20
    assert 20**8 > 2**34
    for each in begun:
        assert re.fullmatch(r"[A-Z]{4}-[A-Z]{4}", each.user_code)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", each.secret)
        assert re.fullmatch(r"login_[0-9a-f]{32}", each.terminal.id)


async def test_a_dump_of_the_shelf_opens_nothing_and_names_nobody(stage: Stage) -> None:
    begun = await stage.begin()
    await stage.decide(begun)
    await stage.terminals.try_code(*WHO, stage.now)
    await stage.terminals.may_begin("203.0.113.7", stage.now)
    await stage.terminals.hasty(begun.terminal, stage.now)
    dump = stage.shelf.dump()
    code = begun.user_code
    for secret in (begun.secret, begun.terminal.secret, code, code.replace("-", ""), *WHO, "203."):
        assert secret.encode() not in dump
    for thing in (begun, begun.terminal):
        assert begun.secret not in repr(thing)
        assert code not in repr(thing)


TYPED: list[tuple[str, Callable[[str], str], bool]] = [
    ("as shown", lambda c: c, True),
    ("in lower case", str.lower, True),
    ("without a dash", lambda c: c.replace("-", ""), True),
    ("with spaces", lambda c: f" {c[:2]} {c[2:]} ", True),
    ("with another dash", lambda c: c.replace("-", "\u2013"), True),
    ("with a letter too few", lambda c: c[:-1], False),
    ("with a letter too many", lambda c: c + "B", False),
    ("with a vowel", lambda c: c[:-1] + "A", False),
    ("with more after 40 characters", lambda c: c + " " * 40 + "B", False),
    ("nothing", lambda c: "", False),
    ("far too much", lambda c: c * 1000, False),
    ("letters that become two", lambda c: c[:-2] + "\u00df", False),
]


async def test_what_people_type(stage: Stage) -> None:
    begun = await stage.begin()
    for name, typed, is_it in TYPED:
        found = await stage.terminals.of_code(typed(begun.user_code), stage.now)
        assert (found is not None) is is_it, name


WRONG: list[tuple[str, Callable[[Begun, Begun], tuple[str, str]]]] = [
    ("another's secret", lambda a, b: (a.terminal.id, b.secret)),
    ("no secret", lambda a, b: (a.terminal.id, "")),
    ("the digest that is kept", lambda a, b: (a.terminal.id, a.terminal.secret)),
    ("nobody's name", lambda a, b: ("login_" + "0" * 32, a.secret)),
    ("no name", lambda a, b: ("", a.secret)),
    ("a name that leads elsewhere", lambda a, b: (f"../{a.terminal.id}", a.secret)),
    ("a name and more", lambda a, b: (f"{a.terminal.id}\n", a.secret)),
    ("odd text", lambda a, b: (a.terminal.id, "\ud800")),
]


async def test_who_does_not_know_the_secret_finds_nothing(stage: Stage) -> None:
    one, two = await stage.begin(), await stage.begin()
    for name, pair in WRONG:
        assert await stage.terminals.of_secret(*pair(one, two), stage.now) is None, name


async def test_what_was_put_under_another_key_is_nothing(stage: Stage) -> None:
    one, two = await stage.begin(), await stage.begin()
    allowed = await stage.found(one)
    await stage.shelf.put(f"terminal:{two.terminal.id}", allowed.kept, stage.now + 100)
    assert await stage.terminals.of_secret(two.terminal.id, one.secret, stage.now) is None
    for box in (b"", b"\xff", b"AAAA", allowed.kept[:-1]):
        await stage.shelf.put(f"terminal:{two.terminal.id}", box, stage.now + 100)
        assert await stage.terminals.get(two.terminal.id, stage.now) is None


async def test_a_new_secret_of_the_installation_leaves_those_who_wait(stage: Stage) -> None:
    begun = await stage.begin()
    newer = stage.with_secrets(b"n" * 32, *SECRETS)
    found = await newer.of_code(begun.user_code, stage.now)
    assert found is not None
    assert await newer.decide(found, State.ALLOWED, *WHO, "", stage.now)
    assert await stage.with_secrets(b"x" * 32).get(begun.terminal.id, stage.now) is None


async def test_one_person_decides_once(stage: Stage) -> None:
    begun = await stage.begin()
    seen = await stage.found(begun)
    assert await stage.decide(begun, State.DENIED)
    assert not await stage.decide(begun)
    # Somebody who looked before the decision comes too late as well.
    assert not await stage.terminals.decide(seen, State.ALLOWED, *WHO, "", stage.now)
    assert (await stage.found(begun)).state is State.DENIED
    assert not await stage.terminals.claim(await stage.found(begun), stage.now)


async def test_of_many_who_claim_at_once_one_does(stage: Stage) -> None:
    begun = await stage.begin()
    assert not await stage.terminals.claim(await stage.found(begun), stage.now)
    await stage.decide(begun)
    terminal = await stage.found(begun)
    assert (terminal.issuer, terminal.subject, terminal.allowed_from) == (*WHO, "198.51.100.1")
    claims = [stage.terminals.claim(terminal, stage.now) for _ in range(20)]
    assert sorted(await asyncio.gather(*claims)) == [False] * 19 + [True]
    used = await stage.found(begun)
    assert used.state is State.USED
    assert not await stage.terminals.claim(used, stage.now)
    assert not await stage.terminals.claim(replace(terminal, kept=used.kept), stage.now + LIFE)


async def test_its_time_is_over_and_it_is_told_so_for_a_while(stage: Stage) -> None:
    begun = await stage.begin()
    stage.clock.advance(LIFE - 1)
    assert (await stage.found(begun)).is_open(stage.now)
    stage.clock.advance(1)
    late = await stage.found(begun)
    assert not late.is_open(stage.now)
    assert not await stage.decide(begun)
    assert await stage.terminals.of_code(begun.user_code, stage.now) == late
    stage.clock.advance(LIFE)
    assert await stage.terminals.get(begun.terminal.id, stage.now) is None
    assert stage.shelf.left() == []


async def test_what_was_allowed_cannot_be_claimed_later(stage: Stage) -> None:
    begun = await stage.begin()
    await stage.decide(begun)
    stage.clock.advance(LIFE)
    assert not await stage.terminals.claim(await stage.found(begun), stage.now)


async def test_who_asks_too_soon_must_wait_longer(stage: Stage) -> None:
    one, two = (await stage.begin()).terminal, (await stage.begin()).terminal

    async def asks(after: float) -> int:
        stage.clock.advance(after)
        return await stage.terminals.hasty(one, stage.now)

    assert await asks(0) == 0
    assert await asks(INTERVAL) == 0
    assert await asks(INTERVAL - 0.4) == 0  # networks are not punctual
    assert await asks(0.1) == INTERVAL + 5
    assert await asks(INTERVAL) == INTERVAL + 10
    assert await asks(INTERVAL + 10) == 0
    assert await asks(INTERVAL) == INTERVAL + 15  # and for all that follow
    assert await stage.terminals.hasty(two, stage.now) == 0
    for _ in range(30):
        slowest = await asks(0)
    assert slowest == 60
    assert await asks(60) == 0


async def test_after_five_wrong_codes_a_person_must_wait_until_all_have_died(stage: Stage) -> None:
    for _ in range(MOST_TRIES):
        stage.clock.advance(60)
        assert await stage.terminals.try_code(*WHO, stage.now)
    for _ in range(3):
        assert not await stage.terminals.try_code(*WHO, stage.now)
    assert await stage.terminals.try_code("https://idp.example", "bob", stage.now)
    stage.clock.advance(LIFE - 1)
    assert not await stage.terminals.try_code(*WHO, stage.now)
    stage.clock.advance(1)
    assert await stage.terminals.try_code(*WHO, stage.now)


async def test_right_codes_cost_nothing_and_gain_nothing(stage: Stage) -> None:
    for _ in range(3 * MOST_TRIES):
        assert await stage.terminals.try_code(*WHO, stage.now)
        await stage.terminals.was_right(*WHO, stage.now)
    for _ in range(MOST_TRIES - 1):
        assert await stage.terminals.try_code(*WHO, stage.now)
    # One with a terminal of their own does not get rid of wrong ones.
    assert await stage.terminals.try_code(*WHO, stage.now)
    await stage.terminals.was_right(*WHO, stage.now)
    assert await stage.terminals.try_code(*WHO, stage.now)
    assert not await stage.terminals.try_code(*WHO, stage.now)


async def test_many_tries_at_once_are_as_few(stage: Stage) -> None:
    tries = [stage.terminals.try_code(*WHO, stage.now) for _ in range(100)]
    assert sum(await asyncio.gather(*tries)) == MOST_TRIES


async def test_not_too_many_begin(stage: Stage) -> None:
    begun = [await stage.terminals.may_begin("203.0.113.7", stage.now) for _ in range(40)]
    assert begun == [True] * 30 + [False] * 10
    assert await stage.terminals.may_begin("203.0.113.8", stage.now)
    for number in range(10_000 // 30 + 1):
        for _ in range(30):
            last = await stage.terminals.may_begin(f"place {number}", stage.now)
    assert not last
    stage.clock.advance(LIFE)
    assert await stage.terminals.may_begin("203.0.113.7", stage.now)


async def test_codes_do_not_collide(stage: Stage) -> None:
    stage.terminals = Terminals(
        stage.shelf, Sealer(SECRETS, "t"), Pseudonyms(SECRETS, "t"), lambda n: b"\1" * n
    )
    await stage.begin()
    with pytest.raises(StoreError):
        await stage.begin()


async def test_a_lost_shelf_is_an_error_and_no_permission(stage: Stage) -> None:
    begun = await stage.begin()
    await stage.decide(begun)
    terminal = await stage.found(begun)
    stage.shelf.down = True
    with pytest.raises(StoreError):
        await stage.terminals.claim(terminal, stage.now)
    with pytest.raises(StoreError):
        await stage.terminals.try_code(*WHO, stage.now)
    with pytest.raises(StoreError):
        await stage.found(begun)
