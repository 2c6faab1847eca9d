"""``auth-proxy healthcheck``: does a running proxy answer? Made for container images."""

from __future__ import annotations

import argparse
import http.client
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.cli.arguments import Commands, Parser, add_config
from proxy.cli.sources import print_problems, read_draft
from proxy.config.listening import Tcp, Unix, parse_address
from proxy.config.paths import endpoint_paths
from proxy.config.settings import Server
from proxy.errors import ConfigError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "ask a running proxy whether it is alive; exits 0 or 1"
    parser: Parser = commands.add_parser(
        "healthcheck", help=text, description=text, allow_abbrev=False
    )
    add_config(parser)
    parser.add_argument(
        "--url",
        help="what to ask: http://…, https://…, or unix:/path/of/socket, with :/path behind it "
        "for another path than /ping; else it follows from server.listen",
    )
    parser.add_argument("--timeout", type=float, default=5.0, help="in seconds (%(default)s)")
    parser.set_defaults(run=run)


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask, and where: at host and port, or at the unix socket ``unix``.

    ``shown`` is how people would write it. ``name`` is the Host header; empty takes that of
    the address.
    """

    shown: str
    path: str
    host: str = "localhost"
    port: int | None = None
    name: str = ""
    unix: str = ""
    tls: ssl.SSLContext | None = None


def run(parsed: argparse.Namespace) -> int:
    """0 when the answer is 200, else 1."""
    shown = parsed.url or "server.listen"
    try:
        question = _given(parsed.url) if parsed.url else _configured(parsed)
        shown = question.shown
        status = ask(question, parsed.timeout)
    except ConfigError as exc:
        print_problems(exc.problems)
        return 1
    except (OSError, http.client.HTTPException, ValueError) as exc:
        print(f"{shown}: no answer: {exc}", file=sys.stderr)
        return 1
    print(f"{shown}: {status}", file=sys.stdout if status == 200 else sys.stderr)
    return 0 if status == 200 else 1


def ask(question: Question, timeout: float) -> int:
    """The answer's status. Raises OSError and HTTPException.

    No proxy of the environment is used: the question is whether this machine answers.
    """
    connection: http.client.HTTPConnection
    if question.tls is not None:
        connection = http.client.HTTPSConnection(
            question.host, question.port, timeout=timeout, context=question.tls
        )
    else:
        connection = http.client.HTTPConnection(question.host, question.port, timeout=timeout)
    try:
        if question.unix:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(timeout)
            connection.sock.connect(question.unix)
        headers = {"Host": question.name} if question.name else {}
        connection.request("GET", question.path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _given(url: str) -> Question:
    """Raises ValueError."""
    if url.startswith("unix:"):
        return _given_socket(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("neither an http URL nor unix:/path")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return Question(url, path, parts.hostname, parts.port, tls=tls)


def _given_socket(url: str) -> Question:
    """``unix:/run/x.sock``, ``unix:/run/x.sock:/ping``, as upstreams are. Raises ValueError."""
    file, _, path = url.removeprefix("unix:").partition(":")
    if not file.startswith("/") or not (path or "/").startswith("/"):
        raise ValueError("not unix: and an absolute path, as in unix:/run/x.sock")
    path = path or "/ping"
    return Question(f"unix:{file} {path}", path, unix=file)


def _configured(parsed: argparse.Namespace) -> Question:
    """From the configuration, as far as it can be used.

    Raises ConfigError when it cannot be read, ValueError when it does not say where to ask.
    """
    found = read_draft(parsed)
    settings = found.settings
    name = "" if "public_url" in found.broken else urlsplit(settings.public_url).netloc
    path = endpoint_paths(settings).ping
    for question in _questions(settings.server, path, name):
        return question
    raise ValueError("where systemd listens is not known here: say --url")


def _questions(server: Server, path: str, public: str) -> Iterator[Question]:
    """The addresses that can be asked, the simplest first."""
    everything = (
        (server.listen, False, public),
        (server.tls_listen, True, public),
        (server.private_listen, False, ""),
    )
    for names, tls, name in everything:
        for address in map(parse_address, names):
            if isinstance(address, Unix):
                shown = f"unix:{address.path} {path}"
                yield Question(shown, path, name=name, unix=address.path)
            elif isinstance(address, Tcp):
                host = _EVERYWHERE.get(address.host, address.host)
                bracketed = f"[{host}]" if ":" in host else host
                shown = f"{'https' if tls else 'http'}://{bracketed}:{address.port}{path}"
                context = _unverified() if tls else None
                yield Question(shown, path, host, address.port, name, tls=context)


def _unverified() -> ssl.SSLContext:
    """The certificate is for the public name, and we ask this machine: nothing is at stake."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
