"""The list of commands, and the entry point."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from proxy import __version__
from proxy.cli.loading import loading
from proxy.cli.waiting import awaiting_supervisor

CONFIGURATION_ERROR = 2

_COMMANDS = (
    "serve",
    "demo",
    "check",
    "explain",
    "keys",
    "sessions",
    "tokens",
    "urls",
    "healthcheck",
    "login",
    "token",
    "logout",
    "credential-helper",
    "generate",
)
"""The modules beside this one, each with an ``add`` that declares its command; a dash is an
underscore in a module's name."""
_GLOBAL = ("-h", "--help", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; without the name of one, ``serve``. Returns the exit status.

    0 is success, 1 a failure, 2 a mistake in the arguments or in the configuration.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0] not in _COMMANDS and arguments[0] not in _GLOBAL):
        arguments.insert(0, "serve")
    serves = arguments[0] == "serve"
    with awaiting_supervisor() if serves else contextlib.nullcontext():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    # Nothing that happens to be installed listens in when settings and secrets are read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    with loading():
        parser, _ = _parser([name for name in _COMMANDS if name == arguments[0]] or _COMMANDS)
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as exc:  # argparse has printed help or what is wrong
        return exc.code if isinstance(exc.code, int) else CONFIGURATION_ERROR
    result: int = parsed.run(parsed)
    return result


def _parser(
    names: Sequence[str] = _COMMANDS,
) -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """A parser for the commands in ``names``: the modules of the others are not loaded."""
    from proxy.cli.arguments import Parser  # late: whoever only imports this has no use for it

    parser = argparse.ArgumentParser(
        prog="auth-proxy",
        description="Signs people in with OpenID Connect in front of any web application.",
        epilog="Without a command: serve. Each command has its own --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"auth-proxy {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    for name in names:
        import_module(f"proxy.cli.{name.replace('-', '_')}").add(commands)
    return parser, frozenset(commands.choices)
