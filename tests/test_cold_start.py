"""What the first answer waits for: nothing is loaded that only later answers need.

Nothing is timed here, so that a busy machine cannot fail it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.commands import _COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0

# Runs the command as its script does. Every module that it or a worker of its loads is written
# down at once; in the end it tells what the process had become.
_TELLING = """
import os, sys
def note(event, details):
    if event == "import":
        book = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
        os.write(book, details[0].encode() + b"\\n")
        os.close(book)
sys.addaudithook(note)
from proxy.cli import main
status = main(sys.argv[2:])
import gc, json
from aiohttp import connector
print(json.dumps({
    "status": status,
    "collects": gc.isenabled(),
    "frozen": gc.get_freeze_count(),
    "authorities": connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509"],
    "environ": {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")},
}))
"""

_LATER = {
    "authlib": "a sign-in",
    "jinja2": "a page",
    "jwt": "a token",
    "cryptography.x509": "a token",
    "prometheus_client": "a scrape",
    "redis": "sessions in Redis",
    "proxy.demo": "the demo",
    "proxy.config.render": "generate",
    **{
        f"proxy.cli.{name.replace('-', '_')}": name
        for name in _COMMANDS
        if name not in ("serve", "check")
    },
}
"""Module → what has to happen before it is needed."""


@dataclass
class Served:
    """A running proxy; ``told`` is what it said when it had ended."""

    port: int
    book: Path
    process: subprocess.Popen[bytes]
    told: dict[str, Any]

    def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes]:
        """Ask until it listens. Status and body."""
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        with contextlib.closing(connection):
            while True:
                try:
                    connection.connect()
                    break
                except ConnectionRefusedError:
                    assert self.process.poll() is None, "it ended"
                    assert time.monotonic() < deadline, "it does not listen"
                    time.sleep(0.02)
            connection.request("GET", path, headers={"Accept": accept})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def loaded(self) -> set[str]:
        """What should come later, and is there already."""
        modules = set(self.book.read_text(encoding="utf-8").split())
        assert "proxy.web.app" in modules
        return _LATER.keys() & modules


@contextlib.contextmanager
def serving(port: int, folder: Path, **environ: str) -> Iterator[Served]:
    book = folder / "modules"
    book.touch()
    given = {
        "AUTH_PROXY_PUBLIC_URL": f"http://localhost:{port}",
        "AUTH_PROXY_UPSTREAM": "http://127.0.0.1:1",
        "AUTH_PROXY_SERVER_LISTEN": f"127.0.0.1:{port}",
        "AUTH_PROXY_SERVER_PRIVATE_LISTEN": "off",
        "AUTH_PROXY_PROVIDER_ISSUER_URL": "http://127.0.0.1:1",
        "AUTH_PROXY_PROVIDER_CLIENT_ID": "app",
        "AUTH_PROXY_PROVIDER_CLIENT_SECRET": "a secret of the provider",
        "AUTH_PROXY_COOKIE_SECRET": os.urandom(32).hex(),
        **environ,
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AUTH_PROXY_", "SSL_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", _TELLING, str(book), "serve"],
        cwd=ROOT,
        env=inherited | given,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    served = Served(port, book, process, {})
    try:
        yield served
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=PATIENCE)
        served.told |= json.loads(out)
    finally:
        process.kill()
        process.communicate()
    assert served.told["status"] == 0


def test_the_first_answers_load_what_they_need(free_port: int, tmp_path: Path) -> None:
    with serving(free_port, tmp_path) as served:
        assert served.get("/ping")[0] == 200
        assert served.loaded() == set()
        status, page = served.get("/oauth2/sign_in", "text/html")
        assert (status, page[:15].lower()) == (200, b"<!doctype html>")
        assert served.loaded() == {"jinja2"}


def test_loading_quickly_leaves_the_process_as_any_other(free_port: int, tmp_path: Path) -> None:
    with serving(free_port, tmp_path, SSL_CERT_DIR="/etc/ssl/certs") as served:
        served.get("/ping")
    assert served.told["collects"]
    assert served.told["frozen"] > 10_000
    assert served.told["environ"] == {"SSL_CERT_FILE": None, "SSL_CERT_DIR": "/etc/ssl/certs"}


def test_no_library_trusts_anybody_on_its_own(free_port: int, tmp_path: Path) -> None:
    """Every TLS context is one that we made: the one that aiohttp makes knows no authority."""
    with serving(free_port, tmp_path) as served:
        served.get("/ping")
    assert served.told["authorities"] == 0


@pytest.mark.parametrize("arguments", [["--version"], ["keys", "secret"]])
def test_other_commands_load_no_server(arguments: list[str]) -> None:
    code = "import sys; from proxy.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=True
    )
    assert not {"aiohttp", "asyncio", "jinja2", "proxy.web"} & set(done.stdout.decode().split())


def test_commands_of_a_terminal_load_nothing_of_a_server(tmp_path: Path) -> None:
    """They run for every request of curl and git."""
    code = "import sys; from proxy.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    for command in ("token", "logout"):
        done = subprocess.run(
            [sys.executable, "-c", code, command, "https://app.example.org"],
            cwd=ROOT,
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        loaded = set(done.stdout.decode().split())
        assert f"proxy.cli.{command}" in loaded
        assert not {"pydantic", "yaml", "cryptography", "aiohttp", "proxy.config"} & loaded
