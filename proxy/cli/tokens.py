"""``auth-proxy tokens``: tokens for machines, made and revoked straight where tokens are kept."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from proxy.cli.arguments import Commands, Parser
from proxy.cli.shelf import Errand, add_actions, moment, plain, table
from proxy.config.address import normalise_email
from proxy.config.settings import Settings
from proxy.config.types import parse_duration, route_path

if TYPE_CHECKING:
    from proxy.session.keeping import Keeping
    from proxy.session.tokens import Token

ISSUER: Final = "urn:auth-proxy:service"
"""Who vouches for services: no provider can be called so, since its issuer is a URL."""

_EXITS = "Exits 0; 1 if there is no such token or they cannot be reached; 2 for a mistake."
_HEADINGS = ("ID", "NAME", "GROUPS", "ROLES", "ROUTES", "MADE", "LAST USED", "EXPIRES")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", re.ASCII)
_SHORTEST: Final = 60.0
_NOWHERE = "needs redis.url or session.file: in the proxy's memory nobody else can keep a token"

Act = Callable[["Keeping", Settings, argparse.Namespace], Awaitable[int]]


def add(commands: Commands) -> None:
    """Declare the command and what it does."""
    text = "make, see and revoke tokens for machines: in redis.url or session.file"
    rows = (
        ("create", "make a service token, and print it this once", _create, _add_create),
        ("list", "all service tokens", _list, _add_list),
        ("revoke", "end one token, a person's too", _revoke, _add_revoke),
    )
    add_actions(commands, "tokens", text, _EXITS, run, rows)


def _add_create(parser: Parser) -> str:
    add = parser.add_argument
    add("--name", metavar="N", required=True, type=_name, help="which service it is for")
    add(
        "--routes", metavar="PATHS", required=True, type=_routes,
        help="where it is good, as in routes[].path, with commas: /api/*,/v1/*",
    )  # fmt: skip
    add("--expires", metavar="TIME", required=True, type=_lifetime, help="how long: 90d")
    add("--groups", metavar="A,B", default=(), type=_names, help="groups that it is in")
    add("--roles", metavar="R,S", default=(), type=_names, help="its roles, the first one first")
    add("--email", metavar="E", type=_email, help="its e-mail address, for rules")
    add("--json", action="store_true", help="as JSON, with all that is known")
    return (
        "--name N --routes PATHS --expires TIME [--groups A,B] [--roles R,S] [--email E] [--json]"
    )


def _add_list(parser: Parser) -> str:
    parser.add_argument("--json", action="store_true", help="as JSON, with all that is known")
    return "[--json]"


def _add_revoke(parser: Parser) -> str:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "id", metavar="ID", nargs="?", help="the token's public id: tok_…, never the token"
    )
    which.add_argument("--person", metavar="SUB", help="all of a person's tokens, by their subject")
    parser.add_argument("--issuer", metavar="URL", help="whose subject --person is")
    return "(ID | --person SUB --issuer URL)"


def run(parsed: argparse.Namespace) -> int:
    """Do what was asked, with the configuration of the proxy."""
    return _ERRAND.run(parsed)


def _problem(settings: Settings, parsed: argparse.Namespace) -> str:
    if settings.auth.disabled:
        return "auth.disabled: no token is asked for"
    if not settings.redis.url and not settings.session.file:
        return _NOWHERE
    person, issuer = (getattr(parsed, name, None) for name in ("person", "issuer"))
    return "--person and --issuer go together" if bool(person) != bool(issuer) else ""


async def _act(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    act: Act = parsed.act
    return await act(keeping, settings, parsed)


_ERRAND = Errand("tokens", _problem, _act)


async def _create(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    from proxy.crypto.token import make

    secret, now = make(settings.tokens.prefix, "s", os.urandom), time.time()
    token = await keeping.tokens.create(secret, _service(parsed, now), now)
    if parsed.json:
        print(json.dumps({**_shown(token), "secret": secret}, indent=2))
        return 0
    print(secret)
    until = moment(token.expires_at)
    print(f"{token.id}, good until {until}; it is not shown again", file=sys.stderr)
    return 0


def _service(parsed: argparse.Namespace, now: float) -> Token:
    from proxy.model import Identity
    from proxy.session.tokens import Token

    subject = f"service:{parsed.name}"
    identity = Identity(
        issuer=ISSUER,
        subject=subject,
        user=subject,
        email=parsed.email or "",
        email_verified=True if parsed.email else None,
        name=parsed.name,
        groups=parsed.groups,
        role=next(iter(parsed.roles), ""),
        roles=parsed.roles,
    )
    return Token(
        kind="service",
        name=parsed.name,
        issuer=ISSUER,
        subject=subject,
        created_at=now,
        expires_at=now + parsed.expires,
        routes=parsed.routes,
        identity=identity,
    )


async def _list(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    tokens = await keeping.tokens.services(time.time())
    if parsed.json:
        print(json.dumps([_shown(token) for token in tokens], indent=2))
    elif tokens:
        print(*table([_HEADINGS, *map(_row, tokens)]), sep="\n")
    else:
        print("no service token")
    return 0


async def _revoke(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    now = time.time()
    if parsed.person:
        return await _revoke_all(keeping, parsed, now)
    token = await keeping.tokens.get(parsed.id, now)
    if token is None:
        return _ERRAND.fail("there is no token with this id", 1)  # it may be a token: not repeated
    await keeping.revoke(token, now)
    print(f"{token.id} revoked")
    return 0


async def _revoke_all(keeping: Keeping, parsed: argparse.Namespace, now: float) -> int:
    """Also those that are made while this runs stand for nobody until the next sign-in."""
    await keeping.people.forget(parsed.issuer, parsed.person)
    found = await keeping.tokens.of_person(parsed.issuer, parsed.person, now)
    for token in found:
        await keeping.revoke(token, now)
    print(f"{len(found)} revoked")
    return 0 if found else 1


def _shown(token: Token) -> dict[str, object]:
    """All but what would open anything."""
    who = token.identity
    return {
        "id": token.id,
        "name": token.name,
        "sub": token.subject,
        "email": who.email if who else "",
        "groups": list(who.groups) if who else [],
        "roles": list(who.roles) if who else [],
        "routes": list(token.routes),
        "created_at": int(token.created_at),
        "last_used_at": int(token.used_at) or None,
        "expires_at": int(token.expires_at),
    }


def _row(token: Token) -> tuple[str, ...]:
    who = token.identity
    lists = (who.groups if who else (), who.roles if who else (), token.routes)
    used = moment(token.used_at) if token.used_at else ""
    moments = (moment(token.created_at), used, moment(token.expires_at))
    return (token.id, plain(token.name), *(",".join(each) for each in lists), *moments)


# The arguments


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("1 to 60 of A-Z a-z 0-9 . _ -, a letter or digit first")
    return text


def _names(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    if not all(each and each.isprintable() for each in found):
        raise argparse.ArgumentTypeError("names, separated by commas")
    return found


def _routes(text: str) -> tuple[str, ...]:
    try:
        return tuple(route_path(path) for path in _names(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _lifetime(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    if seconds < _SHORTEST:
        raise argparse.ArgumentTypeError("a minute at least")
    return seconds


def _email(text: str) -> str:
    email = normalise_email(text)
    if not email:
        raise argparse.ArgumentTypeError("no e-mail address")
    return email
