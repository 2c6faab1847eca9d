from __future__ import annotations

from proxy.wire.message import Body
from tests.wire.stage import chunks


async def test_a_body_is_whole_when_all_of_it_is_ready() -> None:
    assert Body(0, chunks()).is_whole
    assert Body(2, chunks(), b"ok").is_whole
    assert not Body(3, chunks(), b"ok").is_whole
    assert not Body(None, chunks(), b"").is_whole
