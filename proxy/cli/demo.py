"""``auth-proxy demo``: everything at once on this machine, with a provider of its own."""

from __future__ import annotations

import argparse
import os
import sys

from proxy.cli.arguments import Commands, Parser
from proxy.cli.loading import loading

_SECRET_VARIABLE = "DEMO_CLIENT_SECRET"


def add(commands: Commands) -> None:
    """Declare the command, and its two parts for those who run them apart (compose)."""
    text = "try it: the proxy, an OpenID provider and an application, with nothing to configure"
    parser: Parser = commands.add_parser("demo", help=text, description=text, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=4180, help="the proxy's port (%(default)s)")
    parser.set_defaults(run=run)
    parts = parser.add_subparsers(metavar="PART", title="parts, each for itself")
    _add_provider(parts)
    _add_playground(parts)


def _add_provider(parts: Commands) -> None:
    parser = parts.add_parser("provider", help="only the OpenID provider", allow_abbrev=False)
    parser.add_argument("--listen", default="127.0.0.1:4455", help="host:port (%(default)s)")
    parser.add_argument("--issuer", default="http://localhost:4455", help="URL (%(default)s)")
    parser.add_argument(
        "--public-url", default="http://localhost:4180", help="the proxy's URL (%(default)s)"
    )
    parser.add_argument(
        "--client-secret",
        default=os.environ.get(_SECRET_VARIABLE, ""),
        help=f"the proxy's client secret; else {_SECRET_VARIABLE}",
    )
    parser.set_defaults(run=run_provider)


def _add_playground(parts: Commands) -> None:
    parser = parts.add_parser("playground", help="only the application", allow_abbrev=False)
    parser.add_argument("--listen", default="127.0.0.1:8501", help="host:port (%(default)s)")
    parser.add_argument(
        "--jwks-url",
        default="http://127.0.0.1:4181/oauth2/.well-known/jwks.json",
        help="the proxy's keys (%(default)s)",
    )
    parser.add_argument(
        "--issuer", default="http://localhost:4180", help="iss of the identity JWT (%(default)s)"
    )
    parser.add_argument("--audience", default="api", help="its aud (%(default)s)")
    parser.set_defaults(run=run_playground)


# The imports are late: the other commands need no web server.


def run(parsed: argparse.Namespace) -> int:
    """Run the whole demo until told to stop."""
    with loading():
        from proxy.demo.run import run as run_demo

    return run_demo(parsed.host, parsed.port)


def run_provider(parsed: argparse.Namespace) -> int:
    """Run the provider alone until told to stop."""
    from proxy.demo.run import run_provider as run_part

    if not parsed.client_secret:
        print(
            f"auth-proxy demo provider: --client-secret or {_SECRET_VARIABLE} is needed",
            file=sys.stderr,
        )
        return 2
    return run_part(parsed.listen, parsed.issuer, parsed.public_url, parsed.client_secret)


def run_playground(parsed: argparse.Namespace) -> int:
    """Run the application alone until told to stop."""
    from proxy.demo.run import run_playground as run_part

    return run_part(parsed.listen, parsed.jwks_url, parsed.issuer, parsed.audience)
