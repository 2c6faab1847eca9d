"""The register against a naive model: whatever happens in whatever order."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model import Session
from proxy.session.cards import session_tag
from proxy.session.endings import SKEW
from tests.session.register_stage import IDLE, LIFETIME, Stage, set_up
from tests.session.samples import HOUR, ISSUER, person, session

NAMES = "abcdefgh"
PEOPLE = ("1", "2")
STEPS = st.one_of(
    st.tuples(
        st.just("begin"),
        st.sampled_from(NAMES),
        st.sampled_from(PEOPLE),
        st.sampled_from(["", "op-1", "op-2"]),
    ),
    st.tuples(st.just("seen"), st.sampled_from(NAMES)),
    st.tuples(st.just("end"), st.sampled_from(NAMES)),
    st.tuples(st.just("end card"), st.sampled_from(NAMES)),
    st.tuples(st.just("end person"), st.sampled_from(PEOPLE), st.sampled_from(["", *NAMES])),
    st.tuples(
        st.just("end provider"),
        st.sampled_from(["op-1", "op-2"]),
        st.sampled_from(["", *PEOPLE]),
    ),
    st.tuples(st.just("end all")),
    st.tuples(st.just("wait"), st.sampled_from([1.0, 300.0, 700.0, HOUR, 5 * HOUR])),
)


@dataclass
class Simple:
    """What should live, in the simplest words: names to sessions; ``most`` of one person."""

    most: int
    alive: dict[str, Session] = field(default_factory=dict)

    def begin(self, begun: Session) -> None:
        who = begun.identity.subject
        self.alive[begun.id] = begun
        others = [s for s in self.of(who) if s.id != begun.id]
        if self.most:
            for old in others[: max(0, len(others) + 1 - self.most)]:
                del self.alive[old.id]

    def of(self, subject: str) -> list[Session]:
        mine = [s for s in self.alive.values() if s.identity.subject == subject]
        return sorted(mine, key=lambda each: each.created_at)

    def end(self, which: Callable[[Session], bool]) -> int:
        ended = [key for key, each in self.alive.items() if which(each)]
        for key in ended:
            del self.alive[key]
        return len(ended)

    def tick(self, now: float) -> None:
        self.end(lambda s: s.expires_at <= now or s.seen_at + IDLE <= now)


@dataclass
class Play:
    """One random course of events, in the register and in the simple words at once."""

    stage: Stage
    simple: Simple
    count: int = 0
    newest: dict[str, str] = field(default_factory=dict)
    """Name → its id by now: a name may sign in again."""

    async def step(self, what: str, *words: Any) -> None:
        self.stage.clock.advance(0.25)
        self.simple.tick(self.stage.clock())
        await getattr(self, what.replace(" ", "_"))(*words)

    async def begin(self, name: str, subject: str, provider_sid: str) -> None:
        self.count += 1
        self.newest[name] = f"{name}{self.count}"
        now = self.stage.clock()
        begun = session(
            id=self.newest[name],
            identity=person(subject=subject),
            provider_sid=provider_sid,
            created_at=now,
            seen_at=now,
            expires_at=now + LIFETIME,
        )
        kept = await self.stage.store.save(begun, now)
        self.stage.values[begun.id] = kept
        assert await self.stage.register.begin(begun, kept.value, "", "", now)
        self.simple.begin(begun)

    async def seen(self, name: str) -> None:
        old = self.simple.alive.get(self.newest.get(name, ""))
        if old is None:
            return
        now = self.stage.clock()
        new = dataclasses.replace(old, seen_at=now)
        kept = await self.stage.store.renew(self.stage.values[old.id], new, now)
        assert kept is not None
        self.stage.values[old.id] = kept
        assert await self.stage.register.seen(new, kept.value, now)
        self.simple.alive[old.id] = new

    async def end(self, name: str) -> None:
        key = self.newest.get(name, "")
        if key:
            await self.stage.end(key)
            self.simple.alive.pop(key, None)

    async def end_card(self, name: str) -> None:
        key = self.newest.get(name, "")
        card = await self.stage.register.find(session_tag(key), self.stage.clock())
        assert (card is not None) is (key in self.simple.alive)
        if card is not None:
            await self.stage.register.end_card(card, self.stage.clock())
            del self.simple.alive[key]

    async def end_person(self, subject: str, spared: str) -> None:
        key = self.newest.get(spared, "")
        ended = await self.stage.register.end_person(ISSUER, subject, self.stage.clock(), key)
        assert ended == self.simple.end(lambda s: s.identity.subject == subject and s.id != key)

    async def end_provider(self, sid: str, subject: str) -> None:
        now = self.stage.clock()
        ended = await self.stage.register.end_provider_session(ISSUER, sid, now, subject)
        assert ended == self.simple.end(
            lambda s: s.provider_sid == sid and subject in ("", s.identity.subject)
        )

    async def end_all(self) -> None:
        ended = await self.stage.register.end_everybody(self.stage.clock())
        assert ended == self.simple.end(lambda s: True)

    async def wait(self, seconds: float) -> None:
        self.stage.clock.advance(seconds)
        self.simple.tick(self.stage.clock())

    async def compare(self) -> None:
        now, alive = self.stage.clock(), self.simple.alive
        for key, kept in self.stage.values.items():
            found = await self.stage.lives(key)
            idle = kept.session.seen_at + IDLE <= now  # which stores of this test leave to others
            assert (found and not idle) is (key in alive), key
        for subject in PEOPLE:
            cards = await self.stage.register.of_person(ISSUER, subject, now)
            assert [c.session_id for c in cards] == [s.id for s in self.simple.of(subject)]
        everybody = {card.session_id async for card in self.stage.register.everybody(now)}
        assert everybody == set(alive)


@settings(deadline=None)
@given(st.booleans(), st.integers(0, 3), st.lists(STEPS, max_size=25))
async def test_any_course_of_events_goes_as_in_the_simple_words(
    forgets: bool, most: int, steps: list[tuple[Any, ...]]
) -> None:
    play = Play(set_up(forgets, most), Simple(most))
    for what, *words in steps:
        await play.step(what, *words)
        await play.compare()
    await play.stage.register.end_everybody(play.stage.clock())
    play.stage.clock.advance(LIFETIME + SKEW)
    assert play.stage.shelf.left() == []
