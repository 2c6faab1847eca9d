"""A terminal, for real: the commands, curl, git and kubectl's way, through a running proxy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from proxy.cli.origin import origin_of
from proxy.cli.stored import Drawer, Stored
from proxy.web.world import World
from tests.fakes.clock import FakeClock
from tests.fakes.git_server import GitServer
from tests.scenarios.real import Ahead
from tests.web.pages.document import Document
from tests.web.place import Browser
from tests.web.terminal_stage import Stage, decide, type_code

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    status: int
    out: str
    err: str


class Now(Ahead, FakeClock):
    """The real time, where a place wants a clock that it could move."""


class Home:
    """Somebody's machine: a home directory, and ``auth-proxy`` among their commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        commands = folder / "bin"
        commands.mkdir(parents=True)
        command = commands / "auth-proxy"
        python = shlex.quote(sys.executable)
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {python} -m proxy "$@"\n')
        command.chmod(0o755)
        self.environ = {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "HOME": str(folder),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
        }  # fmt: skip

    def kept(self, url: str) -> Stored:
        found = Drawer(self.folder / ".config" / "auth-proxy").get(origin_of(url))
        assert found is not None
        return found

    def put(self, url: str, stored: Stored) -> None:
        Drawer(self.folder / ".config" / "auth-proxy").put(origin_of(url), stored)

    async def run(self, *command: str, **environ: str) -> Done:
        """A command to its end."""
        async with self.running(*command, **environ) as process:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), err.decode())

    @asynccontextmanager
    async def running(
        self, *command: str, **environ: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


class Here(Stage):
    """A proxy that other programs of this machine reach by its public address."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        super().__init__(
            folder,
            public_url=f"http://localhost:{port}",
            server={"listen": f"127.0.0.1:{port}"},
            **settings,
        )
        self.clock = Now()
        self.world = World(clock=self.clock)

    async def sign_in(self, home: Home, *arguments: str, wish: str = "allow") -> Done:
        """``auth-proxy login``, with a person who types the code and allows it, or not."""
        person = await self.person()
        async with home.running("auth-proxy", "login", self.public, *arguments) as process:
            return await self._confirm(process, person, wish)

    async def _confirm(
        self, process: asyncio.subprocess.Process, person: Browser, wish: str
    ) -> Done:
        assert process.stderr is not None
        shown = b""
        async with asyncio.timeout(PATIENCE):
            while not (code := re.search(rb"([A-Z]{4}-[A-Z]{4})\n", shown)):
                line = await process.stderr.readline()
                assert line, shown
                shown += line
            assert f"{self.public}/oauth2/device\n".encode() in shown
            asked = await type_code(person, code[1].decode())
            assert {"auth-proxy", "auth-proxy on Linux"} & set(Document(asked.body).within("bdi"))
            assert (await decide(person, asked, wish)).status == 200
            out, err = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, out.decode(), (shown + err).decode())


@asynccontextmanager
async def signed_in(folder: Path, port: int, **settings: Any) -> AsyncIterator[tuple[Here, Home]]:
    home = Home(folder / "home")
    async with Here(folder, port, **settings) as here:
        done = await here.sign_in(home)
        assert done.status == 0, done.err
        yield here, home


@contextlib.contextmanager
def watched_processes() -> Iterator[set[str]]:
    """All arguments and environments of all processes, read again and again meanwhile."""
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        ours = str(os.getpid())
        while not over.wait(0.005):
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    if folder.name != ours or name == "cmdline":
                        with contextlib.suppress(OSError):
                            seen.add((folder / name).read_bytes().decode("latin-1"))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


async def test_login_token_logout(tmp_path: Path, free_port: int) -> None:
    async with signed_in(tmp_path, free_port) as (here, home):
        first = home.kept(here.public)
        done = await home.run("auth-proxy", "token", here.public)
        assert done == Done(0, f"{first.token}\n", "")
        assert (home.folder / ".config/auth-proxy/tokens.json").stat().st_mode & 0o777 == 0o600

        answer = await here.terminal().use(first.token)
        assert answer.status == 200
        assert (await here.identity(here.public))["email"] == "alice@example.org"

        done = await home.run("auth-proxy", "logout", here.public)
        assert (done.status, done.err) == (0, f"Signed out at {here.public}.\n")
        async with asyncio.timeout(1):  # on every replica within a second
            while (await here.terminal().use(first.token)).status != 401:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        done = await home.run("auth-proxy", "token", here.public)
        assert (done.status, done.out) == (1, "")
        assert f"run: auth-proxy login {here.public}" in done.err


async def test_a_token_that_ends_is_renewed_by_one_of_many(tmp_path: Path, free_port: int) -> None:
    async with signed_in(tmp_path, free_port) as (here, home):
        first = home.kept(here.public)
        home.put(here.public, Stored(first.token, first.refresh_token, time.time() + 30))
        found = await asyncio.gather(
            *(home.run("auth-proxy", "token", here.public) for _ in range(5))
        )
        # Were it renewed twice, the second would have been taken for a thief.
        assert {one.status for one in found} == {0}
        (token,) = {one.out.strip() for one in found}
        assert token == home.kept(here.public).token != first.token
        assert (await here.terminal().use(token)).status == 200


async def test_one_of_several_groups_is_chosen(tmp_path: Path, free_port: int) -> None:
    home = Home(tmp_path / "home")
    async with Here(tmp_path, free_port, tokens={"select_from": "groups"}) as here:
        done = await here.sign_in(home)
        assert (done.status, "say --group with one of admins, dev" in done.err) == (1, True), done
        done = await here.sign_in(home, "--group", "dev")
        assert done.status == 0, done.err
        await here.terminal().use(home.kept(here.public).token)
        assert (await here.identity(here.public))["groups"] == ["dev"]


async def test_a_refusal_in_the_browser(tmp_path: Path, free_port: int) -> None:
    home = Home(tmp_path / "home")
    async with Here(tmp_path, free_port) as here:
        done = await here.sign_in(home, wish="deny")
        assert (done.status, "denied in the browser" in done.err) == (1, True)


async def test_curl(tmp_path: Path, free_port: int) -> None:
    assert shutil.which("curl"), "curl is missing: run the tests with 'make test', or install it"
    async with signed_in(tmp_path, free_port) as (here, home):
        environ = {"APP": here.public}
        line = 'curl -fsS -H "Authorization: Bearer $(auth-proxy token $APP)" $APP/api/x'
        done = await home.run("sh", "-c", line, **environ)
        assert (done.status, done.err) == (0, "")
        assert json.loads(done.out)["target"] == "/api/x"
        assert home.kept(here.public).token not in done.out
        line = 'curl -fsS -H @<(echo "Authorization: Bearer $(auth-proxy token $APP)") $APP/api/y'
        with watched_processes() as seen:
            done = await home.run("bash", "-c", line, **environ)
        assert (done.status, json.loads(done.out)["target"]) == (0, "/api/y")
        assert_unseen(seen, home.kept(here.public))


def assert_unseen(seen: set[str], *kept: Stored) -> None:
    assert any("proxy\0token" in one or "credential-helper" in one for one in seen)
    for stored in kept:
        for secret in (stored.token, stored.refresh_token):
            assert not [one for one in seen if secret in one]


async def repository(home: Home, folder: Path) -> None:
    """``app.git`` with one commit, in ``folder``."""
    for line in (
        "git init -q -b main work && cd work && echo hello > README && git add README",
        "cd work && git commit -q -m first && cd .. && mkdir -p repositories",
        "git clone -q --bare work repositories/app.git",
        "git -C repositories/app.git config http.receivepack true",
    ):
        done = await home.run("sh", "-c", f"cd {folder} && {line}")
        assert done.status == 0, done.err


async def test_git(tmp_path: Path, free_port: int) -> None:
    assert shutil.which("git"), "git is missing: run the tests with 'make test', or install it"
    await repository(Home(tmp_path / "server"), tmp_path)
    async with GitServer(tmp_path / "repositories") as app:
        routes = [{"path": "/git/*", "upstream": app.url}]
        async with signed_in(tmp_path, free_port, routes=routes) as (here, home):
            stored = home.kept(here.public)
            url = f"{here.public}/git/app.git"
            (home.folder / ".gitconfig").write_text(
                f'[credential "{here.public}"]\n    helper = "!auth-proxy credential-helper"\n'
            )
            with watched_processes() as seen:
                done = await home.run("git", "clone", url, "clone")
                assert done.status == 0, done.err
                assert (home.folder / "clone/README").read_text() == "hello\n"
                line = "cd clone && git commit -q --allow-empty -m second && git push -q"
                done = await home.run("sh", "-c", line)
                assert done.status == 0, done.err
                # A refused token is renewed, and the next try succeeds.
                home.put(here.public, Stored(f"{stored.token[:-1]}x", stored.refresh_token, 9e9))
                assert (await home.run("git", "-C", "clone", "fetch")).status != 0
                done = await home.run("git", "-C", "clone", "fetch")
                assert done.status == 0, done.err
            assert set(app.people) == {"alice@example.org"}
            new = home.kept(here.public)
            assert new.token != stored.token
            assert_unseen(seen, stored, new)
            assert not [one for one in app.seen if stored.token in one]
            assert not [one for one in app.seen if "Authorization" in one]

            await home.run("auth-proxy", "logout", here.public)
            done = await home.run("git", "-C", "clone", "fetch")
            assert done.status != 0


async def exec_plugin(home: Home, config: Mapping[str, Any]) -> tuple[str, datetime]:
    """Token and its end, got as client-go does (k8s.io/client-go/plugin/pkg/client/auth/exec)."""
    version = config["apiVersion"]
    told = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    environ = {"KUBERNETES_EXEC_INFO": json.dumps(told)}
    done = await home.run(config["command"], *config["args"], **environ)
    assert (done.status, done.err) == (0, "")
    credential = json.loads(done.out)
    assert (credential["kind"], credential["apiVersion"]) == ("ExecCredential", version)
    until = datetime.fromisoformat(credential["status"]["expirationTimestamp"])
    assert until.tzinfo is not None
    return credential["status"]["token"], until


async def test_kubectls_way(tmp_path: Path, free_port: int) -> None:
    async with signed_in(tmp_path, free_port) as (here, home):
        config = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "auth-proxy",
            "args": ["token", "--kubectl", here.public],
            "interactiveMode": "Never",
        }
        token, until = await exec_plugin(home, config)
        assert until.timestamp() == int(home.kept(here.public).expires_at)
        assert (await here.terminal().use(token, "/api/v1/pods")).status == 200


async def test_nothing_secret_is_logged_or_among_the_arguments(
    tmp_path: Path, free_port: int
) -> None:
    home = Home(tmp_path / "home")
    async with Here(tmp_path, free_port) as here:
        said = []
        with watched_processes() as seen:
            said.append(await here.sign_in(home))
            first = home.kept(here.public)
            home.put(here.public, Stored(first.token, first.refresh_token, time.time()))
            assert (await home.run("auth-proxy", "token", here.public)).status == 0
            second = home.kept(here.public)
            said.append(await home.run("auth-proxy", "logout", here.public))
        assert_unseen(seen, first, second)
        for stored in (first, second):
            for secret in (stored.token, stored.refresh_token):
                assert secret not in here.logged()
                assert not [one for one in said if secret in one.out + one.err]
