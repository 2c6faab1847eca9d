"""Where an issuer's keys and answers come from, for whoever judges its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from proxy.config.provider import Provider as ProviderSettings
from proxy.oidc.client_auth import Proof
from proxy.oidc.metadata import Metadata
from proxy.web.calls import Calls
from proxy.web.keys import Keys


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Source:
    """``proof`` is for one request; ``speaks_for`` tells whether tokens of an issuer are its own,
    None while that is not known."""

    settings: ProviderSettings
    calls: Calls
    keys: Keys
    metadata: Callable[[], Awaitable[Metadata]]
    proof: Callable[[], Awaitable[Proof]]
    speaks_for: Callable[[str], bool | None]
