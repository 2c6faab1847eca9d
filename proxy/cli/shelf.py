"""What commands have in common that work straight where the proxy keeps things."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import Configuration, print_problems
from proxy.config.providers import installation
from proxy.config.settings import Settings
from proxy.config.types import decode_cookie_secret
from proxy.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from proxy.session.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Errand:
    """A command as it runs: ``word`` is its name, and what it is about."""

    word: str
    problem: Callable[[Settings, argparse.Namespace], str]
    """Why it cannot be done with these settings and arguments, empty if it can."""
    act: Callable[[Keeping, Settings, argparse.Namespace], Awaitable[int]]

    def run(self, parsed: argparse.Namespace) -> int:
        """Do what was asked, with the configuration of the proxy. Returns the exit status."""
        import asyncio  # late: slow to import

        try:
            settings = Configuration(parsed).read()
            secrets = [decode_cookie_secret(secret.reveal()) for secret in settings.cookie.secret]
            if problem := self.problem(settings, parsed):
                return self.fail(problem, 2)
            file = settings.session.file
            if file and not Path(file).exists():  # nor is it made here: it must be the proxy's own
                return self.fail(f"{file}: does not exist; the proxy makes it when it starts", 1)
            return asyncio.run(self._run(settings, secrets, parsed))
        except ConfigError as exc:
            print_problems(exc.problems)
            return 2
        except StoreError as exc:
            return self.fail(f"{self.word} cannot be reached: {exc.detail}", 1)

    async def _run(
        self, settings: Settings, secrets: Sequence[bytes], parsed: argparse.Namespace
    ) -> int:
        from proxy.session.keeping import open_keeping  # late: slow to import

        whose = installation(settings)
        keeping = open_keeping(settings, whose, secrets, time.time, os.urandom, self.warn)
        try:
            return await self.act(keeping, settings, parsed)
        finally:
            await keeping.shelf.close()

    def fail(self, words: str, status: int) -> int:
        self.warn(words)
        return status

    def warn(self, words: str) -> None:
        print(f"auth-proxy {self.word}: {words}", file=sys.stderr)


Declare = Callable[[Parser], str]
"""Adds an action's own arguments, and returns how they are written."""


def add_actions(
    commands: Commands,
    name: str,
    text: str,
    exits: str,
    run: Callable[[argparse.Namespace], int],
    rows: Iterable[tuple[str, str, object, Declare]],
) -> None:
    """Declare a command and its actions: each a name, words for help, what ``run`` finds as
    ``act``, and its arguments. ``exits`` says what the exit status means."""
    parser: Parser = commands.add_parser(
        name, help=text, description=f"{text}. {exits}", allow_abbrev=False
    )
    actions = parser.add_subparsers(metavar="ACTION", title="actions", required=True)
    for word, words, act, declare in rows:
        action: Parser = actions.add_parser(
            word, help=words, description=f"{words}. {exits}", allow_abbrev=False
        )
        usage = declare(action)
        add_config(action)
        add_options(action)
        action.usage = f"{action.prog} {usage} [--config FILE] [--SECTION-OPTION VALUE ...]"
        action.set_defaults(run=run, act=act)


def table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Columns as wide as what is in them."""
    cells = [[plain(cell) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")


def plain(text: str) -> str:
    """What providers and browsers say may not move the cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
