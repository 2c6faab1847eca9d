"""What was not used for longest is forgotten first."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from proxy.web.lru import Lru


def test_the_least_recently_used_goes() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put("b", 2)
    assert lru.get("a") == 1
    lru.put("c", 3)
    assert ("a" in lru, "b" in lru, "c" in lru) == (True, False, True)
    assert lru.get("b") is None
    assert len(lru) == 2


def test_a_value_can_be_replaced_and_taken_out() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put("a", 2)
    assert (lru.get("a"), len(lru)) == (2, 1)
    lru.pop("a")
    lru.pop("a")
    assert len(lru) == 0


OPERATIONS = st.lists(st.tuples(st.sampled_from("pgd"), st.integers(0, 9)), max_size=60)


@given(size=st.integers(1, 5), operations=OPERATIONS)
def test_it_agrees_with_the_simplest_model(size: int, operations: list[tuple[str, int]]) -> None:
    lru: Lru[int, int] = Lru(size)
    model: OrderedDict[int, int] = OrderedDict()
    for number, (kind, key) in enumerate(operations, 1):
        if kind == "p":
            lru.put(key, number)
            model[key] = number
            model.move_to_end(key)
            while len(model) > size:
                del model[next(iter(model))]
        elif kind == "d":
            lru.pop(key)
            model.pop(key, None)
        else:
            assert lru.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert len(lru) == len(model) <= size
