"""``auth-proxy sessions``: who is signed in, and an end to it; straight from where that is kept."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.cli.arguments import Commands, Parser
from proxy.cli.shelf import Errand, add_actions, moment, plain, table
from proxy.config.providers import providers_of
from proxy.config.settings import Settings

if TYPE_CHECKING:
    from proxy.session.cards import Card
    from proxy.session.keeping import Keeping
    from proxy.session.register import Register

_EXITS = "Exits 0; 1 if there is no such session or they cannot be reached; 2 for a mistake."
_HEADINGS = ("SID", "PERSON", "STARTED", "LAST USED", "EXPIRES", "BROWSER", "ADDRESS")
_OUT_OF_REACH = (
    "sessions are out of reach: they are in the memory of the running proxy. With "
    "server.admin_token it has an API for them on server.private_listen; for this command, set "
    "redis.url or session.file"
)


@dataclass(frozen=True, slots=True)
class Office:
    """Where the work is done: ``issuer`` is the provider's, as far as the settings name it."""

    register: Register
    issuer: str
    now: float

    async def matching(self, parsed: argparse.Namespace) -> list[Card]:
        """The sessions of whom the flags name, the oldest first."""
        wanted = (parsed.person, parsed.issuer, (parsed.email or "").lower())
        found = [
            card
            async for card in self.register.everybody(self.now)
            if all(
                word in ("", None, there)
                for word, there in zip(wanted, (card.subject, card.issuer, card.email), strict=True)
            )
        ]
        return sorted(found, key=lambda card: (card.created_at, card.sid))


Act = Callable[[Office, argparse.Namespace], Awaitable[int]]


def add(commands: Commands) -> None:
    """Declare the command and what it does."""
    text = "see who is signed in, and end sessions: in redis.url or session.file"
    rows = (
        ("list", "all sessions, or those of one person", _list, _add_list),
        ("show", "one session", _show, _add_show),
        ("end", "end one session, those of one person, or all", _end, _add_end),
    )
    add_actions(commands, "sessions", text, _EXITS, run, rows)


def _add_list(parser: Parser) -> str:
    group = parser.add_mutually_exclusive_group()
    _add_person(parser, group)
    parser.add_argument("--json", action="store_true", help="as JSON, with all that is known")
    return "[--person SUB [--issuer URL] | --email E] [--json]"


def _add_show(parser: Parser) -> str:
    parser.add_argument("sid", metavar="SID", help="the session's public name, as list shows it")
    parser.add_argument("--json", action="store_true", help="as JSON")
    return "[--json] SID"


def _add_end(parser: Parser) -> str:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("sid", metavar="SID", nargs="?", help="one session, by its public name")
    _add_person(parser, group)
    group.add_argument("--all", action="store_true", help="everybody's")
    return "(SID | --person SUB [--issuer URL] | --email E | --all)"


def _add_person(parser: Parser, group: argparse._MutuallyExclusiveGroup) -> None:
    group.add_argument("--person", metavar="SUB", help="those of this subject (claim sub)")
    group.add_argument("--email", metavar="E", help="those of whoever has this e-mail address")
    parser.add_argument(
        "--issuer", metavar="URL", help="whose subject --person is; the configured provider's"
    )


def run(parsed: argparse.Namespace) -> int:
    """Do what was asked, with the configuration of the proxy."""
    return _ERRAND.run(parsed)


def _problem(settings: Settings, parsed: argparse.Namespace) -> str:
    """Why it cannot be done, if so."""
    if settings.auth.disabled:
        return "auth.disabled: there are no sessions"
    if not settings.redis.url and not settings.session.file:
        return _OUT_OF_REACH
    if getattr(parsed, "issuer", None) and not parsed.person:
        return "--issuer goes with --person"
    named = (getattr(parsed, name, None) for name in ("sid", "person", "email", "issuer"))
    return "an empty name is nobody's" if "" in named else ""


async def _act(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    issuer = "" if settings.providers else providers_of(settings)[0].issuer_url or ""
    act: Act = parsed.act
    return await act(Office(keeping.register, issuer, time.time()), parsed)


_ERRAND = Errand("sessions", _problem, _act)


async def _list(office: Office, parsed: argparse.Namespace) -> int:
    cards = await office.matching(parsed)
    if parsed.json:
        print(json.dumps([card.shown() for card in cards], indent=2))
    elif cards:
        print(*table([_HEADINGS, *map(_row, cards)]), sep="\n")
    else:
        print("nobody is signed in" if not (parsed.person or parsed.email) else "no session")
    return 0


async def _show(office: Office, parsed: argparse.Namespace) -> int:
    card = await office.register.find(parsed.sid, office.now)
    if card is None:
        return _ERRAND.fail(f"{plain(parsed.sid)}: there is no such session", 1)
    if parsed.json:
        print(json.dumps(card.shown(), indent=2))
        return 0
    for name, value in card.shown().items():
        text = moment(value) if isinstance(value, int) else plain(str(value))
        print(f"{name:<13} {text}".rstrip())
    return 0


async def _end(office: Office, parsed: argparse.Namespace) -> int:
    register, now = office.register, office.now
    if parsed.sid is not None:
        card = await register.find(parsed.sid, now)
        if card is None:
            return _ERRAND.fail(f"{plain(parsed.sid)}: there is no such session", 1)
        await register.end_card(card, now)
        return _tell(1)
    if parsed.all:
        return _tell(await register.end_everybody(now))
    people = {(card.issuer, card.subject) for card in await office.matching(parsed)}
    if parsed.person and (parsed.issuer or office.issuer):
        # Also those that nobody has written down.
        people.add((parsed.issuer or office.issuer, parsed.person))
    return _tell(sum([await register.end_person(*who, now) for who in sorted(people)]))


def _tell(count: int) -> int:
    print("1 session ended" if count == 1 else f"{count} sessions ended")
    return 0


def _row(card: Card) -> tuple[str, ...]:
    from proxy.web.user_agent import read_browser  # late: the other actions need it not

    moments = map(moment, (card.created_at, card.seen_at, card.expires_at))
    person = card.email or card.user or card.subject
    return (card.sid, person, *moments, str(read_browser(card.browser)), card.address)
