"""Microsoft Graph, asked for a person's groups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from proxy.config.provider import Entra
from proxy.errors import ProviderError, Reason
from proxy.model import Tokens
from proxy.oidc.graph import (
    GraphGroups,
    GraphRefused,
    Page,
    asked,
    assignments_url,
    memberships_url,
    personal,
    read_assignments,
    read_memberships,
)
from proxy.web.calls import Calls

__all__ = ["Graph", "GraphGroups"]

_DEADLINE: Final = 30.0
"""Seconds for all pages together."""


class Graph:
    """Groups of whoever an access token is about."""

    def __init__(self, entra: Entra, calls: Calls, deadline: float = _DEADLINE) -> None:
        self._entra = entra
        self._calls = calls
        self._deadline = deadline

    async def groups(self, tokens: Tokens, id_claims: Mapping[str, object]) -> GraphGroups | None:
        """The groups that count, or None where the ID token is enough.

        Raises ProviderError GROUPS_UNAVAILABLE where Graph gives no answer that can be used
        and ``entra.graph_failure`` is refuse.
        """
        if not asked(self._entra, id_claims):
            return None
        if personal(id_claims):
            return GraphGroups(())
        try:
            async with asyncio.timeout(self._deadline):
                return await self._ask(tokens.access_token)
        except (GraphRefused, ProviderError, TimeoutError) as exc:
            problem = _words(exc)
        if self._entra.graph_failure == "refuse":
            raise ProviderError(Reason.GROUPS_UNAVAILABLE, f"graph: {problem}")
        return GraphGroups((), f"no groups: graph: {problem}", is_partial=True)

    async def _ask(self, token: str) -> GraphGroups:
        if not token:
            raise GraphRefused("there is no access token")
        url = memberships_url(self._entra)
        mine, note = await self._pages("groups", token, url, read_memberships)
        if self._entra.service_principal_id:
            url = assignments_url(self._entra)
            assigned, more = await self._pages("assignments", token, url, read_assignments)
            note = note or more
            # Nothing assigned is nothing allowed, not everything.
            mine = {one: None for one in mine if one in assigned}
        return GraphGroups(tuple(mine), note, is_partial=bool(note))

    async def _pages(
        self, what: str, token: str, url: str, read: Callable[[int, bytes, str], Page]
    ) -> tuple[dict[str, None], str]:
        """Ids in order, each once, and a note if there were more pages than are read."""
        headers = {"Authorization": f"Bearer {token}"}
        found: dict[str, None] = {}
        for _ in range(self._entra.graph_max_pages):
            reply = await self._calls.make("groups", "GET", url, headers)
            page = read(reply.status, reply.body, url)
            found.update(dict.fromkeys(page.ids))
            if not page.next:
                return found, ""
            url = page.next
        return found, f"{what} cut after {self._entra.graph_max_pages} pages"


def _words(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return error.detail
    return str(error) or "no answer in time"
