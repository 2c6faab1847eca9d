"""Signing keys: what is published, and what a rotation changes."""

from __future__ import annotations

import pytest

from proxy.crypto.jwt import generate_signing_key
from proxy.demo.keys import Keys


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_what_is_signed_can_be_verified(algorithm: str) -> None:
    keys = Keys(algorithm)
    assert keys.verified(keys.sign({"sub": "alice"})) == {"sub": "alice"}


def test_an_added_key_signs_and_the_old_one_stays_published() -> None:
    keys = Keys("ES256")
    old = keys.sign({"n": 1})
    keys.add(generate_signing_key("ES256"))
    assert keys.verified(old)
    assert keys.verified(keys.sign({"n": 2}))
    assert len(keys.document()["keys"]) == 2  # type: ignore[arg-type]


def test_a_rotated_key_is_gone() -> None:
    keys = Keys("ES256")
    old = keys.sign({"n": 1})
    keys.rotate()
    assert keys.verified(old) is None
    assert len(keys.document()["keys"]) == 1  # type: ignore[arg-type]


def test_garbage_is_not_verified() -> None:
    assert Keys("ES256").verified("a.b.c") is None
