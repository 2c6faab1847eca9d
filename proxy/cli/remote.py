"""A proxy as terminals see it: its endpoints of RFC 8628 (device) and RFC 7009 (revocation)."""

from __future__ import annotations

import http.client
import json
import platform
import ssl
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from proxy import __version__
from proxy.cli.origin import Failure, Origin, is_this_machine, plain

_TIMEOUT = 15.0
_LARGEST = 262_144
_FORM = "application/x-www-form-urlencoded"


class Unreachable(Failure):
    """There was no answer, or one that says to come back later: trying again may help."""

    wait = 0.0


class Refused(Failure):
    """The proxy said no: ``error`` is the word of RFC 6749 section 5.2 and RFC 8628 section 3.5,
    ``more`` whatever else it said."""

    def __init__(self, words: str, error: str, more: Mapping[str, Any]) -> None:
        super().__init__(words)
        self.error = error
        self.more = more


@dataclass(frozen=True, slots=True)
class Remote:
    """A proxy at ``origin``, with its own pages below ``prefix``.

    Redirects are refused, TLS is verified: by the system's authorities, or those in ``ca_file``.
    """

    origin: Origin
    prefix: str
    ca_file: str = ""
    timeout: float = _TIMEOUT

    def post(self, path: str, **form: str) -> dict[str, Any]:
        """The answer to a form, sent to ``{prefix}/device/{path}``.

        Raises Refused and Unreachable.
        """
        where = f"{self.prefix}/device/{path}"
        try:
            status, wait, data = self._exchange(where, urlencode(form))
        except ssl.SSLCertVerificationError as exc:
            raise Failure(
                f"{self.origin}: its certificate is not trusted ({exc.verify_message}); "
                "--ca-file names the authorities of a private network"
            ) from None
        except (OSError, http.client.HTTPException) as exc:
            reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise Unreachable(f"{self.origin} cannot be reached: {plain(reason)}") from None
        return self._read(where, status, wait, data)

    def revoke(self, *tokens: str) -> bool:
        """Give tokens back; False if the proxy could not be told."""
        told = True
        for token in filter(None, tokens):
            try:
                self.post("revoke", token=token)
            except Failure:
                told = False
        return told

    def _read(self, where: str, status: int, wait: str, data: bytes) -> dict[str, Any]:
        try:
            document = json.loads(data) if data else {}
        except (ValueError, RecursionError):
            document = None
        if status == 200 and isinstance(document, dict):
            return document
        told = document if isinstance(document, dict) else {}
        if (status == 429 and told.get("error") != "slow_down") or status >= 500:
            busy = Unreachable(f"{self.origin} cannot do it now: it answered {status}")
            busy.wait = float(wait) if wait.isdecimal() and len(wait) < 5 else 0.0
            raise busy
        if 400 <= status < 500 and status not in (404, 405) and isinstance(told.get("error"), str):
            words = told.get("error_description") or told.get("message") or told["error"]
            raise Refused(f"{self.origin}: {plain(str(words))}", told["error"], told)
        raise Failure(
            f"{self.origin}{where} answered {status}: no sign-in for terminals is there; "
            "it needs tokens.terminal, and --prefix if server.prefix is not /oauth2"
        )

    def _exchange(self, where: str, form: str) -> tuple[int, str, bytes]:
        """Status, Retry-After and body. Raises OSError and HTTPException."""
        connection = self._connection()
        headers = {
            "Content-Type": _FORM,
            "Accept": "application/json",
            "User-Agent": f"auth-proxy/{__version__} ({platform.system()})",  # the person sees it
            "Connection": "close",
        }
        deadline = time.monotonic() + self.timeout
        try:
            connection.request("POST", where, form, headers)
            with connection.getresponse() as answer:
                data = b""
                while chunk := answer.read1(65536):
                    data += chunk
                    if len(data) > _LARGEST or time.monotonic() > deadline:
                        raise OSError("its answer does not end")
                if answer.length:
                    raise OSError("its answer was cut off")
                return answer.status, answer.headers.get("Retry-After", "").strip(), data
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.origin.host, self.origin.port
        if self.origin.scheme == "http":  # this machine: no proxy in between
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        context = self._trust()
        between = None if is_this_machine(host) else _outgoing_proxy(host)
        if between is None:
            return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=context)
        tunnel = http.client.HTTPSConnection(
            between.host, between.port, timeout=self.timeout, context=context
        )
        tunnel.set_tunnel(host, port, headers=dict(between.headers))
        return tunnel

    def _trust(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError):
            raise Failure(f"{plain(self.ca_file)}: no certificates can be read there") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True, slots=True)
class _Between:
    host: str
    port: int
    headers: Mapping[str, str] = field(repr=False)


def _outgoing_proxy(host: str) -> _Between | None:
    """The HTTP proxy of this network, which makes a tunnel and sees nothing of what is in it."""
    url = urllib.request.getproxies().get("https", "")
    if not url or urllib.request.proxy_bypass(host):
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, port = parts.hostname or "", parts.port or 80
    except ValueError:
        name, port = "", 0
    if not name or parts.scheme != "http":
        raise Failure("https_proxy must be http://host:port")
    headers = {}
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
    return _Between(name, port, headers)
