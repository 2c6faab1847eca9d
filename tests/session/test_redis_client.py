"""One connection: what the other end may say and do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.config.keeping import Redis
from proxy.errors import ConfigError, Reason
from proxy.session.redis_address import Address, Login
from proxy.session.redis_client import Broken, Dialer, Line, Moved, Refused
from tests.fakes.authority import Authority

HELLO = b"+OK\r\n" * 2  # to CLIENT SETINFO, twice


class Scripted:
    """Answers the handshake, then each read with the next of ``answers``, then goes away."""

    def __init__(self, answers: Sequence[bytes], hello: bytes) -> None:
        self.accepted = 0
        self.gone = asyncio.Event()
        self._answers = list(answers)
        self._hello = hello

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            for answer in (self._hello, *self._answers):
                if not await reader.read(65536):
                    return
                writer.write(answer)
                if not answer:
                    await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
            self.gone.set()


@asynccontextmanager
async def scripted(*answers: bytes, hello: bytes = HELLO) -> AsyncIterator[tuple[Scripted, int]]:
    peer = Scripted(answers, hello)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    try:
        yield peer, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if peer.accepted:
            await asyncio.wait_for(peer.gone.wait(), 5)


async def dialed(port: int) -> Line:
    return await Dialer(Redis(), tls=False).dial(Address("127.0.0.1", port), Login())


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        pytest.param(b"$3\r\na\r\n\r\n", b"a\r\n", id="value"),
        pytest.param(b"$-1\r\n", None, id="nothing"),
        pytest.param(b":7\r\n", 7, id="number"),
        pytest.param(b"*2\r\n:1\r\n$1\r\na\r\n", [1, b"a"], id="list"),
        pytest.param(
            b"-WRONGTYPE Operation against a key\r\n", Refused("WRONGTYPE"), id="another type"
        ),
        pytest.param(b"-READONLY You can't\r\n", Refused("READONLY"), id="replica"),
        pytest.param(b"-OOM command not allowed\r\n", Refused("OOM"), id="full"),
        pytest.param(b"-NOPERM key 'secret'\r\n", Refused("NOPERM"), id="not allowed"),
        pytest.param(b"-CLUSTERDOWN Hash slot\r\n", Refused("CLUSTERDOWN"), id="Cluster down"),
        pytest.param(b"-ERR secret\r\n", Refused("ERR"), id="any"),
        pytest.param(b"-secret words\r\n", Refused("ERR"), id="no code"),
        pytest.param(b"-\r\n", Refused("ERR"), id="no words"),
        pytest.param(b"-MOVED 9 h:1\r\n", Moved(Address("h", 1), asking=False), id="moved"),
        pytest.param(b"-ASK 9 ::1:2\r\n", Moved(Address("::1", 2), asking=True), id="ask, IPv6"),
        pytest.param(
            b"-MOVED 9 :7\r\n", Moved(Address("127.0.0.1", 7), asking=False), id="same host"
        ),
    ],
)  # fmt: skip
async def test_what_is_answered(answer: bytes, reply: object) -> None:
    async with scripted(answer + b"$4\r\nnext\r\n") as (_, port):
        line = await dialed(port)
        assert await line.exchange([("GET", "a"), ("GET", "b")]) == [reply, b"next"]
        line.abort()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"$10\r\nabc", id="cut short"),
        pytest.param(b"?what\r\n", id="no answer of Redis"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="HTTP"),
        pytest.param(b"$x\r\n", id="no length"),
        pytest.param(b"-MOVED\r\n", id="moved nowhere"),
        pytest.param(b"x" * 100_000, id="no end"),
        pytest.param(b"-LOADING Redis is loading\r\n", id="loading"),
    ],
)
async def test_what_is_no_answer_ends_the_connection(answer: bytes) -> None:
    async with scripted(answer) as (peer, port):
        line = await dialed(port)
        with pytest.raises(Broken) as caught:
            await line.exchange([("GET", "secret")])
        assert caught.value.reason is Reason.STORE_UNAVAILABLE
        assert "secret" not in str(caught.value)
        assert await line.stale()
        with pytest.raises(Broken, match="closed"):
            await line.exchange([("GET", "a")])
        assert peer.accepted == 1


async def test_whoever_is_cancelled_ends_the_connection() -> None:
    """The answer that comes late must not be the next one's (CVE-2023-28858)."""
    async with scripted(b"") as (peer, port):
        line = await dialed(port)
        asked = asyncio.create_task(line.exchange([("GET", "a")]))
        await asyncio.sleep(0.05)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
        with pytest.raises(Broken, match="closed"):
            await line.exchange([("GET", "b")])
        assert peer.accepted == 1


async def test_a_connection_that_says_more_than_was_asked_is_stale() -> None:
    async with scripted(b":1\r\n:2\r\n") as (_, port):
        line = await dialed(port)
        assert await line.exchange([("GET", "a")]) == [1]
        assert await line.stale()
        line.abort()


async def test_a_connection_is_fit_until_it_is_closed() -> None:
    async with scripted(b":1\r\n", b":2\r\n") as (_, port):
        line = await dialed(port)
        assert await line.exchange([("GET", "a")]) == [1]
        assert not await line.stale()
        assert await line.exchange([("GET", "a")]) == [2]
        async with asyncio.timeout(5):
            while not await line.stale():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        line.abort()


async def test_a_refused_password_is_said_and_not_shown() -> None:
    async with scripted(hello=b"-WRONGPASS invalid S3CRET\r\n") as (_, port):
        dialer = Dialer(Redis(), tls=False)
        with pytest.raises(Broken, match="refused our user or password") as caught:
            await dialer.dial(Address("127.0.0.1", port), Login("user", "S3CRET"))
        assert "S3CRET" not in repr(caught.value)


async def test_nobody_listens(free_port: int) -> None:
    with pytest.raises(Broken, match=f"127.0.0.1:{free_port}: connection refused"):
        await dialed(free_port)


async def test_no_such_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "none")
    with pytest.raises(Broken, match="no such file"):
        await Dialer(Redis(), tls=False).dial(Address(path=path), Login())


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_files_that_cannot_be_used(tmp_path: Path, name: str) -> None:
    missing, wrong = tmp_path / "missing", tmp_path / "wrong"
    wrong.write_text("no certificate")
    for file in (missing, wrong):
        settings = Redis().model_copy(update={name: str(file)})
        with pytest.raises(ConfigError, match=f"redis.{name}: "):
            Dialer(settings, tls=True)


def test_a_key_that_does_not_fit_or_wants_a_password(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, _ = authority.issue("a")
    _, other = authority.issue("b")
    locked_certificate, locked = authority.issue("c", password=b"S3CRET")
    for pair in ((certificate, other), (locked_certificate, locked)):
        with pytest.raises(ConfigError, match="do not belong together, are encrypted"):
            Dialer(Redis(certificate_file=str(pair[0]), key_file=str(pair[1])), tls=True)
