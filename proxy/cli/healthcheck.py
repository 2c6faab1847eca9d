"""``auth-proxy healthcheck``: does a running proxy answer? Made for container images."""

from __future__ import annotations

import argparse
import http.client
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from proxy.cli.arguments import Commands, Parser, add_config
from proxy.cli.sources import read_draft
from proxy.config.paths import endpoint_paths
from proxy.config.settings import Settings
from proxy.config.types import parse_listen
from proxy.errors import ConfigError

_FALLBACK = "http://127.0.0.1:4180/ping"


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "ask a running proxy whether it is alive; exits 0 or 1"
    parser: Parser = commands.add_parser(
        "healthcheck", help=text, description=text, allow_abbrev=False
    )
    add_config(parser)
    parser.add_argument("--url", help="what to ask; else it follows from server.listen")
    parser.add_argument("--timeout", type=float, default=5.0, help="in seconds (%(default)s)")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """0 when the answer is 200, else 1."""
    url, host = (parsed.url, "") if parsed.url else _default(parsed)
    if urlsplit(url).scheme not in ("http", "https"):
        print(f"{url}: not an http URL", file=sys.stderr)
        return 1
    request = urllib.request.Request(url, headers={"Host": host} if host else {})  # noqa: S310
    # No proxy of the environment: the question is whether this machine answers.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=parsed.timeout) as response:
            status = response.status
    except urllib.error.HTTPError as exc:
        exc.close()
        status = exc.code
    except (OSError, http.client.HTTPException, ValueError) as exc:
        print(f"{url}: no answer: {exc}", file=sys.stderr)
        return 1
    print(f"{url}: {status}", file=sys.stdout if status == 200 else sys.stderr)
    return 0 if status == 200 else 1


def _default(parsed: argparse.Namespace) -> tuple[str, str]:
    """URL and Host header, from the configuration as far as it can be read."""
    try:
        found = read_draft(parsed)
    except ConfigError:
        return _FALLBACK, ""
    host = "" if "public_url" in found.broken else urlsplit(found.settings.public_url).netloc
    return _local_url(found.settings), host


def _local_url(settings: Settings) -> str:
    host, port = parse_listen(settings.server.listen)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{endpoint_paths(settings).ping}"
