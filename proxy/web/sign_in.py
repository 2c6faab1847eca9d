"""What a sign-in goes through, wired once; what few configurations need is loaded for them."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from proxy.session.keeping import Keeping
from proxy.web.admission import Admissions
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.auth import Auth
from proxy.web.callback import Callbacks, Shows
from proxy.web.calls import Calls
from proxy.web.log import Log
from proxy.web.login import Login
from proxy.web.metrics import Metrics
from proxy.web.mint import Mint
from proxy.web.provider import Provider
from proxy.web.providers import IdentityProvider, Providers
from proxy.web.refresh import Refresher
from proxy.web.runtime import Runtime, has_tokens
from proxy.web.sessions import Sessions
from proxy.web.world import World


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SignIn:
    """The way in. ``debug`` is None where ``debug.enabled`` is off."""

    login: Login
    callbacks: Callbacks
    debug: Shows | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Desk:
    """Makes the parts of it from those of the rest."""

    runtime: Runtime
    keeping: Keeping
    sessions: Sessions
    answers: Answers
    audit: Audit
    log: Log
    world: World

    def admissions(self, http: aiohttp.ClientSession, mint: Mint) -> Admissions:
        """Raises ConfigError for a hook that cannot be used."""
        settings = self.runtime.settings
        hook, provisioner = None, None
        if settings.hooks.post_login:
            from proxy.web.hooks import load_hook

            hook = load_hook(settings.hooks)
        if settings.provisioning.url:
            from proxy.web.provisioning import Provisioner

            clock, token = self.world.clock, self.world.token
            provisioner = Provisioner(
                self.runtime, self.keeping, http, mint, self.log, clock, token
            )
        wanted = settings.tokens.personal or settings.tokens.terminal
        people = self.keeping.people if wanted and has_tokens(settings) else None
        return Admissions(self.runtime, hook, provisioner, people)

    def refresher(self, providers: Providers, admissions: Admissions) -> Refresher:
        locks, clock = self.keeping.locks, self.world.clock
        return Refresher(self.runtime, providers, admissions, self.sessions, locks, self.log, clock)

    def sign_in(self, providers: Providers, admissions: Admissions, auth: Auth) -> SignIn:
        runtime, answers, audit = self.runtime, self.answers, self.audit
        login, debug = Login(runtime, providers, answers, audit, self.world.token), None
        if runtime.settings.debug.enabled:
            from proxy.web.debug import Debug

            debug = Debug(runtime, providers, auth, login, answers, audit)
        callbacks = Callbacks(
            runtime=runtime,
            providers=providers,
            login=login,
            admissions=admissions,
            sessions=self.sessions,
            register=self.keeping.register,
            answers=answers,
            audit=audit,
            debug=debug,
        )
        return SignIn(login, callbacks, debug)


def open_providers(
    runtime: Runtime, http: aiohttp.ClientSession, metrics: Metrics, world: World
) -> Providers:
    """All of them. Raises ConfigError for unusable key files."""
    found: list[IdentityProvider] = []
    for settings in runtime.providers:
        calls = Calls(settings, http, metrics)
        if settings.preset == "github":
            from proxy.web.github import GitHub

            found.append(GitHub(settings, calls, world.clock))
        else:
            found.append(Provider(settings, calls, world.clock, world.token))
    return Providers(found)
