"""Our own endpoints: who answers each, and to which methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from proxy.errors import BadRequest, Reason
from proxy.rules.routes import Endpoint
from proxy.web.backchannel import BackChannel
from proxy.web.frontchannel import FrontChannel
from proxy.web.limits import Failures
from proxy.web.own_sessions import OwnSessions
from proxy.web.parts import Parts
from proxy.web.providers import Providers
from proxy.web.resource import Resource
from proxy.web.runtime import has_tokens
from proxy.web.settings_page import SettingsPage
from proxy.web.sign_in import SignIn
from proxy.web.visit import Visit

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]

_READ: Final = frozenset({"GET", "HEAD"})
_FORM: Final = frozenset({"GET", "HEAD", "POST"})
_POST: Final = frozenset({"POST"})
_METHODS: Final = {
    Endpoint.SIGN_OUT: frozenset({"GET", "POST"}),
    Endpoint.SIGN_IN: _FORM,
    Endpoint.DEBUG: _FORM,
    Endpoint.SESSIONS: _FORM,
    Endpoint.TOKENS: _FORM,
    Endpoint.DEVICE: _FORM,
    Endpoint.CALLBACK: frozenset({"GET"}),  # a HEAD would use up the code
    Endpoint.CLI_POLL: frozenset({"GET"}),  # and the token
    Endpoint.BACKCHANNEL_LOGOUT: _POST,
    Endpoint.FRONTCHANNEL_LOGOUT: frozenset({"GET"}),
    Endpoint.DEVICE_AUTHORIZE: _POST,
    Endpoint.DEVICE_TOKEN: _POST,
    Endpoint.DEVICE_REVOKE: _POST,
    Endpoint.CLI_START: _POST,
}


def methods(endpoint: Endpoint) -> frozenset[str]:
    """What may be asked of it; forward-auth questions repeat a client's method, and any is good."""
    return _METHODS.get(endpoint, _READ)


def endpoints(parts: Parts) -> dict[Endpoint, Handler]:
    """Those that the configuration has switched on."""
    settings = SettingsPage(parts.runtime, parts.sessions, parts.answers)
    found: dict[Endpoint, Handler] = {
        Endpoint.PING: parts.status.ping,
        Endpoint.READY: parts.status.ready,
        Endpoint.JWKS: parts.status.jwks,
        Endpoint.SIGN_OUT: parts.logout.sign_out,
        Endpoint.SIGNED_OUT: parts.logout.signed_out,
        Endpoint.AUTH: parts.auth.auth,
        Endpoint.USERINFO: parts.auth.userinfo,
        Endpoint.IDENTITY: parts.auth.identity,
        Endpoint.SETTINGS: settings.settings,
        Endpoint.RESOURCE: Resource(parts.runtime, parts.answers).metadata,
        Endpoint.STATIC: _static(parts),
    }
    if parts.sign_in is not None:
        found |= _signing_in(parts, parts.sign_in)
        found |= _for_programs(parts, parts.sign_in)
    if parts.providers is not None:
        found |= _by_provider(parts, parts.providers)
    return found


def _static(parts: Parts) -> Handler:
    async def static(visit: Visit) -> web.StreamResponse:
        name = visit.goal.path.removeprefix(parts.runtime.paths.static)
        found = parts.answers.file(visit, name)
        if found is None:
            raise BadRequest(Reason.NOT_FOUND, status=404)
        return found

    return static


def _signing_in(parts: Parts, sign_in: SignIn) -> dict[Endpoint, Handler]:
    """The way in, and where people see and end their own sessions."""
    register, auth, login = parts.keeping.register, parts.auth, sign_in.login
    own = OwnSessions(parts.runtime, register, auth, login, parts.answers, parts.audit)
    debugging: dict[Endpoint, Handler] = {}
    if sign_in.debug is not None:
        debugging[Endpoint.DEBUG] = sign_in.debug.page
    return {
        Endpoint.START: login.start,
        Endpoint.CALLBACK: sign_in.callbacks.callback,
        Endpoint.SIGN_IN: login.sign_in_page,
        Endpoint.SESSIONS: own.sessions,
        **debugging,
    }


def _for_programs(parts: Parts, sign_in: SignIn) -> dict[Endpoint, Handler]:
    """Where people get tokens for their programs and terminals."""
    found: dict[Endpoint, Handler] = {}
    runtime, settings = parts.runtime, parts.runtime.settings
    if (settings.tokens.personal or settings.tokens.terminal) and has_tokens(settings):
        from proxy.web.tokens_page import TokensPage

        page = TokensPage(
            runtime, parts.keeping, parts.auth, sign_in.login, parts.answers, parts.audit,
            parts.world.random,
        )  # fmt: skip
        found[Endpoint.TOKENS] = page.tokens
    if settings.tokens.terminal and has_tokens(settings):
        from proxy.web.device import Device

        device = Device(
            runtime, parts.keeping, parts.auth, sign_in.login, parts.answers, parts.audit,
            Failures(), parts.world.random,  # a broken program slows nobody who types a code
        )  # fmt: skip
        found |= {
            Endpoint.DEVICE: device.page,
            Endpoint.DEVICE_AUTHORIZE: device.authorize,
            Endpoint.DEVICE_TOKEN: device.token,
            Endpoint.DEVICE_REVOKE: device.revoke,
            Endpoint.CLI_START: device.cli_start,
            Endpoint.CLI_POLL: device.cli_poll,
        }
    return found


def _by_provider(parts: Parts, providers: Providers) -> dict[Endpoint, Handler]:
    """Where providers sign people out."""
    answers, audit = parts.answers, parts.audit
    back = BackChannel(providers, parts.keeping.register, answers, audit)
    front = FrontChannel(parts.runtime, providers, parts.sessions, answers, audit)
    return {
        Endpoint.BACKCHANNEL_LOGOUT: back.logout,
        Endpoint.FRONTCHANNEL_LOGOUT: front.logout,
    }
