"""Bodies of 1 MiB and 100 MiB, both ways: how fast, and what memory they cost."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial

from bench.clients.bodies import connection, download, head, repeat, upload
from bench.contenders import APACHE, AUTH_PROXY, NGINX, NGINX_STREAMING, OAUTH2_PROXY
from bench.model import BYTES, CPU_BYTES, GROWTH, Plan, Samples, turned
from bench.place import FILES, MIB, Place, Subject

_NAMES = (AUTH_PROXY, NGINX, NGINX_STREAMING, OAUTH2_PROXY, APACHE)


@dataclass(frozen=True, slots=True)
class Bodies:
    """One size and direction. ``file`` is one of ``place.FILES``."""

    file: str
    up: bool

    def __call__(self, place: Place, plan: Plan, found: Samples) -> None:
        with place.all_running(*_NAMES) as subjects:
            for subject in subjects:
                with connection(subject.port) as sock:  # warm: code and pools are in memory
                    _exchange(sock, subject, "1m", self.up)
            for number in range(plan.rounds):
                for subject in turned(subjects, number):
                    self._measure(subject, plan.seconds / 2, found)

    def _measure(self, subject: Subject, seconds: float, found: Samples) -> None:
        process = subject.process
        process.forget_peak()
        resident, cpu = process.resident(), process.cpu_seconds()
        with connection(subject.port) as sock:
            exchange = partial(_exchange, sock, subject, self.file, self.up)
            moved, elapsed = repeat(exchange, seconds)
        found.add(subject.name, BYTES, moved / MIB / elapsed)
        found.add(subject.name, CPU_BYTES, (process.cpu_seconds() - cpu) / (moved / MIB) * 1e6)
        found.add(subject.name, GROWTH, max(0, process.peak() - resident) / MIB)


def _exchange(sock: socket.socket, subject: Subject, file: str, up: bool) -> int:
    if not up:
        return download(sock, head("GET", subject.port, f"/files/{file}", subject.headers))
    size = FILES[file]
    headers = {**subject.headers, "Content-Length": str(size)}
    return upload(sock, head("POST", subject.port, "/stream/sink", headers), size)
