"""Tickets: ours or forged, one text each; and boxes that only their ticket opens."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from itsdangerous import Signer

from proxy.crypto.jwk import decode_base64url, encode_base64url
from proxy.crypto.seal import Sealer
from proxy.crypto.ticket import Ticket, Tickets

OLD, NEW = bytes(range(32)), bytes(range(100, 132))
SIZE = 86


def _read(tickets: Tickets, text: str) -> Ticket:
    ticket = tickets.read(text)
    assert ticket is not None
    return ticket


def test_a_ticket_is_read_again() -> None:
    tickets = Tickets([NEW])
    issued = tickets.issue()
    ticket = _read(Tickets([NEW]), issued.text)
    assert (ticket.text, ticket.handle) == (issued.text, issued.handle)
    assert ticket.open(issued.seal(b"record")) == b"record"


def test_no_two_tickets_are_alike() -> None:
    issued = [Tickets([NEW]).issue() for _ in range(200)]
    assert len({ticket.text for ticket in issued}) == 200
    assert len({ticket.handle for ticket in issued}) == 200


def test_randomness_is_handed_in() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return os.urandom(size)

    Tickets([NEW], random).issue().seal(b"")
    assert asked == [32, 12]


def test_the_text_fits_a_cookie_unquoted() -> None:
    text = Tickets([NEW], lambda size: b"\xfb\xff" * (size // 2)).issue().text
    assert len(text) == SIZE
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_every_bit_counts() -> None:
    tickets = Tickets([NEW, OLD])
    raw = decode_base64url(tickets.issue().text)
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert tickets.read(encode_base64url(bytes(flipped))) is None, f"bit {bit}"


@pytest.mark.parametrize(
    "respell",
    [
        pytest.param(lambda text: text + "==", id="padded"),
        pytest.param(lambda text: text + "\n", id="line end"),
        pytest.param(lambda text: " " + text, id="space"),
        pytest.param(lambda text: text[:-1] + "\n", id="line end for the last"),
        pytest.param(lambda text: text.replace("-", "+").replace("_", "/"), id="standard base64"),
        pytest.param(lambda text: text[:43] + "." + text[43:], id="as itsdangerous joins them"),
        pytest.param(lambda text: text[:20] + "é" + text[21:], id="not ASCII"),
        pytest.param(lambda text: text[:20] + "\ud800" + text[21:], id="not even UTF-8"),
        pytest.param(lambda text: text[:-1] + chr(ord(text[-1]) + 1), id="unused bits set"),
        pytest.param(lambda text: text[:-1], id="one short"),
        pytest.param(lambda text: text + "A", id="one more"),
        pytest.param(lambda text: text * 2, id="twice"),
        pytest.param(lambda text: "", id="nothing"),
    ],
)
def test_one_ticket_has_one_spelling(respell: object) -> None:
    tickets = Tickets([NEW], lambda size: b"\xfb" * size)
    text = tickets.issue().text
    assert tickets.read(text) is not None
    assert callable(respell)
    assert respell(text) != text
    assert tickets.read(respell(text)) is None


@settings(max_examples=300)
@given(st.text(max_size=100) | st.text("ABCDab01-_=", min_size=SIZE, max_size=SIZE))
def test_no_text_makes_it_raise(text: str) -> None:
    assert Tickets([NEW]).read(text) is None


def test_the_first_secret_signs_and_all_of_them_verify() -> None:
    before, rotated, after = (Tickets(keys) for keys in ([OLD], [NEW, OLD], [NEW]))
    old = before.issue()
    assert after.read(old.text) is None
    ticket = _read(rotated, old.text)
    assert ticket.handle == old.handle
    assert ticket.open(old.seal(b"record")) == b"record"
    assert ticket.text != old.text
    assert _read(after, ticket.text).handle == old.handle
    assert before.read(rotated.issue().text) is None


def test_keys_have_a_purpose() -> None:
    """One key for two purposes is the misuse of signers (security.md 4, 96)."""
    secret = os.urandom(32)
    for key in (NEW, encode_base64url(NEW)):
        signature = Signer(key).get_signature(secret).decode()
        assert Tickets([NEW]).read(encode_base64url(secret + decode_base64url(signature))) is None
    assert Tickets([NEW]).read(Sealer([NEW], "session").seal(b"", 1.8e9)) is None


def test_what_is_kept_opens_with_the_ticket_alone() -> None:
    """Neither the cookie secret nor the handle is of any use without it."""
    issued = Tickets([NEW], os.urandom).issue()
    box = issued.seal(b"record")
    others = [Tickets([NEW]).issue() for _ in range(20)]
    assert [other.open(box) for other in others] == [None] * 20
    assert _read(Tickets([OLD, NEW]), issued.text).open(box) == b"record"
    assert issued.handle.encode() not in box
    assert issued.handle not in issued.text


def test_a_box_opens_under_its_handle_only() -> None:
    first, second = Tickets([NEW]).issue(), Tickets([NEW]).issue()
    moved = Ticket(first.text, second.handle, first._box, os.urandom)
    assert moved.open(first.seal(b"record")) is None


def test_no_two_boxes_are_alike() -> None:
    ticket = Tickets([NEW]).issue()
    assert len({ticket.seal(b"record")[1:13] for _ in range(200)}) == 200


def test_every_bit_of_a_box_counts() -> None:
    ticket = Tickets([NEW]).issue()
    box = ticket.seal(b"record")
    for bit in range(len(box) * 8):
        flipped = bytearray(box)
        flipped[bit // 8] ^= 1 << bit % 8
        assert ticket.open(bytes(flipped)) is None, f"bit {bit}"
    for size in range(len(box)):
        assert ticket.open(box[:size]) is None, f"{size} bytes"
    assert ticket.open(box + b"\0") is None


@given(st.binary(max_size=100))
def test_no_box_makes_it_raise(box: bytes) -> None:
    assert Tickets([NEW]).issue().open(b"\x01" + box) is None


def test_repr_shows_nothing() -> None:
    ticket = Tickets([NEW]).issue()
    assert ticket.text not in repr(ticket)
    assert ticket.handle not in repr(ticket)


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
        Tickets(secrets)
