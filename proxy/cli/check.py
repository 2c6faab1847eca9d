"""``auth-proxy check``: is the configuration valid? Opens no connection."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import Configuration, print_problems
from proxy.config.access import Rule
from proxy.config.listening import Unix, parse_address
from proxy.config.paths import endpoint_paths
from proxy.config.provider import Provider
from proxy.config.providers import providers_of
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

    if problems := file_problems(settings, importing=True):
        print_problems(map(configuration.locate, problems))
        return 2
    print("configuration is valid")
    for name, value in _summary(settings):
        print(f"  {name:<12} {value}")
    return 0


def _public(server: Server) -> Iterator[str]:
    """The addresses that people reach, and what is special about each."""
    for name in server.listen:
        redirects = server.redirect_http and not isinstance(parse_address(name), Unix)
        yield f"{name} (redirects to https)" if redirects else name
    for name in server.tls_listen:
        yield f"{name} (TLS)"


def _summary(settings: Settings) -> Iterator[tuple[str, str]]:
    """What matters most, without any secret."""
    workers = settings.server.workers
    yield "public URL", settings.public_url
    yield "sign-in at", settings.public_url + endpoint_paths(settings).sign_in
    yield "listens on", ", ".join(_public(settings.server))
    yield "private", ", ".join(settings.server.private_listen) or "off"
    yield "workers", "auto: one for each processor" if workers == AUTO else str(workers)
    yield "upstream", ", ".join(settings.upstream) or "as each route says"
    yield "routes", str(len(settings.routes))
    yield from _people(settings)
    session = settings.session
    idle = f", {show_duration(session.idle_timeout)} when idle" if session.idle_timeout else ""
    yield "sessions", f"{show_duration(session.lifetime)}{idle}, in {_KEPT[session.store]}"


def _people(settings: Settings) -> Iterator[tuple[str, str]]:
    """Who says who somebody is, and who comes in."""
    if settings.auth.disabled:
        yield "provider", "switched off: authentication is disabled"
    else:
        several = bool(settings.providers)
        for provider in providers_of(settings):
            yield "provider", _provider(provider, named=several)
    named = list(_conditions(settings.access))
    everyone = "everyone that the provider signs in"
    if settings.auth.disabled:
        everyone = "everyone: authentication is disabled"
    yield "lets in", f"by {', '.join(named)}" if named else everyone
    if settings.roles:
        default = f"; {settings.default_role} for all others" if settings.default_role else ""
        yield "roles", ", ".join(role.name for role in settings.roles) + default
    if settings.hooks.post_login:
        yield "hook", settings.hooks.post_login
    if settings.provisioning.url:
        yield "provisions", settings.provisioning.url
    if settings.debug.enabled:
        yield "debug", f"{endpoint_paths(settings).debug}, for {', '.join(settings.debug.roles)}"


def _provider(provider: Provider, *, named: bool) -> str:
    source = provider.issuer_url or provider.server_metadata_url or "none"
    preset = f" (preset {provider.preset})" if provider.preset else ""
    return f"{provider.name}: {source}{preset}" if named else f"{source}{preset}"


def _conditions(rules: Rule) -> Iterator[str]:
    """The kinds of conditions that there are."""
    if rules.email_domains or rules.emails or rules.emails_file:
        yield "e-mail"
    if rules.groups.any or rules.groups.all:
        yield "groups"
    for kind in ("roles", "claims", "providers"):
        if getattr(rules, kind):
            yield kind
    if rules.acr_values:
        yield "acr"
    if rules.amr:
        yield "amr"
    if rules.max_age:
        yield "age of the sign-in"
    for kind in ("methods", "networks"):
        if getattr(rules, kind):
            yield kind
    if rules.any or rules.all or rules.not_:
        yield "combined rules"
