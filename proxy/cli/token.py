"""``auth-proxy token``: the token of this terminal, for a program that sends it."""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import UTC, datetime

from proxy.cli.arguments import Commands, Parser
from proxy.cli.origin import Failure, origin_of
from proxy.cli.renewal import fresh
from proxy.cli.stored import Stored, drawer
from proxy.cli.terminal import add_address, ending

_KUBERNETES = "client.authentication.k8s.io/"
_VERSIONS = ("v1", "v1beta1")


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "print the token of a terminal that is signed in, renewed if it ends within a minute"
    parser: Parser = commands.add_parser("token", help=text, description=text, allow_abbrev=False)
    add_address(parser)
    parser.add_argument(
        "--kubectl", action="store_true", help="as an ExecCredential, for kubectl's exec plugins"
    )
    parser.set_defaults(run=ending("token", run))


def run(parsed: argparse.Namespace) -> int:
    """Print it, alone. Raises Failure."""
    origin = origin_of(parsed.url)
    form = _version_wanted(os.environ.get("KUBERNETES_EXEC_INFO", "")) if parsed.kubectl else ""
    stored = fresh(drawer(), origin, time.time, parsed.ca_file)
    print(exec_credential(stored, form) if form else stored.token)
    return 0


def exec_credential(stored: Stored, version: str) -> str:
    """What client-go reads: a token, and until when not to ask again."""
    until = datetime.fromtimestamp(int(stored.expires_at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "apiVersion": version,
            "kind": "ExecCredential",
            "status": {"expirationTimestamp": until, "token": stored.token},
        }
    )


def _version_wanted(told: str) -> str:
    """kubectl takes no other version than it names. Raises Failure."""
    if not told:
        return f"{_KUBERNETES}{_VERSIONS[0]}"
    try:
        version = json.loads(told)["apiVersion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        version = ""
    if version not in {f"{_KUBERNETES}{one}" for one in _VERSIONS}:
        raise Failure(f"KUBERNETES_EXEC_INFO: apiVersion must be {_KUBERNETES}v1")
    return str(version)
