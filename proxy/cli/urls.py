"""``auth-proxy urls``: what to register at the provider."""

from __future__ import annotations

import argparse

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import print_problems, read_draft
from proxy.config.paths import endpoint_paths
from proxy.errors import ConfigError


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "print the URLs to register at the provider; only public_url is needed for that"
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
    if any(key in ("public_url", "server.prefix") or "paths." in key for key in found.broken):
        print_problems(found.problems)
        return 2
    base, paths = found.settings.public_url, endpoint_paths(found.settings)
    urls = {
        "redirect URI": paths.callback,
        "post-logout redirect URI": paths.signed_out,
        "back-channel logout URI": paths.backchannel_logout,
        "front-channel logout URI": paths.frontchannel_logout,
        "web origin": "",
        "sign-in URL": paths.start,
        "own sessions": paths.sessions,
    }
    for name, path in urls.items():
        print(f"{name:<25} {base}{path}")
    return 0
