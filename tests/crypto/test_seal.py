"""Sealed boxes: only the right purpose, key and age open them, and only as they were sealed."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.crypto.seal import Sealer

NOW = 1_800_000_000.0
OLD, NEW = bytes(range(32)), bytes(range(100, 132))
PLAIN = b"who are you"


def _raw(box: str) -> bytes:
    return base64.urlsafe_b64decode(box + "=" * (-len(box) % 4))


def _box(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@given(data=st.binary(max_size=300), age=st.floats(0, 600))
def test_what_was_sealed_is_opened(data: bytes, age: float) -> None:
    sealer = Sealer([NEW], "session")
    assert sealer.open(sealer.seal(data, NOW), NOW + age, 601) == data


def test_a_box_of_one_purpose_never_opens_as_another() -> None:
    box = Sealer([NEW], "login-attempt").seal(PLAIN, NOW)
    assert Sealer([NEW], "session").open(box, NOW, 600) is None
    assert Sealer([NEW], "").open(box, NOW, 600) is None


def test_the_first_secret_seals_and_all_of_them_open() -> None:
    before, rotated, after = (Sealer(keys, "s") for keys in ([OLD], [NEW, OLD], [NEW]))
    assert rotated.open(before.seal(PLAIN, NOW), NOW, 600) == PLAIN
    assert after.open(rotated.seal(PLAIN, NOW), NOW, 600) == PLAIN
    assert before.open(rotated.seal(PLAIN, NOW), NOW, 600) is None
    assert after.open(before.seal(PLAIN, NOW), NOW, 600) is None


def test_no_two_boxes_are_alike() -> None:
    """A fixed nonce gives the key away (mod_auth_openidc CVE-2021-32791)."""
    sealer = Sealer([NEW], "s")
    nonces = {_raw(sealer.seal(PLAIN, NOW))[13:25] for _ in range(200)}
    assert len(nonces) == 200


def test_the_nonce_comes_from_the_random_source_that_was_handed_in() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    Sealer([NEW], "s", random).seal(PLAIN, NOW)
    assert asked == [12]


def test_every_bit_counts() -> None:
    sealer = Sealer([NEW, OLD], "s")
    raw = _raw(sealer.seal(PLAIN, NOW))
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert sealer.open(_box(bytes(flipped)), NOW, 10**9) is None, f"bit {bit}"


def test_a_truncated_or_lengthened_box_stays_shut() -> None:
    """Short GCM tags: cryptography 2018-10903, cjose CVE-2023-37464."""
    sealer = Sealer([NEW], "s")
    raw = _raw(sealer.seal(PLAIN, NOW))
    for size in range(len(raw)):
        assert sealer.open(_box(raw[:size]), NOW, 600) is None, f"{size} bytes"
    assert sealer.open(_box(raw + b"\0"), NOW, 600) is None


def test_an_empty_box_keeps_its_whole_tag() -> None:
    sealer = Sealer([NEW], "s")
    raw = _raw(sealer.seal(b"", NOW))
    assert sealer.open(_box(raw), NOW, 600) == b""
    assert sealer.open(_box(raw[:-1]), NOW, 600) is None


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        pytest.param(NOW, True, id="at once"),
        pytest.param(NOW + 600, True, id="at its last moment"),
        pytest.param(NOW + 600.001, False, id="a millisecond later"),
        pytest.param(NOW + 10**9, False, id="long after"),
        pytest.param(NOW - 120, True, id="another replica's clock is two minutes ahead"),
        pytest.param(NOW - 120.001, False, id="sealed in the future"),
    ],
)
def test_a_box_has_an_age(now: float, opens: bool) -> None:
    sealer = Sealer([NEW], "s")
    assert (sealer.open(sealer.seal(PLAIN, NOW), now, 600) == PLAIN) is opens


@pytest.mark.parametrize(
    "respell",
    [
        pytest.param(lambda box: box + "=" * (-len(box) % 4), id="padded"),
        pytest.param(lambda box: box + "====", id="padded too much"),
        pytest.param(lambda box: box + "\n", id="line end"),
        pytest.param(lambda box: " " + box, id="space"),
        pytest.param(lambda box: box.replace("-", "+").replace("_", "/"), id="standard base64"),
        pytest.param(lambda box: box[:20] + "." + box[20:], id="stray character"),
        pytest.param(lambda box: box[:20] + "é" + box[20:], id="not ASCII"),
        pytest.param(lambda box: box[:-1] + chr(ord(box[-1]) + 1), id="unused bits set"),
    ],
)
def test_one_box_has_one_spelling(respell: object) -> None:
    sealer = Sealer([NEW], "s", lambda size: b"\xff" * size)
    box = sealer.seal(b"12", NOW)  # 43 bytes: two unused bits at the end, and - or _ within
    assert sealer.open(box, NOW, 600) == b"12"
    assert callable(respell)
    assert respell(box) != box
    assert sealer.open(respell(box), NOW, 600) is None


@settings(max_examples=300)
@given(st.text(max_size=200) | st.text("ABCDab01-_=", max_size=200) | st.just("\ud800"))
def test_no_text_makes_it_raise(text: str) -> None:
    assert Sealer([NEW], "s").open(text, NOW, 600) is None


@pytest.mark.parametrize(
    "secrets",
    [
        pytest.param([], id="none"),
        pytest.param([b""], id="empty"),
        pytest.param([b"x" * 31], id="short"),
        pytest.param([NEW, b"x" * 33], id="second too long"),
    ],
)
def test_a_secret_is_32_bytes(secrets: list[bytes]) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(secrets, "s")
