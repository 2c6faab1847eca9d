"""Where an upstream listens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from proxy.config.upstreams import unix_parts

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an upstream listens; ``host`` has no brackets.

    ``socket`` is the path of a unix socket, which is used instead of host and port.
    """

    scheme: str
    host: str
    port: int
    socket: str = ""

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Read ``http://host:port`` or ``unix:/socket`` (a path is left out). Raises ValueError."""
        if (unix := unix_parts(url)) is not None:
            if not unix[0].startswith("/"):
                raise ValueError(f"not the path of a socket: {url!r}")
            return cls("http", "localhost", 80, unix[0])
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
            raise ValueError(f"not the URL of an upstream: {url!r}")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])

    @property
    def authority(self) -> str:
        """Host and, unless it is the scheme's own, port: what a Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else self.authority
