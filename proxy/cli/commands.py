"""The list of commands, and the entry point."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from proxy import __version__
from proxy.cli import check, demo, generate, healthcheck, keys, serve, urls
from proxy.cli.arguments import Parser

CONFIGURATION_ERROR = 2

_COMMANDS = (serve, demo, check, keys, urls, healthcheck, generate)
_GLOBAL = ("-h", "--help", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; without the name of one, ``serve``. Returns the exit status.

    0 is success, 1 a failure, 2 a mistake in the arguments or in the configuration.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, names = _parser()
    if not arguments or (arguments[0] not in names and arguments[0] not in _GLOBAL):
        arguments.insert(0, "serve")
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as exc:  # argparse has printed help or what is wrong
        return exc.code if isinstance(exc.code, int) else CONFIGURATION_ERROR
    result: int = parsed.run(parsed)
    return result


def _parser() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    parser = argparse.ArgumentParser(
        prog="auth-proxy",
        description="Signs people in with OpenID Connect in front of any web application.",
        epilog="Without a command: serve. Each command has its own --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"auth-proxy {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    for command in _COMMANDS:
        command.add(commands)
    return parser, frozenset(commands.choices)
