"""What the demo's provider remembers, and for how long."""

from __future__ import annotations

from proxy.demo.grants import AuthorizationRequest, Grant, Grants, Shelf, SignIn
from proxy.demo.people import ALICE

REQUEST = AuthorizationRequest("app", "http://app/callback", ("openid",))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def grant(name: str = "g1") -> Grant:
    return Grant(name, REQUEST, SignIn("s1", ALICE, 1000.0))


def test_a_value_is_gone_when_its_life_is_over() -> None:
    clock = Clock()
    shelf: Shelf[str] = Shelf(clock)
    key = shelf.add("value", 60)
    clock.now += 59.9
    assert shelf.get(key) == "value"
    clock.now += 0.1
    assert shelf.get(key) is None


def test_a_taken_value_is_gone() -> None:
    shelf: Shelf[str] = Shelf(Clock())
    key = shelf.add("value", 60)
    assert shelf.take(key) == "value"
    assert shelf.take(key) is None


def test_an_unknown_key_gives_nothing() -> None:
    assert Shelf[str](Clock()).take("never-issued") is None


def test_the_oldest_value_makes_room() -> None:
    shelf: Shelf[int] = Shelf(Clock())
    keys = [shelf.add(number, 60) for number in range(10_001)]
    assert shelf.get(keys[0]) is None
    assert shelf.get(keys[-1]) == 10_000


def test_a_code_spent_twice_revokes_what_it_gave() -> None:
    grants = Grants(Clock())
    code = grants.codes.add(grant(), 60)
    assert grants.spend(grants.codes, code) == grant()
    access = grants.access_tokens.add(grant(), 60)
    other = grants.access_tokens.add(grant("g2"), 60)
    assert grants.spend(grants.codes, code) is None
    assert grants.access_tokens.get(access) is None
    assert grants.access_tokens.get(other) == grant("g2")


def test_the_end_of_a_sign_in_leaves_others_alone() -> None:
    grants = Grants(Clock())
    ended = grants.sign_ins.add(SignIn("s1", ALICE, 1000.0), 60)
    kept = grants.sign_ins.add(SignIn("s2", ALICE, 1000.0), 60)
    grants.end("s1")
    assert grants.sign_ins.get(ended) is None
    assert grants.sign_ins.get(kept) is not None
