"""Listening sockets of each kind, and in words why one could not be had."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

BACKLOG: Final = 2048
"""Connections that may wait to be accepted; the kernel cuts it to net.core.somaxconn."""

FileId = tuple[int, int]
"""Device and inode."""


class Unusable(Exception):
    """An address that cannot be listened on, in words."""


def tcp_socket(
    family: int, where: tuple[Any, ...], *, reuse_port: bool, alone: bool = False
) -> socket.socket:
    """Bound and listening; ``alone``: nobody else may listen there yet. Raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if reuse_port and alone and where[1]:
            _check_alone(family, where)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # so that 0.0.0.0 and [::] can stand side by side
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _check_alone(family: int, where: tuple[Any, ...]) -> None:
    """Another proxy with several workers would share the port without a word. Raises OSError."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(where)  # it does not listen, so that nobody reaches it


def unix_socket(path: str, mode: int) -> socket.socket:
    """Bound and listening; takes the place of a socket that nobody listens on any more.

    Raises OSError and Unusable.
    """
    if file_id(path) is not None:
        _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, mode)  # before it listens: until then nobody can connect
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise Unusable("there is a file that is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # somebody listens, and is busy
            pass
    raise Unusable("another process listens there")


def file_id(path: str) -> FileId | None:
    """Which file is at ``path``, links not followed; None when there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def passed_socket(fd: int) -> socket.socket:
    """Our own copy of a listening socket that was passed. Raises OSError and Unusable."""
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as exc:
        raise Unusable(f"file descriptor {fd} is not a socket") from exc
    os.set_inheritable(fd, False)
    streams = sock.type == socket.SOCK_STREAM
    if not streams or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise Unusable(f"file descriptor {fd} does not listen (ListenStream=, Accept=no)")
    sock.setblocking(False)
    return sock


_HINTS: Final[Mapping[int, str]] = MappingProxyType(
    {
        errno.EADDRINUSE: "another process listens there (ss -ltnp names it): stop it, "
        "or choose another port",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EAFNOSUPPORT: "this machine does not speak that kind of address",
        errno.ENOENT: "there is no such directory: create it first",
        errno.ENOTDIR: "there is no such directory: create it first",
        errno.EROFS: "the file system is read-only",
        errno.EMFILE: "too many files are open: raise the limit (ulimit -n, LimitNOFILE=)",
    }
)


def why(exc: OSError | Unusable, port: int) -> str:
    """What is wrong and what may help; ``port`` is 0 for a unix socket."""
    if isinstance(exc, Unusable):
        return str(exc)
    if isinstance(exc, socket.gaierror):
        return f"the name cannot be resolved ({exc.strerror})"
    if exc.errno in (errno.EACCES, errno.EPERM):
        if port:
            return (
                f"permission denied: a port as low as {port} needs CAP_NET_BIND_SERVICE; "
                "choose a higher one, or let systemd listen"
            )
        return "permission denied: this process may not write in that directory"
    hint = _HINTS.get(exc.errno or 0)
    return f"{exc.strerror}: {hint}" if hint else str(exc.strerror or exc)
