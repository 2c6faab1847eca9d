"""Tokens of our own: random, recognisable, and known by their digest alone."""

from __future__ import annotations

import hashlib
import os
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.token import Letter, digest, kind_of, looks_like, make, pattern, public_id

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKENS = st.builds(
    lambda letter, secret: make("apx", letter, lambda size: secret[:size]),
    st.sampled_from(("p", "t", "s", "r")),
    st.binary(min_size=32, max_size=32),
)
GOOD = make("apx", "p", os.urandom)


@given(TOKENS)
def test_every_token_is_whole_and_found_by_scanners(text: str) -> None:
    assert kind_of(text, "apx") == text[4]
    assert looks_like(text, "apx")
    assert len(text) == 54
    assert re.fullmatch(pattern("apx"), text)
    assert re.search(pattern("apx"), f'Authorization: Bearer "{text}"')


@given(TOKENS, st.integers(0, 53), st.sampled_from(DIGITS + "_-. \n"))
def test_any_other_character_is_noticed(text: str, place: int, character: str) -> None:
    changed = text[:place] + character + text[place + 1 :]
    assert (kind_of(changed, "apx") == "") == (changed != text)


@given(TOKENS, st.integers(4, 52))
def test_two_neighbours_in_the_wrong_order_are_noticed(text: str, place: int) -> None:
    changed = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert (kind_of(changed, "apx") == "") == (changed != text)


@given(st.text())
def test_any_text_may_be_asked_about(text: str) -> None:
    assert kind_of(text, "apx") == ""
    assert kind_of(f"apx_{text}", "apx") == ""
    assert len(digest(text)) == 64
    assert public_id(text).startswith("tok_")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("apx_", id="the prefix alone"),
        pytest.param(GOOD[:-1], id="cut"),
        pytest.param(f"{GOOD}0", id="longer"),
        pytest.param(f" {GOOD}", id="a space before"),
        pytest.param(f"{GOOD}\n", id="a line's end"),
        pytest.param(GOOD.upper(), id="capitals"),
        pytest.param(f"apx{GOOD}", id="another prefix"),
        pytest.param(GOOD.replace("apx_p", "apx_x"), id="a letter that there is not"),
        pytest.param("apx_p" + "\N{ARABIC-INDIC DIGIT ONE}" * 49, id="other digits"),
        pytest.param("apx_p" + "0" * 49, id="a checksum that is none"),
        pytest.param("sk-" + "0" * 40, id="somebody else's"),
    ],
)
def test_what_is_no_token(text: str) -> None:
    assert kind_of(text, "apx") == ""


def test_a_token_of_another_prefix_is_none_of_ours() -> None:
    other = make("acme", "p", os.urandom)
    assert not looks_like(other, "apx")
    assert kind_of(other, "apx") == ""
    assert kind_of(other, "acme") == "p"
    # a longer prefix that begins like ours
    longer = make("apx2", "p", os.urandom)
    assert not looks_like(longer, "apx")


def test_meant_to_be_ours_is_ours_to_judge_even_if_broken() -> None:
    assert looks_like("apx_anything", "apx")
    assert not looks_like("APX_anything", "apx")
    assert not looks_like("apx", "apx")


def test_the_form_is_the_documented_one() -> None:
    text = make("apx", "s", lambda size: b"\xff" * size)
    body, checksum = text[:-6], text[-6:]
    assert body.startswith("apx_s")
    value = 0
    for digit in body[5:]:
        value = value * 62 + DIGITS.index(digit)
    assert value == 2**256 - 1  # nothing of the 256 bits is lost
    crc = 0
    for digit in checksum:
        crc = crc * 62 + DIGITS.index(digit)
    assert crc == zlib.crc32(body.encode())


LETTERS: tuple[Letter, ...] = ("p", "t", "s", "r")


@pytest.mark.parametrize("letter", LETTERS)
def test_256_bits_are_asked_for_and_two_tokens_differ(letter: Letter) -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    assert make("apx", letter, random) != make("apx", letter, random)
    assert asked == [32, 32]


def test_the_public_id_tells_nothing_but_the_digests_beginning() -> None:
    assert digest(GOOD) == hashlib.sha256(GOOD.encode()).hexdigest()
    assert public_id(GOOD) == f"tok_{digest(GOOD)[:16]}"
