"""Where upstreams listen: http and https URLs, unix sockets, several of them for one upstream."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, WithJsonSchema

from proxy.config.types import parse_http_url

_UNIX = "unix:"
_LONGEST_SOCKET = 107  # bytes: what Linux takes, without the closing zero
_BETWEEN = re.compile(r"\s*,\s*(?=https?://|unix:)")  # a path may hold commas
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%\w+)?")
_NOT_IN_PATH = re.compile(r"[^\x21-\x7e]|[?#\\]")


def unix_parts(url: str) -> tuple[str, str] | None:
    """``unix:/run/app.sock:/base`` → the socket and the path; ``None`` for other URLs."""
    if not url.startswith(_UNIX):
        return None
    socket, _, path = url.removeprefix(_UNIX).partition(":")
    return socket, path


def base_path(url: str) -> str:
    """The path that goes in front of every request's, without a slash at its end."""
    unix = unix_parts(url)
    return (unix[1] if unix else urlsplit(url).path).rstrip("/")


def parse_upstream(value: object) -> str:
    """``http://app:8501``, ``https://app/base``, ``unix:/run/app.sock``. Raises ValueError."""
    text = str(value).strip()
    unix = unix_parts(text)
    if unix is not None:
        _check_unix(*unix)
        return text
    try:
        text = parse_http_url(text)
    except ValueError as exc:
        hint = "" if "://" in text else "; for a socket: unix:/run/app.sock"
        raise ValueError(f"{exc}{hint}") from None
    parts = urlsplit(text)
    if not _HOST.fullmatch(parts.hostname or ""):
        raise ValueError(f"{parts.hostname!r} is not the name or address of a host")
    if parts.port == 0 or parts.netloc.endswith(":"):
        raise ValueError("a port is a number from 1 to 65535")
    return text


def _check_unix(socket: str, path: str) -> None:
    if not socket.startswith("/") or socket.endswith("/"):
        raise ValueError("a socket is written unix:/run/app.sock, with its whole path")
    if "\0" in socket or len(socket.encode(errors="surrogateescape")) > _LONGEST_SOCKET:
        raise ValueError(f"the path of a socket holds at most {_LONGEST_SOCKET} bytes")
    if path and (not path.startswith("/") or _NOT_IN_PATH.search(path)):
        raise ValueError("after the socket comes : and a path such as /base")


def parse_upstreams(value: object) -> tuple[str, ...]:
    """One URL or several, as a list or as ``a,b``: the addresses of one upstream.

    Raises ValueError, also unless all have one scheme and one path.
    """
    if isinstance(value, str):
        value = [url for url in _BETWEEN.split(value.strip()) if url]
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(url, str) for url in value):
        raise ValueError("expected a URL such as http://app:8501, or a list of them")
    urls = tuple(map(parse_upstream, value))
    if len({_scheme(url) for url in urls}) > 1:
        raise ValueError("the addresses of one upstream have one scheme: all http, https or unix")
    if len({base_path(url) for url in urls}) > 1:
        raise ValueError("the addresses of one upstream have one path")
    for number, url in enumerate(urls):
        if url in urls[:number]:
            raise ValueError(f"{url} is named twice")
    return urls


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


Upstreams = Annotated[
    tuple[str, ...],
    BeforeValidator(parse_upstreams),
    WithJsonSchema(
        {
            "type": ["string", "array"],
            "items": {"type": "string"},
            "examples": ["http://app:8501", "unix:/run/app.sock", ["http://a:1", "http://b:1"]],
        }
    ),
]
