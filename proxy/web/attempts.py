"""Sign-ins begun: each in a sealed cookie of its own, so that several tabs can sign in at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from proxy.model import SetCookie
from proxy.oidc.attempt import Attempt, cookie_tag, dump, load
from proxy.session.cookies import single
from proxy.web.runtime import Runtime
from proxy.web.visit import Visit

_KEPT_LONGER = 3600
"""Seconds that an attempt stays readable after its end: the page about that knows the way."""
_TAG = re.compile(r"[0-9a-f]{16}")


class Attempts:
    """The attempts that a browser holds."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._login = runtime.settings.login

    def of_state(self, visit: Visit, state: str) -> Attempt | None:
        """The one that ``state`` belongs to, if this browser holds it."""
        name = self._runtime.names.attempt(cookie_tag(state))
        return self._open(single(visit.pairs, name), visit.now)

    def newest_return(self, visit: Visit) -> str:
        """Where the newest of them wanted to go, which is safe; ``/`` if there is none."""
        for _, attempt in reversed(self._outstanding(visit)):
            if attempt is not None:
                return self._runtime.redirects.check(attempt.return_to)
        return "/"

    def keep(self, visit: Visit, attempt: Attempt) -> Iterable[SetCookie]:
        """The attempt's cookie; the oldest ones beyond the limit make room."""
        jar, login = self._runtime.jar, self._login
        outstanding = self._outstanding(visit)
        surplus = max(0, len(outstanding) - login.max_attempts + 1)
        ttl = int(login.attempt_ttl)
        kept = [(n, a) for n, a in outstanding[surplus:] if a and visit.now - a.created_at <= ttl]
        stale = {name for name, _ in outstanding} - {name for name, _ in kept}
        sealed = self._runtime.attempts.seal(dump(attempt), visit.now)
        name = self._runtime.names.attempt(cookie_tag(attempt.state))
        # Lax, whatever the session's own setting: Strict is withheld on the return.
        cookie = replace(jar.make(name, sealed, ttl), same_site="Lax")
        return [cookie, *(jar.remove(name) for name in sorted(stale))]

    def forget(self, attempt: Attempt | None) -> list[SetCookie]:
        """What removes its cookie."""
        if attempt is None:
            return []
        tag = cookie_tag(attempt.state)
        return [self._runtime.jar.remove(self._runtime.names.attempt(tag))]

    def _open(self, sealed: str | None, now: float) -> Attempt | None:
        ttl = self._login.attempt_ttl
        data = self._runtime.attempts.open(sealed, now, ttl + _KEPT_LONGER) if sealed else None
        try:
            return load(data) if data is not None else None
        except ValueError:
            return None

    def _outstanding(self, visit: Visit) -> list[tuple[str, Attempt | None]]:
        """This browser's attempts by cookie name, oldest first, unreadable ones before all."""
        prefix = self._runtime.names.attempt("")
        names = [name.decode("latin-1") for name, _ in visit.pairs]
        mine = {n for n in names if n.startswith(prefix) and _TAG.fullmatch(n[len(prefix) :])}
        found = [(name, self._open(single(visit.pairs, name), visit.now)) for name in mine]
        return sorted(found, key=lambda item: item[1].created_at if item[1] else 0.0)
