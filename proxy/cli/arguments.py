"""Flags: ``--config``, and one for every option of the declaration."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

Commands = Any
"""What ``add_subparsers`` returns; argparse keeps its class private."""

_KEY = "option:"


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest flag when it meets an unknown one.

    The many flags of the options are declared when one is given, or help is wanted.
    """

    later: Callable[[], None] | None = None

    def error(self, message: str) -> NoReturn:
        from proxy.config.declaration import nearest  # late: slow, and some commands need no option

        unknown = message.partition("unrecognized arguments: ")[2].split()
        hints = []
        for word in unknown:
            found = nearest(word.partition("=")[0], self._option_string_actions)
            if word.startswith("--") and found:
                hints.append(f"did you mean {found}?")
        super().error(" ".join([message, *hints]))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Nothing is left over: an unknown flag is this command's own error."""
        words = sys.argv[1:] if args is None else args
        flags = {word.partition("=")[0] for word in words if word.startswith("-")}
        if not flags <= self._option_string_actions.keys():
            self._declare()
        parsed, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return parsed, rest

    def format_help(self) -> str:
        self._declare()
        return super().format_help()

    def _declare(self) -> None:
        declare, self.later = self.later, None
        if declare:
            declare()


def add_config(parser: argparse.ArgumentParser) -> None:
    """The flag for the configuration file."""
    parser.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        help="the configuration file; else AUTH_PROXY_CONFIG, else ./proxy.cfg if it exists",
    )


def add_options(parser: Parser) -> None:
    """One flag for every option, in a group for each section."""
    parser.usage = f"{parser.prog} [--config FILE] [--SECTION-OPTION VALUE ...]"
    parser.later = partial(_declare_options, parser)


def _declare_options(parser: argparse.ArgumentParser) -> None:
    from proxy.config.declaration import Form, options, sections  # late, as above

    described = sections()
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in options():
        if option.flag in parser._option_string_actions:
            continue  # the command means something else by it
        name = option.path[0] if len(option.path) > 1 else "basics"
        if name not in groups:
            words = described[name][1] if name in described else None
            groups[name] = parser.add_argument_group(name, words)
        switch: dict[str, Any] = {}
        if option.form is Form.YES_NO:
            switch = {"nargs": "?", "const": "true"}
        groups[name].add_argument(
            option.flag,
            dest=_KEY + option.key,
            metavar="true|false" if switch else option.form.name,
            help=option.description.replace("%", "%%"),
            **switch,
        )
        if option.secret:
            groups[name].add_argument(
                f"{option.flag}-file",
                dest=f"{_KEY}{option.key}_file",
                metavar="FILE",
                help=f"a file that holds {option.key}",
            )


def given_options(parsed: argparse.Namespace) -> Mapping[str, str]:
    """The option flags that were given, by dotted key."""
    return {
        name.removeprefix(_KEY): value
        for name, value in vars(parsed).items()
        if name.startswith(_KEY) and value is not None
    }
