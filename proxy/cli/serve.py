"""``auth-proxy serve``: the proxy itself."""

from __future__ import annotations

import argparse
import os

from proxy.cli import check
from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.loading import loading, trusting_nobody
from proxy.cli.sources import Configuration, print_problems
from proxy.errors import ConfigError


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "run the proxy (this is also what happens without a command)"
    parser: Parser = commands.add_parser("serve", help=text, description=text, allow_abbrev=False)
    add_config(parser)
    parser.add_argument(
        "--config-test", action="store_true", help="only check, as auth-proxy check"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Serve until told to stop; 2 when the configuration cannot be used."""
    if parsed.config_test:
        return check.run(parsed)
    try:
        with loading():
            configuration = Configuration(parsed)
            settings = configuration.read()
    except ConfigError as exc:
        print_problems(exc.problems)
        return 2
    with loading(), trusting_nobody():  # late: the other commands need no web server
        from proxy.process.serve import run as run_app
        from proxy.web.activation import activation

    passed = activation(os.environ, os.getpid())
    return run_app(settings, configuration.read, passed, configuration.locate)
