"""May the browser be sent there? Return addresses after sign-in and sign-out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from posixpath import normpath
from typing import Final
from urllib.parse import unquote

_MAX: Final = 2048
# Printable ASCII without backslash: browsers strip tabs and line ends, and read \ as /.
_SAFE: Final = re.compile(r"[!-\[\]-~]+", re.ASCII)
_AUTHORITY: Final = re.compile(
    r"(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Redirects:
    """``public_url`` without trailing slash; ``hosts`` as ``login.redirect_hosts``.

    ``own`` are the paths of our endpoints that may lie outside of ``prefix``, ``pages`` those of
    ours that a person may return to nevertheless.
    """

    public_url: str
    hosts: tuple[str, ...]
    prefix: str
    own: frozenset[str] = frozenset()
    pages: frozenset[str] = frozenset()

    def check(self, rd: str) -> str:
        """``rd`` itself if the browser may be sent there, else ``/``.

        A path stays a path, our own origin is reduced to one, and another origin passes only
        if its host is listed. Our own endpoints, but for pages, are never a place to return to.
        """
        if not rd or len(rd) > _MAX or not _SAFE.fullmatch(rd):
            return "/"
        if rd == self.public_url or rd.startswith(self.public_url + "/"):
            rd = rd[len(self.public_url) :] or "/"
        if rd.startswith("/"):
            return rd if self._safe_path(rd) else "/"
        return rd if self._listed(rd) else "/"

    def _safe_path(self, rd: str) -> bool:
        # Judged as written and as decoded once and twice: something on the way may decode.
        path = rd.partition("#")[0].partition("?")[0]
        if path in self.pages:
            return True
        for _ in range(3):
            if path.startswith("//") or "\\" in path or _has_control(path) or _has_dots(path):
                return False
            plain = normpath(path)  # something on the way may drop or join slashes, too
            if plain in self.own or plain == self.prefix or plain.startswith(self.prefix + "/"):
                return False
            path = unquote(path)
        return True

    def _listed(self, rd: str) -> bool:
        scheme, separator, rest = rd.partition("://")
        if not separator or scheme not in ("http", "https"):
            return False
        if scheme == "http" and self.public_url.startswith("https:"):
            return False
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        return bool(_AUTHORITY.fullmatch(authority)) and listed(authority, self.hosts)


def listed(authority: str, hosts: Sequence[str]) -> bool:
    """``app.example.org[:port]`` against ``host``, ``host:port`` or ``.domain`` entries.

    ``.example.org`` means its subdomains only; an entry without a port allows none.
    """
    host, _, port = authority.partition(":")
    for entry in hosts:
        name, _, wanted = entry.strip().lower().partition(":")
        if wanted != port or not name.strip("."):
            continue
        if host.endswith(name) and host != name if name.startswith(".") else host == name:
            return True
    return False


def _has_control(text: str) -> bool:
    return any(ord(char) < 0x20 or ord(char) == 0x7F for char in text)


def _has_dots(path: str) -> bool:
    return any(part in (".", "..") for part in path.split("/"))
