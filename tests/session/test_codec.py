"""Session ↔ bytes: what was written is read; anything else is no session, never an error."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ProxyError, Reason
from proxy.model import Session
from proxy.session.codec import dump, load
from tests.session.samples import SESSIONS, person, session


@given(SESSIONS)
def test_every_session_comes_back_as_it_was(kept: Session) -> None:
    assert load(dump(kept)) == kept


def test_that_groups_are_missing_is_kept_and_taken_for_granted_of_a_long_list() -> None:
    some = session(identity=person(groups=("a",), groups_partial=True))
    assert load(dump(some)) == some
    many = session(identity=person(groups=tuple(map(str, range(1000)))))
    loaded = load(dump(many))
    assert loaded is not None
    assert loaded.identity.groups_partial


def test_what_comes_back_is_as_frozen_as_before() -> None:
    loaded = load(dump(session(identity=person(claims={"siret": "1"}))))
    assert loaded is not None
    assert isinstance(loaded.identity.groups, tuple)
    assert isinstance(loaded.identity.amr, tuple)
    with pytest.raises(TypeError):
        loaded.identity.claims["siret"] = "2"  # type: ignore[index]


@given(st.binary(max_size=200))
def test_garbage_is_no_session(data: bytes) -> None:
    assert load(data) is None
    assert load(zlib.compress(data)) is None


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_session_is_the_session_or_none(data: st.DataObject) -> None:
    good = bytearray(dump(session()))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    assert load(bytes(good)) in (None, session())


def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(zlib.decompress(dump(session())))
    return document


def _load(document: object) -> Session | None:
    return load(zlib.compress(json.dumps(document).encode()))


def test_the_plain_document_loads() -> None:
    assert _load(_document()) == session()


@pytest.mark.parametrize("document", [None, [], 1, "text", {}, {"v": 1}, {"v": 1, "who": []}])
def test_another_document_is_no_session(document: object) -> None:
    assert _load(document) is None


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_version_is_no_session(version: object) -> None:
    assert _load(_document() | {"v": version}) is None


@pytest.mark.parametrize(
    "key",
    [
        *("v", "id", "t", "sid", "refresh", "who", "tokens"),
        *("who.groups", "who.verified", "who.claims"),
    ],
)
def test_every_part_is_needed(key: str) -> None:
    document = _document()
    outer, _, inner = key.partition(".")
    del (document[outer] if inner else document)[inner or outer]
    assert _load(document) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("groups", "admin", id="groups as one text become no letters"),
        pytest.param("groups", [1], id="group that is a number"),
        pytest.param("groups", None, id="no groups"),
        pytest.param("amr", "pwd", id="amr as one text"),
        pytest.param("sub", 7, id="subject that is a number"),
        pytest.param("email", None, id="no e-mail"),
        pytest.param("verified", "false", id="verified as a text"),
        pytest.param("claims", "x", id="claims as a text"),
        pytest.param("claims", [1], id="claims as a list"),
    ],
)
def test_a_fact_of_the_wrong_type_is_no_session(key: str, value: object) -> None:
    document = _document()
    document["who"][key] = value
    assert _load(document) is None


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([0.0, float("nan"), 0.0], id="an end that never comes (NaN)"),
        pytest.param([0.0, float("inf"), 0.0], id="an end that never comes (infinity)"),
        pytest.param([0, 10**400, 0], id="a number too large for a time"),
        pytest.param([0, "soon", 0], id="a word"),
        pytest.param([0, 1], id="one missing"),
        pytest.param([0, 1, 2, 3], id="one too many"),
    ],
)
def test_times_are_finite(times: list[object]) -> None:
    assert _load(_document() | {"t": times}) is None


@pytest.mark.parametrize("moment", [float("nan"), float("inf"), "soon", [1]])
def test_the_moment_of_a_refresh_comes(moment: object) -> None:
    assert _load(_document() | {"refresh": moment}) is None


def test_a_bomb_is_not_unpacked() -> None:
    """mod_auth_openidc's hardening list: a zip bomb in a compressed session."""
    document = json.dumps(_document() | {"more": "a" * 50_000_000}).encode()
    bomb = zlib.compress(document, 9)
    assert len(bomb) < 60_000
    assert load(bomb) is None


def test_deep_nesting_is_no_error() -> None:
    assert load(zlib.compress(b"[" * 200_000)) is None


def test_a_session_that_could_not_be_read_again_is_not_written() -> None:
    """A session larger than its reader accepts is an endless sign-in loop."""
    with pytest.raises(ProxyError) as caught:
        dump(session(identity=person(claims={"novel": "a" * 300_000})))
    assert caught.value.reason is Reason.SESSION_TOO_LARGE
