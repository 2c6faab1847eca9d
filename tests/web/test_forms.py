"""Forms are read whole, within bounds, and as nothing but forms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.web.forms import only
from tests.web.place import Place

PATH = "/oauth2/sessions"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ([("a", "1"), ("b", "2")], "1"),
        ([("a", ""), ("b", "2")], ""),
        ([("b", "2")], ""),
        ([("a", "1"), ("a", "1")], ""),
        ([], ""),
    ],
)
def test_a_field_counts_if_it_comes_once(fields: list[tuple[str, str]], value: str) -> None:
    assert only(fields, "a") == value


async def _in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        pytest.param(b"a=1", FORM, 401, id="a form"),
        pytest.param(
            b"a=1",
            {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=utf-8"},
            401,
            id="in any case, with a parameter",
        ),
        pytest.param(b"", FORM, 401, id="empty"),
        pytest.param(b"a=1", {"Content-Type": "multipart/form-data"}, 400, id="another form"),
        pytest.param(b"a=%ff", FORM, 400, id="no UTF-8"),
        pytest.param("a=é".encode(), FORM, 400, id="no ASCII"),
        pytest.param(b"&".join([b"a=1"] * 21), FORM, 400, id="too many fields"),
        pytest.param(b"a=" + b"1" * 16_383, FORM, 413, id="too large"),
    ],
)
async def test_what_is_a_form(
    place: Place, data: bytes, headers: dict[str, str], status: int
) -> None:
    """401 is for whoever was understood."""
    bodies: list[Any] = [data, _in_pieces(data[:1], data[1:])]
    for body in bodies:
        answer = await place.browser().post(PATH, page=False, data=body, headers=headers)
        assert answer.status == status
