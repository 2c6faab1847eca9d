"""YAML as texts, with lines."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.document import BadDocument, read_document


def test_scalars_stay_texts() -> None:
    value = read_document("a: on\nb: 0123\nc: 2026-01-01\nd: ~\ne: 'null'\n", {}).value
    assert value == {"a": "on", "b": "0123", "c": "2026-01-01", "d": None, "e": "null"}


def test_lines_are_known_and_fall_back_to_what_is_around() -> None:
    document = read_document("a:\n  b:\n    - x\n    - y\n", {})
    assert document.line(("a", "b", 1)) == 4
    assert document.line(("a", "b", 1, "missing")) == 4
    assert document.line(("a", "nothing")) == 1


def test_an_empty_document_has_no_value() -> None:
    assert read_document("# only a comment\n", {}).value is None


def test_without_an_environment_references_are_plain_text() -> None:
    assert read_document("'${X}'", None).value == "${X}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("a: b: c\n", 1, id="two colons"),
        pytest.param("a: 1\n\tb: 2\n", 2, id="a tab"),
        pytest.param("a: 1\n---\nb: 2\n", 2, id="two documents"),
        pytest.param("a: \x00", 0, id="a control character"),
    ],
)
def test_bad_yaml_names_the_line(text: str, line: int) -> None:
    with pytest.raises(BadDocument, match="not valid YAML") as caught:
        read_document(text, {})
    assert caught.value.line == line


def test_a_key_must_be_a_word() -> None:
    assert read_document("? [a]\n: b\n", {}).troubles[0].message == "a key must be a plain word"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadDocument):
        read_document(text, {})


def test_a_single_entry_stands_for_a_list_of_one() -> None:
    document = read_document("not:\n  any:\n    - x: 1\n", {})
    assert document.line(("not", 0, "any", 0, "x")) == 3
    assert document.line(("not", 1, "any", 0, "x")) == 1
