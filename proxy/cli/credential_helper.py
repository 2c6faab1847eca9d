"""``auth-proxy credential-helper``: git asks it who signs in (gitcredentials(7))."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from proxy.cli.arguments import Commands, Parser
from proxy.cli.origin import Failure, Origin, origin_of
from proxy.cli.renewal import NotSignedIn, fresh
from proxy.cli.stored import Drawer, drawer
from proxy.cli.terminal import ending, say

_USER = "auth-proxy"
_MOST = 1000


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "for git's credential.helper: the token of this terminal"
    parser: Parser = commands.add_parser(
        "credential-helper", help=text, description=text, allow_abbrev=False
    )
    parser.add_argument(
        "operation", metavar="OPERATION", help="get, store or erase; git says which"
    )
    parser.set_defaults(run=ending("credential-helper", run))


def run(parsed: argparse.Namespace) -> int:
    """Answer git. What it asks that is not known to us is nothing to us."""
    try:
        question = read_question(sys.stdin)
    except ValueError:
        return 0  # somebody's URL speaks for git (CVE-2020-5260, CVE-2024-52006)
    try:
        origin = origin_of(f"{question.protocol}://{question.host}")
    except Failure:
        return 0  # no web server, or one that we would send nothing to
    if parsed.operation == "get":
        print(
            "".join(f"{line}\n" for line in answer(drawer(), origin, question, time.time)), end=""
        )
    elif parsed.operation == "erase":
        refused(drawer(), origin, question.secrets)
    return 0


@dataclass(frozen=True, slots=True, repr=False)
class Question:
    """What git says: for whom, what it understands, and for ``erase`` which secrets failed."""

    protocol: str
    host: str
    username: str
    takes_bearer: bool
    secrets: frozenset[str]


def read_question(lines: Iterable[str]) -> Question:
    """``name=value`` lines up to an empty one.

    Raises ValueError where one thing is said twice: a carriage return in a URL, which some git
    hands on and some readers take for the end of a line, would name another host.
    """
    said: dict[str, str] = {}
    capabilities = set()
    for _, line in zip(range(_MOST), lines, strict=False):
        name, _, value = line.rstrip("\r\n").partition("=")
        if not name:
            break
        if name == "capability[]":
            capabilities.add(value)
        elif name in said and not name.endswith("[]"):
            raise ValueError(name)
        said[name] = value
    return Question(
        said.get("protocol", ""),
        said.get("host", ""),
        said.get("username", ""),
        "authtype" in capabilities,
        frozenset(filter(None, (said.get("password"), said.get("credential")))),
    )


def answer(
    drawer: Drawer, origin: Origin, question: Question, clock: Callable[[], float]
) -> list[str]:
    """Nothing for a proxy that nobody signed in at: git then asks others."""
    if drawer.get(origin) is None:
        return []
    try:
        stored = fresh(drawer, origin, clock)
    except NotSignedIn as exc:
        say(f"auth-proxy: {exc}")
        return ["quit=1"]  # rather than ask for a password that is of no use
    if question.takes_bearer:  # git 2.46 and newer
        return [
            "capability[]=authtype",
            "authtype=Bearer",
            f"credential={stored.token}",
            "ephemeral=1",
        ]
    return [
        f"username={question.username or _USER}",
        f"password={stored.token}",
        f"password_expiry_utc={int(stored.expires_at)}",
    ]


def refused(drawer: Drawer, origin: Origin, secrets: frozenset[str]) -> None:
    """Our token was refused: it counts as ended, so that the next question renews it."""
    with drawer.alone_with(origin):
        stored = drawer.get(origin)
        if stored is None or stored.token not in secrets:
            return
        drawer.put(origin, replace(stored, expires_at=0.0) if stored.refresh_token else None)
