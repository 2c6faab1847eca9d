"""What concerns programs: their tokens, and how much they may ask. Wired once."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from proxy.config.providers import installation
from proxy.crypto.pseudonym import Pseudonyms
from proxy.web.admission import Admissions
from proxy.web.bearers import Bearers
from proxy.web.identify import Identify
from proxy.web.limits import Failures, Limits
from proxy.web.metrics import Metrics
from proxy.web.providers import Providers
from proxy.web.sign_in import Desk


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Programs:
    """Who judges tokens, finds who is asking, counts, and remembers who guesses."""

    bearers: Bearers
    identify: Identify
    limits: Limits
    failures: Failures


def open_programs(
    desk: Desk,
    providers: Providers | None,
    admissions: Admissions | None,
    http: aiohttp.ClientSession,
    metrics: Metrics,
) -> Programs:
    """All of it. Raises ConfigError for files of issuers that cannot be used."""
    runtime, keeping, sessions = desk.runtime, desk.keeping, desk.sessions
    clock, log = desk.world.clock, desk.log
    bearer, issuers, failures = runtime.settings.bearer, None, Failures()
    if providers is not None and (bearer.audiences or bearer.introspect or bearer.issuers):
        from proxy.web.issuers import Issuers

        issuers = Issuers(runtime, providers, http, metrics, clock, admissions)
    bearers = Bearers(runtime, keeping, sessions, issuers, failures, clock)
    names = Pseudonyms(runtime.secrets, f"limits {installation(runtime.settings)}")
    limits = Limits(keeping.shelf, names, clock, lambda words: log.event("warning", words))
    return Programs(bearers, Identify(runtime, bearers, sessions), limits, failures)
