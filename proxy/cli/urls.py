"""``auth-proxy urls``: what to register at the provider."""

from __future__ import annotations

import argparse

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import print_problems, read_draft
from proxy.config.load import Draft
from proxy.config.paths import callback_paths, endpoint_paths
from proxy.errors import ConfigError


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "print the URLs to register at providers; public_url and their names are enough"
    parser: Parser = commands.add_parser("urls", help=text, description=text, allow_abbrev=False)
    add_config(parser)
    add_options(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the URLs. Client id and secret may still be missing: this comes before them."""
    try:
        found = read_draft(parsed)
    except ConfigError as exc:
        print_problems(exc.problems)
        return 2
    if _unclear(found):
        print_problems(found.problems)
        return 2
    base, paths = found.settings.public_url, endpoint_paths(found.settings)
    several = bool(found.settings.providers)
    urls = {
        **{
            f"redirect URI of {name}" if several else "redirect URI": path
            for path, name in callback_paths(found.settings).items()
        },
        "post-logout redirect URI": paths.signed_out,
        "back-channel logout URI": paths.backchannel_logout,
        "front-channel logout URI": paths.frontchannel_logout,
        "web origin": "",
        "sign-in URL": paths.start,
        "own sessions": paths.sessions,
    }
    width = max(25, *map(len, urls))
    for name, path in urls.items():
        print(f"{name:<{width}} {base}{path}")
    return 0


def _unclear(found: Draft) -> bool:
    """Is something of what URLs are made of missing or wrong?"""
    names = [provider.name for provider in found.settings.providers]
    return len(set(names) - {""}) < len(names) or any(
        key in ("public_url", "server.prefix", "providers") or key.startswith("paths.")
        for key in found.broken
    )
