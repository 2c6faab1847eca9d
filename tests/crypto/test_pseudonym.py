"""Pseudonyms: stable, separate, unguessable without a secret, and found again after a rotation."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.pseudonym import Pseudonyms

OLD, NEW = b"o" * 32, b"n" * 32


def test_a_name_is_stable_and_shows_nothing() -> None:
    [name] = Pseudonyms([OLD]).of("https://idp.example.org", "704e")
    assert re.fullmatch("[0-9a-f]{64}", name)
    assert Pseudonyms([OLD]).of("https://idp.example.org", "704e") == (name,)


def test_it_is_what_it_always_was() -> None:
    """Records of a running installation are found after an update."""
    [name] = Pseudonyms([bytes(range(32))]).of("person", "https://idp.example.org", "704e")
    assert name == "b0d7ca975187ae624cce2aba2e1085e1f0fbf6c4fc84a9b1eaf27936084be62c"


@pytest.mark.parametrize(
    ("parts", "others"),
    [
        pytest.param(("ab", "c"), ("a", "bc"), id="the border moves"),
        pytest.param(("a",), ("a", ""), id="an empty part more"),
        pytest.param(("a", "b"), ("b", "a"), id="the order"),
        pytest.param(("1:a",), ("a",), id="a part that looks like a length"),
        pytest.param(("é",), ("e\u0301",), id="another spelling"),
        pytest.param(("A",), ("a",), id="case"),
    ],
)
def test_other_parts_have_another_name(parts: tuple[str, ...], others: tuple[str, ...]) -> None:
    names = Pseudonyms([OLD])
    assert names.of(*parts) != names.of(*others)


def test_another_secret_or_purpose_has_other_names() -> None:
    names = {
        Pseudonyms([OLD]).of("a"),
        Pseudonyms([NEW]).of("a"),
        Pseudonyms([OLD], "index of another client").of("a"),
    }
    assert len(names) == 3


def test_the_newest_secret_names_first_and_older_names_are_still_known() -> None:
    assert Pseudonyms([NEW, OLD]).of("a") == Pseudonyms([NEW]).of("a") + Pseudonyms([OLD]).of("a")


@pytest.mark.parametrize("secrets", [[], [b"short"], [OLD, b""]])
def test_only_secrets_of_32_bytes_will_do(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Pseudonyms(secrets)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_no_two_lists_of_parts_share_a_name(one: list[str], other: list[str]) -> None:
    names = Pseudonyms([OLD])
    assert (names.of(*one) == names.of(*other)) is (one == other)


def test_text_that_is_no_unicode_has_a_name_too() -> None:
    assert Pseudonyms([OLD]).of("\ud800") != Pseudonyms([OLD]).of("\ud801")
