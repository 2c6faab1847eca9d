"""Where our own endpoints live, once prefix and overrides are applied."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.config.providers import ONLY
from proxy.config.settings import Settings


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EndpointPaths:
    """Absolute paths of our endpoints; ``static`` and ``cli_poll`` end with a slash, the others
    are exact."""

    start: str
    callback: str
    sign_in: str
    sign_out: str
    signed_out: str
    backchannel_logout: str
    frontchannel_logout: str
    sessions: str
    ping: str
    ready: str
    auth: str
    userinfo: str
    identity: str
    settings: str
    debug: str
    tokens: str
    device: str
    device_authorize: str
    device_token: str
    device_revoke: str
    cli_start: str
    cli_poll: str
    resource: str
    jwks: str
    static: str


RESOURCE = "/.well-known/oauth-protected-resource"
"""Where programs learn who may sign them in (RFC 9728 section 3)."""


def callback_paths(settings: Settings) -> dict[str, str]:
    """Each provider's redirect URI's path → the provider's name.

    One provider has ``callback``. Of several, each has its own, so that one provider's answer
    cannot be passed off as another's (mix-up, RFC 9700 section 4.4.2).
    """
    callback = endpoint_paths(settings).callback
    if not settings.providers:
        return {callback: settings.provider.name or ONLY}
    return {f"{callback}/{provider.name}": provider.name for provider in settings.providers}


def endpoint_paths(settings: Settings) -> EndpointPaths:
    """The paths that ``server.prefix`` and ``paths`` lead to."""
    prefix, paths = settings.server.prefix, settings.paths
    return EndpointPaths(
        start=paths.start or f"{prefix}/start",
        callback=paths.callback or f"{prefix}/callback",
        sign_in=paths.sign_in or f"{prefix}/sign_in",
        sign_out=paths.sign_out or f"{prefix}/sign_out",
        signed_out=paths.signed_out or f"{prefix}/signed_out",
        backchannel_logout=f"{prefix}/backchannel_logout",
        frontchannel_logout=f"{prefix}/frontchannel_logout",
        sessions=f"{prefix}/sessions",
        ping=paths.ping,
        ready=paths.ready,
        auth=f"{prefix}/auth",
        userinfo=f"{prefix}/userinfo",
        identity=f"{prefix}/identity",
        settings=f"{prefix}/settings",
        debug=f"{prefix}/debug",
        tokens=f"{prefix}/tokens",
        device=f"{prefix}/device",
        device_authorize=f"{prefix}/device/authorize",
        device_token=f"{prefix}/device/token",
        device_revoke=f"{prefix}/device/revoke",
        cli_start=f"{prefix}/cli/start",
        cli_poll=f"{prefix}/cli/poll/",
        resource=RESOURCE,
        jwks=f"{prefix}/.well-known/jwks.json",
        static=f"{prefix}/static/",
    )
