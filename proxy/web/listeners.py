"""What the settings listen on, bound before anything starts: every problem shows at once."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from proxy.config.listening import Address, Systemd, Tcp, Unix, parse_address
from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.web.activation import NOT_ACTIVATED, Activation
from proxy.web.sockets import (
    FileId,
    Unusable,
    file_id,
    passed_socket,
    tcp_socket,
    unix_socket,
    why,
)

_EVERY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Listener:
    """A socket that listens. ``name`` is the address as the settings have it.

    ``tls`` says what is spoken on it, ``private`` that it is for metrics and readiness, and
    ``redirect`` that it only sends people to ``public_url``. ``file`` is a unix socket's file,
    where ``bind`` made it.
    """

    sock: socket.socket
    name: str
    tls: bool = False
    private: bool = False
    redirect: bool = False
    file: FileId | None = None

    @property
    def unix(self) -> bool:
        return self.sock.family == socket.AF_UNIX

    @property
    def port(self) -> int:
        """The TCP port; 0 for a unix socket."""
        return 0 if self.unix else int(self.sock.getsockname()[1])

    def twin(self) -> Listener:
        """One for another worker, which takes a share of the connections. Raises OSError.

        Where a TCP address was bound with SO_REUSEPORT it is a second socket with a queue of
        its own; else (a unix socket, one of systemd's) it is the same queue again.
        """
        if self.unix or not self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
            return replace(self, sock=self.sock.dup(), file=None)
        where = self.sock.getsockname()
        return replace(self, sock=tcp_socket(self.sock.family, where, reuse_port=True))


def bind(
    server: Server,
    *,
    reuse_port: bool = False,
    activation: Activation = NOT_ACTIVATED,
    keep: Sequence[Listener] = (),
) -> list[Listener]:
    """Listen on everything that ``server`` names; connections queue until somebody accepts.

    With ``reuse_port`` other sockets can share the TCP ports (see ``Listener.twin``). What
    ``keep`` has bound already is taken from there: the same sockets, for what they are now.
    Raises ConfigError with every problem; then nothing stays bound but what ``keep`` holds.
    """
    binding = _Binding(server, reuse_port, activation, keep)
    found: list[Listener] = []
    problems: list[str] = []
    for option, name, tls, private in _wanted(server):
        address = parse_address(name)
        try:
            for listener in binding.listeners(name):
                redirect = server.redirect_http and not (tls or private or listener.unix)
                found.append(replace(listener, tls=tls, private=private, redirect=redirect))
        except (OSError, Unusable) as exc:
            port = address.port if isinstance(address, Tcp) else 0
            words = _our_own(exc, name, address, found) or why(exc, port)
            problems.append(f"{option}: cannot listen on {name}: {words}")
    problems += binding.unclaimed()
    if problems:
        close_all(found, keep=keep)
        raise ConfigError(problems)
    return found


def _our_own(
    exc: OSError | Unusable, name: str, address: Address, found: Iterable[Listener]
) -> str:
    """Which other entry of the settings is in the way of ``name``, in words; or nothing."""
    taken = isinstance(exc, OSError) and exc.errno == errno.EADDRINUSE
    if not taken or not isinstance(address, Tcp):
        return ""
    resolved = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for other in found:
        if other.port != address.port or other.name == name:
            continue
        host = other.sock.getsockname()[0]
        hosts = {where[0] for family, *_, where in resolved if family == other.sock.family}
        if hosts & {host, *_EVERY} or (hosts and host in _EVERY):
            return f"the settings name that address twice, also as {other.name}"
    return ""


def close_all(listeners: Iterable[Listener], *, keep: Iterable[Listener] = ()) -> None:
    """Close the sockets, and remove the files of the unix sockets that ``bind`` made.

    What ``keep`` goes on using stays. A file that somebody replaced since is not ours.
    """
    kept = {id(listener.sock) for listener in keep}
    for listener in listeners:
        if id(listener.sock) in kept:
            continue
        listener.sock.close()
        address = parse_address(listener.name)
        if listener.file is not None and isinstance(address, Unix):
            with suppress(OSError):
                if file_id(address.path) == listener.file:
                    os.unlink(address.path)


def _wanted(server: Server) -> Iterator[tuple[str, str, bool, bool]]:
    """Option, address as written, whether it speaks TLS, whether it is private."""
    yield from (("server.listen", name, False, False) for name in server.listen)
    yield from (("server.tls_listen", name, True, False) for name in server.tls_listen)
    yield from (("server.private_listen", name, False, True) for name in server.private_listen)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Binding:
    server: Server
    reuse_port: bool
    activation: Activation
    keep: Sequence[Listener]
    used: set[int] = field(default_factory=set)
    """Which of ``keep`` have been taken, by the id of their socket."""

    def listeners(self, name: str) -> Iterator[Listener]:
        """Raises OSError and Unusable."""
        address = parse_address(name)
        if isinstance(address, Tcp):
            yield from self._tcp(name, address)
        elif isinstance(address, Unix):
            yield self._unix(name, address.path)
        else:
            yield from self._systemd(name, address)

    def _tcp(self, name: str, address: Tcp) -> Iterator[Listener]:
        """One for each address of the host; what this machine lacks is left out."""
        port, found = address.port, 0
        lacking: OSError | None = None
        resolved = socket.getaddrinfo(
            address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, where in dict.fromkeys((entry[0], entry[4]) for entry in resolved):
            try:
                listener = self._kept(name, where) or Listener(
                    tcp_socket(
                        family,
                        (where[0], port, *where[2:]),
                        reuse_port=self.reuse_port,
                        alone=True,
                    ),
                    name,
                )
            except OSError as exc:
                if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                lacking = exc
                continue
            port = port or listener.port  # one port for all addresses of a name
            found += 1
            yield listener
        if lacking is not None and not found:
            raise lacking

    def _kept(self, name: str, where: tuple[Any, ...]) -> Listener | None:
        for listener in self.keep:
            if not isinstance(parse_address(listener.name), Tcp) or id(listener.sock) in self.used:
                continue
            host, port = listener.sock.getsockname()[:2]
            if host == where[0] and (port == where[1] or (not where[1] and listener.name == name)):
                self.used.add(id(listener.sock))
                return replace(listener, name=name)
        return None

    def _unix(self, name: str, path: str) -> Listener:
        there = file_id(path)
        for listener in self.keep:
            if there is not None and listener.name == name and listener.file in (there, None):
                os.chmod(path, self.server.unix_mode)
                return listener
        sock = unix_socket(path, self.server.unix_mode)
        return Listener(sock, name, file=file_id(path))

    def _systemd(self, name: str, address: Systemd) -> Iterator[Listener]:
        if self.activation.trouble:
            raise Unusable(self.activation.trouble)
        named = self._claimed_names()
        chosen = [
            fd
            for passed, fd in self.activation.sockets
            if (passed == address.name if address.name else passed not in named)
        ]
        if not chosen:
            names = ", ".join(sorted({passed for passed, _ in self.activation.sockets}))
            raise Unusable(
                f"systemd passed only {names} (FileDescriptorName= names a socket)"
                if names
                else "systemd passed no socket: start the .socket unit, not the process"
            )
        for fd in chosen:
            yield Listener(passed_socket(fd), name)

    def _claimed_names(self) -> frozenset[str]:
        addresses = (parse_address(name) for _, name, _, _ in _wanted(self.server))
        return frozenset(each.name for each in addresses if isinstance(each, Systemd))

    def unclaimed(self) -> Iterator[str]:
        """Sockets that were passed and that nobody would ever answer on."""
        claimed = self._claimed_names()
        for name, _ in self.activation.sockets:
            if "" not in claimed and name not in claimed:
                yield f"server.listen: systemd passed the socket {name}, and no option takes it"
