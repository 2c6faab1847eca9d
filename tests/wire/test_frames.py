from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from proxy.wire.frames import FrameScanner, accept_key, close_frame

FRAMES = st.builds(
    lambda opcode, data, mask, fin: Frame(opcode, data, fin=fin).serialize(mask=mask),
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    st.one_of(st.binary(max_size=130), st.just(b"x" * 126), st.just(b"x" * 65536)),
    st.booleans(),
    st.booleans(),
)


@given(st.lists(FRAMES), st.data())
def test_a_boundary_is_seen_however_frames_are_cut(
    frames: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(frames)
    ends = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
    cuts = data.draw(st.lists(st.integers(0, len(stream))))
    scanner, position = FrameScanner(), 0
    for cut in sorted({*cuts, len(stream)}):
        scanner.feed(stream[position:cut])
        position = cut
        assert scanner.at_boundary is (position in ends)
    assert not scanner.closing


def test_a_close_frame_is_noticed() -> None:
    scanner = FrameScanner()
    scanner.feed(Frame(Opcode.TEXT, b"\x88").serialize(mask=False))
    assert not scanner.closing
    scanner.feed(Frame(Opcode.CLOSE, b"").serialize(mask=True))
    assert scanner.closing


@pytest.mark.parametrize("mask", [b"", b"\1\2\3\4"])
@pytest.mark.parametrize(
    ("reason", "kept"),
    [("session ended", "session ended"), ("é" * 100, "é" * 61), ("", "")],
    ids=["plain", "cut between characters", "empty"],
)
def test_a_close_frame_says_code_and_reason(mask: bytes, reason: str, kept: str) -> None:
    frame = close_frame(1008, reason, mask)
    assert frame[0] == 0x88
    assert frame[1] >> 7 == bool(mask)
    assert frame[1] & 0x7F <= 125
    payload = frame[2 + len(mask) :]
    if mask:
        payload = bytes(octet ^ mask[index % 4] for index, octet in enumerate(payload))
    assert Close.parse(payload) == Close(1008, kept)


def test_the_accept_key_is_that_of_the_specification() -> None:
    # RFC 6455 section 1.3
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
