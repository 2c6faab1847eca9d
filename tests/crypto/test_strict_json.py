"""JSON that two readers could read differently is not read at all."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.strict_json import read_list, read_object


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
        pytest.param(b'{"b":{"a":1,"a":1}}', id="a name twice, deep down"),
        pytest.param(b'{"a":1,"\\u0061":1}', id="a name twice, once escaped"),
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"true", id="boolean"),
        pytest.param(b"1", id="number"),
        pytest.param(b'"x"', id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b'{"a":1} x', id="something after it"),
        pytest.param(b'{"a":"\xff"}', id="not UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":' + b"[" * 50_000, id="very deep"),
        pytest.param(b'{"a":"' + b"x" * 70_000 + b'"}', id="too large"),
        pytest.param(b'{"a":' + b"9" * 5000 + b"}", id="a number of 5000 digits"),
    ],
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_object(data, 65536)


def test_the_error_never_quotes_the_content() -> None:
    with pytest.raises(ValueError, match="not JSON") as error:
        read_object(b'{"access_token": "hush" "x"}', 100)
    assert "hush" not in str(error.value)


@given(
    st.dictionaries(
        st.text(), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())
    )
)
def test_reads_what_json_writes(value: dict[str, object]) -> None:
    assert read_object(json.dumps(value).encode(), 10**6) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(read_object(data, 100), dict)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "[1e999]"])
def test_a_number_beyond_all_numbers_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        read_object(b'{"x": %b}' % number.encode(), 1000)


def test_a_list_is_read_as_strictly() -> None:
    assert read_list(b'[{"a": 1}, null]', 100) == [{"a": 1}, None]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{}", "a JSON object, not an array"),
        (b"null", "a JSON null, not an array"),
        (b'[{"a":1,"a":2}]', "twice"),
        (b"[1, 2]", "larger"),
    ],
)
def test_what_is_no_list(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_list(data, 5 if problem == "larger" else 100)
