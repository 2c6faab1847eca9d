"""``python -m bench.provider PORT SECRET KEY=REDIRECT_URI …``: the demo's provider, by itself.

One client for each proxy that is measured. ID tokens are signed with ES256: short ones, which
leave a session cookie of about 1.2 kB.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop
from aiohttp import web

from proxy.demo.people import Client
from proxy.demo.provider import ProviderConfig, create_provider


async def _serve(port: int, secret: str, clients: Sequence[str]) -> None:
    registered = (text.partition("=") for text in clients)
    config = ProviderConfig(
        issuer=f"http://127.0.0.1:{port}",
        clients=tuple(Client(key, secret, (uri,)) for key, _, uri in registered),
        algorithm="ES256",
    )
    runner = web.AppRunner(create_provider(config), access_log=None)
    await runner.setup()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await stop.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
