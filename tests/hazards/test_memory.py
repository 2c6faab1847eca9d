"""What bodies cost: a proxy in a process of its own, weighed from outside (F14, F15)."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.scripted import Script, endless, request, upstream
from tests.hazards.stage import HOST_LINE, ROUTES, Line, asking
from tests.process.served import Served, until

MIB = 2**20
KIB = 2**10
PIECE = b"x" * MIB
LARGE = 512 * MIB


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * KIB


@asynccontextmanager
async def served(folder: Path, ports: list[int], url: str) -> AsyncIterator[Served]:
    async with Served(folder, ports, upstream=url, routes=ROUTES) as place:
        yield place


def weigh(place: Served) -> int:
    (worker,) = place.workers() or [place.process.pid]
    return resident(worker)


async def settled(count: Callable[[], int]) -> None:
    """Wait until it has stayed the same for a moment."""
    last = -1
    while (now := count()) != last:
        last = now
        await asyncio.sleep(0.2)


def slow_socket(port: int) -> socket.socket:
    """A client whose own system keeps next to nothing for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    return sock


async def test_clients_that_do_not_read_cost_little(tmp_path: Path, free_ports: list[int]) -> None:
    count = 64
    script: Script = [request, b"HTTP/1.1 200 OK\r\n\r\n", endless(b"x" * 65536)]
    async with upstream(script) as app, served(tmp_path, free_ports, app.url) as place:
        for number in range(3):  # what the first requests load stays
            sock = slow_socket(place.port)
            sock.sendall(asking(b"/open/x"))
            await until(lambda n=number: len(app.peers) > n and app.peers[n].sent)  # type: ignore[misc]
            sock.close()
        before = weigh(place)
        known = len(app.peers)
        socks = [slow_socket(place.port) for _ in range(count)]
        try:
            for sock in socks:
                sock.sendall(asking(b"/open/x"))
            await until(lambda: len(app.peers) >= known + count)
            await settled(lambda: sum(peer.sent for peer in app.peers[known:]))
            assert (weigh(place) - before) / count <= 256 * KIB
        finally:
            for sock in socks:
                sock.close()
        await until(lambda: all(peer.gone.is_set() for peer in app.peers))


class Blunt:
    """An upstream with a thread for its one connection: it moves bytes as fast as it can."""

    def __init__(self, work: Callable[[socket.socket], None]) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._work = work
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except OSError:
            return
        with sock:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(65536)
            self._work(sock)

    def __enter__(self) -> Blunt:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self._thread.join(5)


def send_much(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
    for _ in range(LARGE // MIB):
        sock.sendall(PIECE)


def take_much(sock: socket.socket) -> None:
    """The head has taken up to 64 KiB of the body with it: those are not waited for."""
    left, buffer = LARGE - 65536, bytearray(MIB)
    while left > 0 and (got := sock.recv_into(buffer)):
        left -= got
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


async def highest(place: Served, over: asyncio.Event) -> int:
    """The most that the proxy weighs until then."""
    most = 0
    while not over.is_set():
        most = max(most, weigh(place))
        await asyncio.sleep(0.02)
    return most


def download(port: int) -> int:
    """Body bytes that came, head included."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(asking(b"/open/x", b"Connection: close\r\n"))
        found, buffer = 0, bytearray(MIB)
        while got := sock.recv_into(buffer):
            found += got
        return found


def upload(port: int) -> bytes:
    head = b"POST /open/x HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n" % (HOST_LINE, LARGE)
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(head)
        for _ in range(LARGE // MIB):
            sock.sendall(PIECE)
        return sock.recv(65536)


@pytest.mark.parametrize("way", ["down", "up"])
async def test_a_large_body_costs_no_more_than_a_small_one(
    way: str, tmp_path: Path, free_ports: list[int]
) -> None:
    with Blunt(send_much if way == "down" else take_much) as app:
        async with served(tmp_path, free_ports, app.url) as place:
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            line = Line(reader, writer)
            assert (await line.ask(asking(b"/ping"))).status == 200
            assert (await line.ask(asking(b"/app"))).status == 401
            writer.close()
            before, over = weigh(place), asyncio.Event()
            weighing = asyncio.create_task(highest(place, over))
            try:
                if way == "down":
                    assert await asyncio.to_thread(download, place.port) > LARGE
                else:
                    answer = await asyncio.to_thread(upload, place.port)
                    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            finally:
                over.set()
                most = await weighing
            assert most - before <= 32 * MIB
