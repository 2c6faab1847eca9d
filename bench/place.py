"""Where everything happens: a temporary directory, loopback ports, provider and upstreams."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from bench.browser import Browser
from bench.contenders import CONTENDERS, Contender, fill, find, present
from bench.machine import Cores
from bench.model import NotYet, ScenarioFailed
from bench.processes import Process, free_ports
from proxy.crypto.jwt import load_signer

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20
FILES = {"1m": MIB, "100m": 100 * MIB}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a scenario loads: a running contender, or the upstream itself (``process`` is its).

    ``cookie`` is the Cookie header of alice's session, empty where nobody signs in.
    """

    name: str
    port: int
    cookie: str
    process: Process
    token: str = ""
    """A bearer token of hers, which goes instead."""

    @property
    def headers(self) -> Mapping[str, str]:
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return {"Cookie": self.cookie} if self.cookie else {}


class Place:
    """A context manager: provider and upstreams run inside, contenders are started one by one."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self._stack = ExitStack()
        self._secret = secrets.token_urlsafe(24)  # 32 characters: what oauth2-proxy wants
        self._cookie_secret = secrets.token_urlsafe(32)
        self.dir: Path
        self._streams: Process
        self._ports: dict[str, str]

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        name = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="auth-proxy-bench-"))
        self.dir = Path(name)
        fixed = ("provider", "upstream", "streams", "redis")
        names = [*fixed, *(f"{kind} {c}" for c in CONTENDERS for kind in ("port", "metrics"))]
        ports = zip(names, free_ports(len(names)), strict=True)
        self._ports = {name: str(port) for name, port in ports}
        self._write_files()
        self._start_provider()
        values = {"user": "user root;" if os.geteuid() == 0 else ""}
        config = self._write("nginx-upstream.conf", "upstream.conf", values)
        nginx = (find("nginx"), "-p", str(self.dir), "-e", "stderr", "-c", str(config))
        self._start_on_load_core("upstream", nginx)
        python = (sys.executable, "-m", "bench.streams", self._ports["streams"])
        self._streams = self._start_on_load_core("streams", python)

    def _write_files(self) -> None:
        (self.dir / "files").mkdir()
        for name, size in FILES.items():
            with (self.dir / "files" / name).open("wb") as file:
                for _ in range(size // MIB):
                    file.write(os.urandom(MIB))
        key = self.dir / "signing.pem"
        command = [sys.executable, "-m", "proxy", "keys", "signing", "--out", str(key)]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=60)

    def _start_provider(self) -> None:
        clients = [
            f"{c.key}=http://127.0.0.1:{self._ports[f'port {c.name}']}/oauth2/callback"
            for c in CONTENDERS.values()
        ]
        command = (sys.executable, "-m", "bench.provider", self._ports["provider"], self._secret)
        self._start_on_load_core("provider", (*command, *clients))

    def _start_on_load_core(self, name: str, command: tuple[str, ...]) -> Process:
        log = self.dir / f"{name}.log"
        process = self._stack.enter_context(Process(command, self.cores.load, log, ROOT))
        process.listens(int(self._ports[name]))
        return process

    def _write(self, template: str, name: str, values: Mapping[str, str]) -> Path:
        common = {
            "dir": str(self.dir),
            "upstream": self._ports["upstream"],
            "streams": self._ports["streams"],
            "issuer": f"http://127.0.0.1:{self._ports['provider']}",
            "client_secret": self._secret,
            "signing_key": str(self.dir / "signing.pem"),
        }
        path = self.dir / name
        path.write_text(fill(template, common | dict(values)), encoding="utf-8")
        return path

    def config_of(self, contender: Contender) -> Path:
        """Its configuration file, written."""
        is_ours = contender.template == "auth-proxy.yml"
        own = {
            name: value.replace("{redis}", self._ports["redis"]).replace(
                "{port}", self._ports[f"port {contender.name}"]
            )
            for name, value in (contender.values or {}).items()
        }
        values = {
            "name": contender.key,
            "port": self._ports[f"port {contender.name}"],
            "metrics": self._ports[f"metrics {contender.name}"],
            "client_id": contender.key,
            "secret": self._cookie_secret if is_ours else self._secret,
            "user": self._user(contender),
            **own,
        }
        return self._write(contender.template, f"{contender.key}.conf", values)

    def _user(self, contender: Contender) -> str:
        """As root, servers would change to a user who may not enter our directory."""
        if os.geteuid() != 0:
            return ""
        is_apache = contender.program == "apache2"
        return "User www-data\nGroup www-data" if is_apache else "user root;"

    def has(self, name: str) -> bool:
        return any(contender.name == name for contender in self._present)

    @cached_property
    def _present(self) -> list[Contender]:
        return present()

    @contextmanager
    def running(self, name: str) -> Iterator[Subject]:
        """A contender from a fresh start, on the tested core, with alice signed in."""
        with self.started(name) as (port, process):
            process.listens(port)
            try:
                cookie = asyncio.run(_signed_in(port)) if CONTENDERS[name].signs_in else ""
            except ScenarioFailed as exc:
                raise ScenarioFailed(f"{name}: {exc}: {process.last_words()}") from exc
            token = self._token(port) if CONTENDERS[name].has_token else ""
            yield Subject(name, port, cookie, process, token)

    def _token(self, port: int) -> str:
        """A JWT for alice, good for an hour, of the issuer that the configuration trusts."""
        signer = load_signer((self.dir / "signing.pem").read_bytes(), "ES256")
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": f"http://127.0.0.1:{port}/bench",
            "aud": "bench",
            "sub": "alice",
            "email": "alice@example.org",
            "groups": ["dev"],
            "iat": now,
            "exp": now + 3600,
        }
        return signer.sign(claims)

    @contextmanager
    def started(self, name: str) -> Iterator[tuple[int, Process]]:
        """A contender that may not listen yet, and its port."""
        contender = CONTENDERS[name]
        command = contender.command(self.config_of(contender))
        log = self.dir / f"{contender.key}.log"
        with Process(command, self.cores.tested, log, ROOT) as process:
            yield int(self._ports[f"port {name}"]), process

    @contextmanager
    def all_running(self, *names: str) -> Iterator[list[Subject]]:
        """Those of the named contenders that are on this machine, all at once, idle."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.running(name)) for name in names if self.has(name)]

    @contextmanager
    def redis(self) -> Iterator[None]:
        """A Redis on the core of the load, which keeps nothing on disk."""
        program = find("redis-server")
        if not program:
            raise NotYet("there is no redis-server on this machine")
        where = ("--port", self._ports["redis"], "--bind", "127.0.0.1", "--dir", str(self.dir))
        command = (program, *where, "--save", "", "--appendonly", "no")
        log = self.dir / "redis.log"
        with Process(command, self.cores.load, log, ROOT) as process:
            process.listens(int(self._ports["redis"]))
            yield

    @property
    def direct(self) -> Subject:
        """The application of streams itself, for what a proxy adds."""
        return Subject("direct", int(self._ports["streams"]), "", self._streams)


async def _signed_in(port: int) -> str:
    async with Browser() as browser:
        return await browser.sign_in(port)
