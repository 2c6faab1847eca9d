"""The person at the terminal, if there is one: what they are told, asked and shown."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from proxy.cli.arguments import Parser
from proxy.cli.origin import Failure, plain

_INTERRUPTED = 130


def add_address(parser: Parser) -> None:
    """Which proxy is meant, and how it is trusted."""
    parser.add_argument("url", metavar="URL", help="the proxy, such as https://app.example.org")
    parser.add_argument(
        "--ca-file", metavar="FILE", default="", help="authorities to trust for it, as PEM"
    )


def ending(command: str, act: Callable[[argparse.Namespace], int]) -> Callable[..., int]:
    """``act``, whose failures are said in one line: exit status 1, or 2 for a mistake."""

    def run(parsed: argparse.Namespace) -> int:
        try:
            return act(parsed)
        except Failure as exc:
            say(f"auth-proxy {command}: {exc}")
            return exc.status
        except KeyboardInterrupt:
            say("")
            return _INTERRUPTED

    return run


def say(words: str) -> None:
    """To the person, not to the program that reads standard output."""
    print(words, file=sys.stderr, flush=True)


def has_person() -> bool:
    """Is somebody there to read and to type?"""
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose(groups: Sequence[str]) -> str:
    """The one of ``groups`` that the person names, by number or name. Raises Failure."""
    for number, name in enumerate(groups, start=1):
        say(f"  {number}. {plain(name)}")
    while True:
        print("For which of them is this terminal? ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        if not line:
            raise Failure("nothing was chosen; say --group")
        typed = line.strip()
        if typed in groups:
            return typed
        if typed.isdecimal() and 0 < int(typed) <= len(groups):
            return groups[int(typed) - 1]


def open_browser(url: str) -> bool:
    """Show ``url`` in a window of the person's browser, where there are windows."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform != "darwin" and not any(os.environ.get(name) for name in names):
        return False  # a browser in the terminal would take the terminal away
    import webbrowser  # late: only a sign-in needs it

    try:
        return webbrowser.open(url, new=2)
    except (webbrowser.Error, OSError):
        return False
