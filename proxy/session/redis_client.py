"""The door to redis-py: one connection, on which one question at a time is asked and answered.

Its ``Connection`` alone is used (handshake, TLS, wire format), none of its clients and pools:
those hand a connection on after a cancelled command, retry where a write may have happened, and
wait longer than we may. Here whatever was not answered in full closes its connection, so that no
reply is ever read by who did not ask for it (CVE-2023-28858, CVE-2023-28859).
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    MovedError,
    RedisError,
    ResponseError,
)

from proxy.config.keeping import Redis
from proxy.errors import ConfigError, Reason, StoreError
from proxy.session.redis_address import Address, Login

Command = tuple[Any, ...]
"""Words, as texts, bytes and whole numbers."""

_CODES: Final = {
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "NoPermissionError": "NOPERM",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "TryAgainError": "TRYAGAIN",
}


_FAULTS: Final = (RedisError, OSError, EOFError, ValueError, LookupError)
"""What redis-py raises; the last two where what answers is no Redis."""


class Broken(StoreError):
    """A connection that could not be made, or was lost before the whole answer was there."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.STORE_UNAVAILABLE, detail)


@dataclass(frozen=True, slots=True)
class Refused:
    """An error in place of an answer; only its code, since its words may quote a key."""

    code: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The key is at another node of the Cluster: for good, or (``asking``) for this once."""

    address: Address
    asking: bool


Reply = bytes | int | list[Any] | Refused | Moved | None


class _Wire(Protocol):
    """What we use of a redis-py connection."""

    @property
    def is_connected(self) -> bool: ...
    async def connect(self) -> None: ...
    async def can_read(self) -> bool: ...
    def pack_commands(self, commands: Sequence[Command]) -> list[bytes]: ...
    async def send_packed_command(self, command: list[bytes], check_health: bool) -> None: ...
    async def read_response(self, disable_decoding: bool) -> Any: ...


class Line:
    """One open connection. ``exchange`` is for one asker at a time; nothing outlives a fault."""

    def __init__(self, wire: _Wire, address: Address) -> None:
        self.address = address
        self._wire = wire

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Answers in the commands' order. Raises Broken.

        Whatever it is left by, cancellation too, the connection is whole or closed.
        """
        try:
            await self._send(commands)
            return [await self._reply() for _ in commands]
        except BaseException as error:
            self.abort()
            if isinstance(error, _FAULTS):
                raise Broken(f"{self.address}: {_words(error)}") from None
            raise

    async def tell(self, command: Command) -> None:
        """Send, while another task waits in ``hear``. Raises Broken."""
        try:
            await self._send([command])
        except _FAULTS as error:
            self.abort()
            raise Broken(f"{self.address}: {_words(error)}") from None

    async def hear(self) -> Reply:
        """The next that the server says of its own. Raises Broken."""
        try:
            return await self._reply()
        except _FAULTS as error:
            self.abort()
            raise Broken(f"{self.address}: {_words(error)}") from None

    async def _send(self, commands: Sequence[Command]) -> None:
        if not self._wire.is_connected:  # it would connect again by itself
            raise Broken(f"{self.address}: the connection was closed")
        await self._wire.send_packed_command(self._wire.pack_commands(commands), check_health=False)

    async def _reply(self) -> Reply:
        try:
            return cast("Reply", await self._wire.read_response(disable_decoding=True))
        except AskError as error:  # MovedError is one
            host = str(error.host) or self.address.host
            return Moved(Address(host, int(error.port)), not isinstance(error, MovedError))
        except ResponseError as error:
            return Refused(_code(error))

    async def stale(self) -> bool:
        """Whether it was closed, or holds what nobody asked for, since the last answer."""
        try:
            return await self._wire.can_read()
        except _FAULTS:
            return True

    def abort(self) -> None:
        """Close at once: what was not sent yet never is."""
        wire: Any = self._wire
        writer, wire._writer, wire._reader = wire._writer, None, None
        if writer is not None:
            writer.transport.abort()


def _words(error: Exception, usual: str = "the connection was lost") -> str:
    """What went wrong, in nobody's words but ours: theirs may quote a name, a key, a password."""
    if isinstance(error, AuthenticationError):
        return "refused our user or password"
    if isinstance(error, BusyLoadingError):
        return "is still loading its data"
    if isinstance(error, ResponseError):
        return f"refused us: {_code(error)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    cause = error.__context__
    return _words(cause, usual) if isinstance(cause, OSError) else usual


def _code(error: ResponseError) -> str:
    code = _CODES.get(type(error).__name__) or str(error).partition(" ")[0]
    return code if code.isalpha() and code.isupper() else "ERR"


class Dialer:
    """Opens connections. Raises ConfigError when a file of ``redis.*`` cannot be used."""

    def __init__(self, settings: Redis, tls: bool) -> None:
        self._tls = _tls(settings) if tls else None
        self._timeout = settings.timeout

    async def dial(self, address: Address, login: Login) -> Line:
        """A connection that is signed in. Raises Broken."""
        options: dict[str, Any] = {
            "db": login.db,
            "username": login.user or None,
            "password": login.password or None,
            "socket_timeout": None,  # ours is the deadline, over everything
            "socket_connect_timeout": self._timeout,
            "protocol": 2,
        }
        wire: Any
        if address.path:
            wire = UnixDomainSocketConnection(path=address.path, **options)
        elif self._tls is None:
            wire = Connection(host=address.host, port=address.port, **options)
        else:
            wire = SSLConnection(host=address.host, port=address.port, **options)
            # Else it reads every authority of the system anew, for each connection.
            wire.ssl_context.context = self._tls
        line = Line(wire, address)
        try:
            await wire.connect()
        except BaseException as error:
            line.abort()
            if isinstance(error, _FAULTS):
                words = _words(error, "cannot be reached")
                raise Broken(f"{address}: {words}") from None
            raise
        return line


def _tls(settings: Redis) -> ssl.SSLContext:
    """Trusts ``redis.ca_file`` alone, where there is one. Certificate and name are verified."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError:
        raise ConfigError(
            [f"redis.ca_file: {settings.ca_file} holds no certificates, or cannot be read"]
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate_file:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file or None, "")
        except (OSError, ValueError):
            raise ConfigError(
                [
                    f"redis.certificate_file: {settings.certificate_file} and its key do not "
                    "belong together, are encrypted, or cannot be read"
                ]
            ) from None
    return context
