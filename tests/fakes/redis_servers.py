"""Real Redis servers for a test: on free ports, in a folder of their own, nothing kept on disk.

Each is a context manager; leaving it ends the processes.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.fakes.authority import Authority

PATIENCE = 60.0
MASTER = "the-master"
Word = str | int


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listened on a moment ago, and whose bus port is free too."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            probe, bus = (stack.enter_context(socket.socket()) for _ in range(2))
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port + 10000 < 65536:
                with contextlib.suppress(OSError):
                    bus.bind(("127.0.0.1", port + 10000))
                    ports.append(port)
    return ports


def wait_until(met: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass
class Server:
    """One process; ``port`` is 0 where it has only the socket at ``path``."""

    folder: Path
    port: int
    options: tuple[str, ...]
    path: str = ""
    ask_with: tuple[str, ...] = ()
    sentinel: bool = False
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"unix://{self.path}" if self.path else f"redis://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "redis.conf"
        file.write_text("\n".join(self.options) + "\n", encoding="utf-8")
        binary = shutil.which("redis-server")
        assert binary, "scripts/need redis-server"
        mode = ["--sentinel"] if self.sentinel else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [binary, str(file), *mode], cwd=self.folder, stdout=log, stderr=log
            )
        if wait:
            self.wait()

    def wait(self) -> None:
        wait_until(lambda: "PONG" in self.ask("PING"), f"{self.url} answers: {self.log()}")

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-500:]

    def kill(self) -> None:
        """As if its machine lost power."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ask(self, *words: Word) -> str:
        """By redis-cli, which shares no code with us; what it printed."""
        binary = shutil.which("redis-cli")
        assert binary, "scripts/need redis-server"
        place = ["-s", self.path] if self.path else ["-p", str(self.port)]
        command = [binary, *place, *self.ask_with, *map(str, words)]
        return subprocess.run(command, capture_output=True, check=False, timeout=10).stdout.decode()


_QUIET = (
    "save ''",
    "appendonly no",
    "daemonize no",
    "bind 127.0.0.1",
    "protected-mode no",
    "repl-diskless-sync-delay 0",
)


def server(folder: Path, port: int, *options: str) -> Server:
    """One that is not started yet."""
    return Server(folder, port, (*_QUIET, f"port {port}", f"dir {folder}", *options))


@contextmanager
def running(*servers: Server) -> Iterator[None]:
    try:
        for one in servers:
            one.start(wait=False)
        for one in servers:
            one.wait()
        yield
    finally:
        for one in servers:
            one.kill()


@contextmanager
def single(folder: Path, *options: str) -> Iterator[Server]:
    one = server(folder / "single", free_ports(1)[0], *options)
    with running(one):
        yield one


USER, PASSWORD = "proxy", "s3cret/:@#"


@contextmanager
def guarded(folder: Path, prefix: str = "auth-proxy:") -> Iterator[Server]:
    """Only ``USER`` may come in, and do only what docs say that it must be allowed to."""
    rights = (
        f"user {USER} on >{PASSWORD} resetkeys ~{prefix}* resetchannels &{prefix}* -@all "
        "+get +set +del +exists +eval +type +zadd +zrem +zrange +zscore +zcard "
        "+zremrangebyscore +incrby +time +pttl +pexpire +scan +ping "
        "+publish +subscribe +select +role"
    )
    one = server(folder / "guarded", free_ports(1)[0], "user default on >other ~* &* +@all", rights)
    one.ask_with = ("-a", "other", "--no-auth-warning")
    with running(one):
        yield one


@contextmanager
def over_tls(folder: Path, authority: Authority, name: str = "localhost") -> Iterator[Server]:
    """Speaks TLS only, and asks for a certificate of ``authority``'s. Its own is for ``name``."""
    certificate, key = authority.issue(name)
    shown, shown_key = authority.issue("client")
    port = free_ports(1)[0]
    one = server(
        folder / "tls",
        port,
        "port 0",
        f"tls-port {port}",
        f"tls-cert-file {certificate}",
        f"tls-key-file {key}",
        f"tls-ca-cert-file {authority.file}",
        "tls-auth-clients yes",
    )
    one.ask_with = ("--tls", "--insecure", "--cert", str(shown), "--key", str(shown_key))
    with running(one):
        yield one


