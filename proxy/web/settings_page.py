"""What a front end may know: where to sign in and out, and how long that lasts (R142)."""

from __future__ import annotations

from aiohttp import web

from proxy.web.answers import Answers
from proxy.web.runtime import Runtime
from proxy.web.sessions import Sessions
from proxy.web.visit import Visit


class SettingsPage:
    """``{prefix}/settings``: for everybody, and without a secret."""

    def __init__(self, runtime: Runtime, sessions: Sessions, answers: Answers) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._answers = answers

    async def settings(self, visit: Visit) -> web.StreamResponse:
        """As JSON; ``session_expires_at`` is in Unix seconds, null without a session.

        Raises StoreError.
        """
        runtime, settings = self._runtime, self._runtime.settings
        opened = await self._sessions.find(visit.pairs, visit.now)
        person = opened.session.identity if opened else None
        several = len(runtime.providers) > 1
        document: dict[str, object] = {
            "sso_enabled": not settings.auth.disabled and settings.login.enabled,
            "login_url": runtime.public(runtime.paths.sign_in if several else runtime.paths.start),
            "logout_url": runtime.public(runtime.paths.sign_out),
            "providers": [
                {
                    "name": provider.name,
                    "label": provider.label or provider.name,
                    "login_url": runtime.public(runtime.start_path("/", provider.name)),
                }
                for provider in (() if settings.auth.disabled else runtime.providers)
            ],
            "provider": person.provider if person else None,
            "session_expires_at": int(opened.session.expires_at) if opened else None,
            "docs_url": settings.access.help_url,
        }
        return self._answers.json(visit, 200, document)
