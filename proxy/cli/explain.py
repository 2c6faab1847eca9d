"""``auth-proxy explain``: what happens to a request, who decided so, and what the upstream gets."""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys

from proxy.cli.arguments import Commands, Parser, add_config, add_options
from proxy.cli.sources import Configuration, print_problems
from proxy.config.provider import Provider
from proxy.config.providers import providers_of
from proxy.config.settings import Settings
from proxy.errors import ConfigError


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "say what happens to a request, and why; exits 0 (allowed), 1 (refused) or 2"
    parser: Parser = commands.add_parser("explain", help=text, description=text, allow_abbrev=False)
    add_config(parser)
    add_options(parser)
    parser.usage = f"{parser.prog} [--config FILE] [WHO ASKS ...] METHOD URL"
    parser.add_argument("method", metavar="METHOD", help="such as GET")
    parser.add_argument("url", metavar="URL", help="the whole URL, or a path of public_url")
    parser.add_argument("--provider", metavar="NAME", help="who signed them in; else the first")
    parser.add_argument("--client", metavar="ADDRESS", help="the client's address, for networks")
    parser.add_argument("--run-hook", action="store_true", help="run hooks.post_login, too")
    parser.add_argument("--json", action="store_true", help="for programs")
    add_person(parser)
    parser.set_defaults(run=run)


def add_person(parser: argparse.ArgumentParser) -> None:
    """The flags that describe a person."""
    group = parser.add_argument_group("who asks", "nobody who is signed in, unless it is said here")
    group.add_argument(
        "--claims", metavar="FILE",
        help="JSON: what ID token and userinfo say together; or an object with id_token, userinfo, "
        "access_token (objects of claims) and groups (a list, of the provider's API)",
    )  # fmt: skip
    group.add_argument("--email", metavar="ADDRESS", help="somebody with this verified address")
    group.add_argument("--email-unverified", action="store_true", help="it is not verified")
    group.add_argument("--sub", metavar="ID", help="their id; else 'someone'")
    group.add_argument("--groups", metavar="A,B", help="their groups")
    group.add_argument("--role", metavar="ROLE", help="the role that the provider claims for them")
    group.add_argument("--acr", metavar="CLASS", help="the authentication context class")
    group.add_argument("--amr", metavar="A,B", help="the authentication methods")
    group.add_argument(
        "--signed-in", metavar="DURATION", help="how long ago they signed in, such as 5m; else now"
    )
    group.add_argument(
        "--claim", metavar="NAME=VALUE", action="append", help="a further claim; may be repeated"
    )


def run(parsed: argparse.Namespace) -> int:
    """Print the explanation. Opens no connection, and starts nothing."""
    try:
        settings = Configuration(parsed).read()
    except ConfigError as exc:
        print_problems(exc.problems)
        return 2
    import asyncio  # late, like all that the other commands do without

    from proxy.cli.claimed import claimed
    from proxy.cli.explanation import as_document, as_text
    from proxy.web.explain import Question, explain
    from proxy.web.world import World

    world = World()
    try:
        told = claimed(parsed, _provider(settings, parsed.provider), world.clock())
        question = Question(
            method=parsed.method.upper(),
            url=parsed.url,
            client=str(ipaddress.ip_address(parsed.client)) if parsed.client else "",
            told=told[0] if told else None,
            provider=told[1] if told else None,
            runs_hook=parsed.run_hook,
        )
        found = asyncio.run(explain(settings, question, world))
    except ConfigError as exc:
        print_problems(exc.problems)
        return 2
    except (OSError, ValueError) as exc:
        print(f"auth-proxy explain: {exc}", file=sys.stderr)
        return 2
    print(json.dumps(as_document(found), indent=2) if parsed.json else as_text(found))
    return 0 if found.is_allowed else 1


def _provider(settings: Settings, name: str | None) -> Provider:
    providers = providers_of(settings)
    for provider in providers:
        if name is None or provider.name == name:
            return provider
    known = ", ".join(provider.name for provider in providers)
    raise ValueError(f"--provider {name}: there are {known}")
