"""Time and randomness."""

from __future__ import annotations

import re
import time

from proxy.web.world import World


def test_tokens_hold_256_bits_and_never_come_twice() -> None:
    tokens = {World().token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_the_clock_is_that_of_the_system() -> None:
    before = time.time()
    assert before <= World().clock() <= time.time()
    assert len(World().random(16)) == 16
