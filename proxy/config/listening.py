"""Where the proxy listens: how an address is written, and what it means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from proxy.config.types import is_loopback, parse_listen

_NAME = re.compile(r"[!-9;-~]{1,255}", re.ASCII)  # as systemd has it: printable, without ':'
_LONGEST_PATH = 107  # bytes of sun_path, see unix(7)
_MODE = re.compile(r"0?[0-7]{3}")


@dataclass(frozen=True, slots=True)
class Tcp:
    """A host, which may have several addresses, and a port; 0 takes any that is free."""

    host: str
    port: int

    @property
    def local(self) -> bool:
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Unix:
    """A unix socket at an absolute path."""

    path: str
    local: bool = True


@dataclass(frozen=True, slots=True)
class Systemd:
    """Sockets that systemd passes under ``name``; empty means those that no other address names.

    Where they listen is the unit's matter, so they may be anywhere.
    """

    name: str
    local: bool = False


Address = Tcp | Unix | Systemd


def parse_address(text: str) -> Address:
    """``host:port``, ``[::1]:port``, ``:port``, ``unix:/path``, ``systemd[:name]``.

    Raises ValueError.
    """
    text = text.strip()
    kind, separator, rest = text.partition(":")
    if kind == "unix" and separator and not rest.isdecimal():
        if not rest.startswith("/") or "\0" in rest or rest.endswith("/"):
            raise ValueError(f"{text!r} is not unix: and an absolute path, as in unix:/run/x.sock")
        if len(rest.encode()) > _LONGEST_PATH:
            raise ValueError(f"{text!r}: a socket's path has at most {_LONGEST_PATH} bytes")
        return Unix(rest)
    if kind == "systemd" and not rest.isdecimal():
        if separator and not _NAME.fullmatch(rest):
            raise ValueError(f"{text!r} is not systemd:name, as FileDescriptorName= has it")
        return Systemd(rest)
    return Tcp(*parse_listen(text))


def parse_addresses(value: object) -> tuple[str, ...]:
    """One address, several with commas between, or a list; ``off`` or nothing means none.

    They stay as written; each has been parsed. Raises ValueError.
    """
    if isinstance(value, str):
        value = [] if value.strip().lower() in ("", "off") else value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("expected an address such as 127.0.0.1:4180, or a list of them")
    found = []
    for item in value:
        if not isinstance(item, str):
            raise ValueError("expected an address such as 127.0.0.1:4180")
        parse_address(item)
        found.append(item.strip())
    return tuple(found)


def parse_mode(value: object) -> int:
    """``0660``, ``660`` → the bits of a file mode. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"{value:o}"
    text = str(value).strip()
    if not _MODE.fullmatch(text):
        raise ValueError(f"{text!r} is not a file mode such as 0660")
    return int(text, 8)


Addresses = Annotated[
    tuple[str, ...],
    BeforeValidator(parse_addresses),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string"},
            "examples": ["127.0.0.1:4180", ["[::1]:4180", "unix:/run/auth-proxy/http.sock"]],
        }
    ),
]
Mode = Annotated[int, BeforeValidator(parse_mode), WithJsonSchema({"type": "string"})]
