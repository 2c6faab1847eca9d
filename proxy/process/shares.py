"""Listening sockets and whose they are: each worker has its own queue of connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.web.activation import Activation
from proxy.web.listeners import Listener, bind, close_all


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Shares:
    """For each address a group of sockets, at least one for each worker.

    The supervisor keeps all open for as long as the address is served: what waits in a queue is
    served by whoever takes the worker's place.
    """

    groups: tuple[tuple[Listener, ...], ...]

    def dealt(self, number: int, workers: int) -> list[Listener]:
        """The sockets of worker ``number`` of ``workers``, counted from 1; none is left over."""
        return [listener for group in self.groups for listener in group[number - 1 :: workers]]

    def __iter__(self) -> Iterator[Listener]:
        return (listener for group in self.groups for listener in group)

    def release(self, keep: Shares | None = None) -> None:
        """Close all sockets but those in ``keep``."""
        close_all(self, keep=tuple(keep or ()))


def open_shares(
    server: Server, workers: int, activation: Activation, before: Shares | None = None
) -> Shares:
    """Listen for ``workers`` on all that ``server`` names; sockets of ``before`` go on.

    Raises ConfigError with every problem; then nothing new stays open.
    """
    keep = [group[0] for group in before.groups] if before else []
    found = bind(server, reuse_port=True, activation=activation, keep=keep)
    twins: list[Listener] = []
    try:
        groups = [_group(listener, workers, before, twins) for listener in found]
    except OSError as exc:
        close_all([*found, *twins], keep=tuple(before or ()))
        names = ", ".join(listener.name for listener in found)
        raise ConfigError([f"cannot listen on {names} for {workers} workers: {exc}"]) from exc
    return Shares(tuple(groups))


def _group(
    listener: Listener, workers: int, before: Shares | None, twins: list[Listener]
) -> tuple[Listener, ...]:
    """The sockets of one address; new ones are in ``twins``, too. Raises OSError."""
    old = [group for group in before.groups if group[0].sock is listener.sock] if before else []
    members = [replace(listener, sock=m.sock, file=m.file) for group in old for m in group]
    members = members or [listener]
    while len(members) < workers:
        twins.append(listener.twin())
        members.append(twins[-1])
    return tuple(members)
