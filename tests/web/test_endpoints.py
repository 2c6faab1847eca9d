"""Which endpoints are there, and what may be asked of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.rules.routes import Endpoint
from proxy.web.endpoints import endpoints, methods
from tests.web.place import Place

TOKENS = {Endpoint.TOKENS}
TERMINALS = {
    *(Endpoint.DEVICE, Endpoint.DEVICE_AUTHORIZE, Endpoint.DEVICE_TOKEN, Endpoint.DEVICE_REVOKE),
    *(Endpoint.CLI_START, Endpoint.CLI_POLL),
}


@pytest.mark.parametrize(
    ("tokens", "there"),
    [
        pytest.param({}, set[Endpoint](), id="neither"),
        pytest.param({"personal": True}, TOKENS, id="personal"),
        pytest.param({"terminal": True}, TERMINALS | TOKENS, id="terminal"),
        pytest.param({"personal": True, "terminal": True}, TOKENS | TERMINALS, id="both"),
    ],
)
async def test_what_is_switched_on(
    tmp_path: Path, tokens: dict[str, bool], there: set[Endpoint]
) -> None:
    session = {"file": str(tmp_path / "kept.db")}
    async with Place(tokens=tokens, session=session) as place:
        found = set(endpoints(place.app.parts))
        assert found & (TOKENS | TERMINALS) == there
        assert found >= {Endpoint.PING, Endpoint.CALLBACK, Endpoint.SETTINGS, Endpoint.STATIC}


async def test_without_authentication_there_is_no_way_in() -> None:
    async with Place(auth={"disabled": True}) as place:
        found = set(endpoints(place.app.parts))
        assert not found & {Endpoint.START, Endpoint.CALLBACK, *TOKENS, *TERMINALS}


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        (Endpoint.CALLBACK, {"GET"}),
        (Endpoint.CLI_POLL, {"GET"}),
        (Endpoint.DEVICE_TOKEN, {"POST"}),
        (Endpoint.BACKCHANNEL_LOGOUT, {"POST"}),
        (Endpoint.TOKENS, {"GET", "HEAD", "POST"}),
        (Endpoint.PING, {"GET", "HEAD"}),
    ],
)
def test_methods(endpoint: Endpoint, allowed: set[str]) -> None:
    assert methods(endpoint) == allowed
