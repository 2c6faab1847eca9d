"""``auth-proxy check``: is the configuration valid? Opens no connection."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import Configuration, print_problems
from proxy.config.listening import Unix, parse_address
from proxy.config.paths import endpoint_paths
from proxy.config.settings import Server, Settings
from proxy.config.types import show_duration
from proxy.config.workers import AUTO
from proxy.errors import ConfigError

_KEPT: Mapping[str, str] = MappingProxyType(
    {"cookie": "cookies", "redis": "Redis", "file": "session.file"}
)


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "check the configuration without starting anything; exits 0 or 2"
    parser: Parser = commands.add_parser("check", help=text, description=text, allow_abbrev=False)
    add_config(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print what was understood, or every problem."""
    try:
        configuration = Configuration(parsed)
        settings = configuration.read()
    except ConfigError as exc:
        print_problems(exc.problems)
        return 2
    from proxy.web.files import file_problems  # late: the other commands need no web server

    if problems := file_problems(settings):
        print_problems(map(configuration.locate, problems))
        return 2
    print("configuration is valid")
    for name, value in _summary(settings).items():
        print(f"  {name:<12} {value}")
    return 0


def _public(server: Server) -> Iterator[str]:
    """The addresses that people reach, and what is special about each."""
    for name in server.listen:
        redirects = server.redirect_http and not isinstance(parse_address(name), Unix)
        yield f"{name} (redirects to https)" if redirects else name
    for name in server.tls_listen:
        yield f"{name} (TLS)"


def _summary(settings: Settings) -> dict[str, str]:
    """What matters most, without any secret."""
    provider, session = settings.provider, settings.session
    source = provider.issuer_url or provider.server_metadata_url or "none"
    rules = settings.access
    everyone = "everyone that the provider signs in"
    if settings.auth.disabled:
        everyone = "everyone: authentication is disabled"
    idle = f", {show_duration(session.idle_timeout)} when idle" if session.idle_timeout else ""
    conditions = {
        "e-mail": rules.email_domains or rules.emails,
        "groups": rules.groups.any or rules.groups.all,
        "claims": rules.claims,
        "acr": rules.acr_values,
    }
    named = [name for name, condition in conditions.items() if condition]
    return {
        "public URL": settings.public_url,
        "sign-in at": settings.public_url + endpoint_paths(settings).sign_in,
        "listens on": ", ".join(_public(settings.server)),
        "private": ", ".join(settings.server.private_listen) or "off",
        "workers": "auto: one for each processor"
        if settings.server.workers == AUTO
        else str(settings.server.workers),
        "upstream": ", ".join(settings.upstream) or "as each route says",
        "routes": str(len(settings.routes)),
        "provider": "switched off: authentication is disabled"
        if settings.auth.disabled
        else source,
        "lets in": f"by {', '.join(named)}" if named else everyone,
        "sessions": f"{show_duration(session.lifetime)}{idle}, in {_KEPT[session.store]}",
    }
