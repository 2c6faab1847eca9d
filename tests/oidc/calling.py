"""Acts of a relying party that need the network: calls to the provider, and keys read again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from proxy.config.provider import Provider as ProviderSettings
from proxy.crypto.jwt import verify
from proxy.errors import LoginError, ProviderError, Reason
from proxy.oidc.metadata import Metadata
from proxy.web.calls import Calls, Reply, open_session
from proxy.web.keys import Keys
from proxy.web.metrics import Metrics
from tests.crypto.forge import rsa_key, token
from tests.fakes.scripted import close, request, until, upstream
from tests.oidc.scene import METADATA, NOW

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
ELSEWHERE = b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"

Wait = Callable[[], Awaitable[object]]


def called(said: bytes, *, silent: bool = False) -> Wait:
    """A provider answers with ``said``, and then ends the connection or says no more."""

    async def act() -> object:
        last = until(asyncio.Event()) if silent else close
        settings = ProviderSettings(timeout=0.2 if silent else 5)
        async with open_session() as http, upstream([request, said, last]) as scripted:
            return await Calls(settings, http, Metrics()).make("token", "POST", scripted.url)

    return act


class _Shown(Calls):
    """A provider that shows one key, or nothing while it is down; it counts who asks."""

    def __init__(self) -> None:
        self.reads = 0
        self.down = False

    async def make(
        self,
        call: str,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        self.reads += 1
        if self.down:
            raise ProviderError(Reason.PROVIDER_UNREACHABLE, call)
        jwks = {"keys": [rsa_key().jwk()]}
        return Reply(200, "application/json", json.dumps(jwks).encode())


def reads_of_keys(*moments: float, down: bool = False) -> Wait:
    """A token of an unknown key comes at each of the ``moments``, in seconds; how often the keys
    were read for them, besides the first time.
    """

    async def act() -> int:
        shown, now = _Shown(), [NOW]
        keys = Keys(ProviderSettings(), shown, lambda: now[0], _metadata)
        stranger = token({}, rsa_key("new"), "RS256")
        await keys.using(lambda _: None, Reason.ID_TOKEN_INVALID)
        shown.down = down
        for moment in moments:
            now[0] = NOW + moment
            try:
                await keys.using(
                    lambda known: verify(stranger, known, ["RS256"]), Reason.ID_TOKEN_INVALID
                )
            except LoginError:
                continue
            raise AssertionError("it was believed")
        return shown.reads - 1

    return act


async def _metadata() -> Metadata:
    return METADATA