@contextmanager
def on_unix_socket(folder: Path) -> Iterator[Server]:
    path = folder / "redis.sock"
    one = server(folder / "unix", 0, f"unixsocket {path}")
    one.path = str(path)
    with running(one):
        yield one


@dataclass
class Watched:
    """A master, its replica, and three Sentinels that take 1 s to give a server up."""

    servers: list[Server]
    sentinels: list[Server]

    @property
    def urls(self) -> list[str]:
        return [one.url for one in self.sentinels]

    def master_port(self) -> int:
        words = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER).split()
        return int(words[1]) if len(words) == 2 else 0

    def master(self) -> Server:
        return next(one for one in self.servers if one.port == self.master_port())


@contextmanager
def watched(folder: Path) -> Iterator[Watched]:
    first, second, *gates = free_ports(5)
    master = server(folder / "first", first)
    replica = server(folder / "second", second, f"replicaof 127.0.0.1 {first}")
    sentinels = [
        _sentinel(folder / f"sentinel{port}", port, first, second, gates) for port in gates
    ]
    every = Watched([master, replica], sentinels)
    with running(master, replica):
        wait_until(lambda: _follows(master, replica), "the replica has it all")
        with running(*sentinels):
            for one in sentinels:
                wait_until(partial(_knows_all, one), "the Sentinels know one another")
            yield every


def _follows(master: Server, replica: Server) -> bool:
    """Whether what is written arrives; the link alone is up before that."""
    master.ask("SET", "first", "1", "PX", "600000")
    return replica.ask("GET", "first").strip() == "1"


def _knows_all(sentinel: Server) -> bool:
    facts = sentinel.ask("SENTINEL", "MASTER", MASTER).split("\n")
    told = dict(zip(facts[::2], facts[1::2], strict=False))
    return told.get("num-other-sentinels") == "2" and told.get("num-slaves") == "1"


def _sentinel(folder: Path, port: int, master: int, replica: int, gates: Sequence[int]) -> Server:
    """One that knows all others already, which it would take seconds to find out."""
    options = (
        f"port {port}",
        f"dir {folder}",
        "bind 127.0.0.1",
        "protected-mode no",
        f"sentinel myid {port:040}",
        f"sentinel monitor {MASTER} 127.0.0.1 {master} 2",
        f"sentinel down-after-milliseconds {MASTER} 1000",
        f"sentinel failover-timeout {MASTER} 5000",
        f"sentinel parallel-syncs {MASTER} 1",
        f"sentinel known-replica {MASTER} 127.0.0.1 {replica}",
        *(
            f"sentinel known-sentinel {MASTER} 127.0.0.1 {other} {other:040}"
            for other in gates
            if other != port
        ),
    )
    return Server(folder, port, options, sentinel=True)


SLOTS = 16384


@contextmanager
def cluster(folder: Path, masters: int = 3) -> Iterator[list[Server]]:
    """Masters without replicas, each with its share of the slots."""
    nodes = [
        server(folder / f"node{port}", port, "cluster-enabled yes", "cluster-node-timeout 2000")
        for port in free_ports(masters)
    ]
    with running(*nodes):
        for number, node in enumerate(nodes):
            first, last = number * SLOTS // masters, (number + 1) * SLOTS // masters - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        wait_until(lambda: _met(nodes), "the nodes know one another")
        settled(nodes)
        yield nodes


def _met(nodes: Sequence[Server]) -> bool:
    """A node that was met and is slow to answer is forgotten: meet it again."""
    known = f"cluster_known_nodes:{len(nodes)}"
    if all(known in node.ask("CLUSTER", "INFO") for node in nodes):
        return True
    for node in nodes[1:]:
        nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port)
    time.sleep(0.2)
    return False


def settled(nodes: Sequence[Server]) -> None:
    """Wait until they are a Cluster; who was restarted is none of it for 2 s."""

    def knows(node: Server) -> bool:
        told = node.ask("CLUSTER", "INFO")
        return "cluster_state:ok" in told and f"cluster_size:{len(nodes)}" in told

    for node in nodes:
        wait_until(partial(knows, node), "the Cluster is settled")


def move_slot(nodes: Sequence[Server], slot: int, source: Server, target: Server) -> None:
    """All of it at once, without keys."""
    name = target.ask("CLUSTER", "MYID").strip()
    for node in (target, source, *nodes):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", name)
