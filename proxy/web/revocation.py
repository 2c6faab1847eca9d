"""Tokens are given back behind the back of whoever signs out: nobody waits for that."""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.errors import ProviderError
from proxy.model import Tokens
from proxy.web.log import Log
from proxy.web.providers import IdentityProvider

_AT_ONCE: Final = 1000
_LAST_SECONDS: Final = 2.0


class Revocations:
    """Revokes tokens at the provider, each in a task of its own; failures are only logged.

    A provider that hangs is waited for as long as ``provider.timeout`` says, and beyond a
    thousand that hang none is added: the tokens then live until they expire.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, provider: IdentityProvider, tokens: Tokens) -> None:
        """Returns at once."""
        if not tokens.refresh_token and not tokens.access_token:
            return
        if len(self._running) >= _AT_ONCE:
            self._log.event("warning", "tokens are not revoked: too many wait for the provider")
            return
        task = asyncio.get_running_loop().create_task(self._revoke(provider, tokens))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _revoke(self, provider: IdentityProvider, tokens: Tokens) -> None:
        try:
            await provider.revoke(tokens)
        except ProviderError as exc:
            fields: dict[str, object] = {"reason": str(exc.reason)}
            self._log.event("warning", f"tokens are not revoked: {exc.detail}", fields)
        except Exception as exc:  # a fault of ours must not pass in silence
            self._log.exception(exc, "-")

    async def close(self) -> None:
        """Let those that run end, for two seconds; then leave them."""
        if not self._running:
            return
        _, left = await asyncio.wait(self._running, timeout=_LAST_SECONDS)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
