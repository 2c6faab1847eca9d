"""The proxy's endpoints for terminals, small and honest: RFC 8628, refresh and RFC 7009.

A person confirms or denies by calling methods. Every wish of a test is a plain attribute.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

_PATIENCE = 30.0
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its path, its form, and the headers."""

    path: str
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class Waits:
    """A terminal that waits; ``state`` is the word for its next question, or "allowed"."""

    state: str = "authorization_pending"
    groups: tuple[str, ...] = ()


class DeviceServer(ThreadingHTTPServer):
    """Listens on loopback at a port of its own."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        self.asked: list[Asked] = []
        self.waiting: dict[str, Waits] = {}
        self.good: set[str] = set()
        self.refreshing: set[str] = set()
        self.ttl = 3600
        self.interval = 1
        self.gives_refresh = True
        self.answers: list[str] = []
        """What further polls are answered, before all else; a number is a bare status."""
        self.on_ask: Any = None
        """Called with the terminal that waits, at each of its questions."""
        self.arrived, self.release = threading.Event(), threading.Event()
        """A renewal has come; renewals may be answered, which is so until a test clears it."""
        self.release.set()
        self.away: int = 0
        """Not 0: every answer has this status."""
        self.verification_uri = f"{self.url}/oauth2/device"
        self._lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may go when they do not like us."""

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    def answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        """Status and document."""
        with self._lock:
            self.asked.append(asked)
            if self.away:
                return self.away, {}
            if asked.path == "/oauth2/device/authorize":
                return 200, self._authorize()
            if asked.path == "/oauth2/device/revoke":
                self.good.discard(asked.form["token"])
                self.refreshing.discard(asked.form["token"])
                return 200, {}
            if asked.path != "/oauth2/device/token":
                return 404, {"error": "not_found", "message": "nothing is here"}
            if asked.form.get("grant_type") == DEVICE_CODE:
                return self._poll(asked.form)
            self.arrived.set()
            self.release.wait(_PATIENCE)
            return self._refresh(asked.form)

    def _authorize(self) -> dict[str, Any]:
        code = secrets.token_urlsafe(32)
        self.waiting[code] = Waits()
        return {
            "device_code": code,
            "user_code": "BCDF-GHJK",
            "verification_uri": self.verification_uri,
            "expires_in": 600,
            "interval": self.interval,
        }

    def _poll(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        waits = self.waiting.get(form.get("device_code", ""))
        if waits is None:
            return 400, {"error": "invalid_grant"}
        if self.answers:
            error = self.answers.pop(0)
            if error.isdecimal():
                return int(error), {}
            return (429 if error == "slow_down" else 400), {"error": error, "interval": 7}
        if self.on_ask:
            self.on_ask(waits)
        if waits.state != "allowed":
            return 400, {"error": waits.state}
        team = form.get("team_id", "")
        if team and team not in waits.groups:
            return 400, {"error": "team_not_allowed"}
        if len(waits.groups) > 1 and not team:
            return 400, {"error": "team_selection_required", "teams": list(waits.groups)}
        del self.waiting[form["device_code"]]
        return 200, self._grant()

    def _refresh(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("refresh_token") not in self.refreshing:
            return 400, {"error": "invalid_grant", "error_description": "it has ended"}
        self.refreshing.discard(form["refresh_token"])
        return 200, self._grant()

    def _grant(self) -> dict[str, Any]:
        token, refresh = f"apx_t{secrets.token_hex(24)}", f"apx_r{secrets.token_hex(24)}"
        self.good.add(token)
        granted = {"access_token": token, "token_type": "Bearer", "expires_in": self.ttl}
        if self.gives_refresh:
            self.refreshing.add(refresh)
            granted["refresh_token"] = refresh
        return granted


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, DeviceServer)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = Asked(self.path, dict(parse_qsl(body)), dict(self.headers))
        status, document = self.server.answer(asked)
        data = json.dumps(document).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        assert isinstance(self.server, DeviceServer)
        self.server.asked.append(Asked(self.path, {}, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is for the test."""


@contextmanager
def device_server(tls: ssl.SSLContext | None = None) -> Iterator[DeviceServer]:
    """One that runs."""
    with DeviceServer(tls) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
