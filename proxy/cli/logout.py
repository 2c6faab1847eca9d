"""``auth-proxy logout``: give the tokens of this terminal back, and forget them."""

from __future__ import annotations

import argparse

from proxy.cli.arguments import Commands, Parser
from proxy.cli.origin import origin_of
from proxy.cli.remote import Remote
from proxy.cli.stored import drawer
from proxy.cli.terminal import add_address, ending, say


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "sign this terminal out at a proxy: its tokens are revoked there and forgotten here"
    more = "Exits 1 if the proxy could not be told; they are forgotten nevertheless."
    parser: Parser = commands.add_parser(
        "logout", help=text, description=f"{text}. {more}", allow_abbrev=False
    )
    add_address(parser)
    parser.set_defaults(run=ending("logout", run))


def run(parsed: argparse.Namespace) -> int:
    """Forget, and have them revoked. Raises Failure."""
    origin, kept = origin_of(parsed.url), drawer()
    with kept.alone_with(origin):
        stored = kept.get(origin)
        kept.put(origin, None)  # first: whatever happens next, it is not used again
    if stored is None:
        say(f"Not signed in at {origin}.")
        return 0
    remote = Remote(origin, stored.prefix, parsed.ca_file or stored.ca_file)
    if remote.revoke(stored.refresh_token, stored.token):
        say(f"Signed out at {origin}.")
        return 0
    say(
        f"Forgotten here, but {origin} could not be told: until they end, the tokens would "
        "still be good there."
    )
    return 1
