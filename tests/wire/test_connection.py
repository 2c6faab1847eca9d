from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.errors import Reason, UpstreamError
from proxy.wire.connection import BUFFER_LIMIT, Connection
from proxy.wire.forward import forward
from proxy.wire.pool import Origin, Pool
from tests.fakes.scripted import Peer, close, request, upstream
from tests.wire.stage import GET, OK, Client, as_is, eventually, limits

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def connect(port: int, lost: list[Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    factory = lambda: Connection(monotonic, lost.append)  # noqa: E731
    _, connection = await loop.create_connection(factory, "127.0.0.1", port)
    return connection


async def more(connection: Connection, timeout: float) -> None:
    """Wait for news as an exchange does."""
    came = asyncio.Event()
    connection.on_progress = came.set
    connection.await_more(timeout)
    await came.wait()


async def test_a_loss_is_told_once() -> None:
    lost: list[Connection] = []
    async with upstream([close]) as app:
        connection = await connect(app.port, lost)
        await eventually(lambda: not connection.is_open)
        connection.abort()
        connection.fail(UpstreamError(Reason.UPSTREAM_INVALID))
        await asyncio.sleep(0.01)
        assert lost == [connection]


async def test_an_exchange_cannot_begin_on_a_closed_connection() -> None:
    async with upstream([request]) as app:
        connection = await connect(app.port, [])
        connection.abort()
        connection.begin(REQUEST)
        assert connection.error is not None
        assert connection.error.reason is Reason.UPSTREAM_UNREACHABLE
        assert not connection.is_stale  # it never carried an answer before


async def test_reading_stops_above_the_limit_and_goes_on_when_taken() -> None:
    size = 2**24
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    async with upstream([request, head + b"x" * size]) as app:
        connection = await connect(app.port, [])
        connection.begin(REQUEST)
        total = 0
        while total < size:
            await more(connection, 5)
            await asyncio.sleep(0.001)
            assert connection.reader.buffered <= BUFFER_LIMIT + 2**18
            total += len(connection.take())
        assert connection.reader.complete
        assert connection.can_reuse
        connection.abort()


async def test_a_deadline_is_for_waiting_only() -> None:
    async with upstream([request, OK]) as app:
        connection = await connect(app.port, [])
        connection.begin(REQUEST)
        assert connection.deadline > monotonic() + 1e6
        waiting = asyncio.create_task(more(connection, 60))
        await asyncio.sleep(0)
        assert monotonic() + 50 < connection.deadline < monotonic() + 70
        await waiting
        assert connection.deadline > monotonic() + 1e6
        connection.rest(30)
        assert connection.deadline < monotonic() + 40
        connection.expire()
        assert not connection.is_open
        assert connection.error is None


async def test_what_was_said_before_a_failed_write_is_still_read() -> None:
    refused = asyncio.Event()

    async def refuse(peer: Peer) -> None:
        # Unread bytes of ours turn this close into a reset, right behind the answer.
        peer.writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig")
        peer.writer.transport.abort()
        refused.set()

    for _ in range(20):
        refused.clear()
        async with upstream([request, refuse]) as app:
            connection = await connect(app.port, [])
            connection.begin(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
            connection.uploads()
            connection.send(b"x" * 2**17)
            connection.pause()  # as if the loop had not come to reading yet
            await refused.wait()
            await eventually(lambda: not connection.send(b"x" * 2**17))  # noqa: B023
            assert connection.reader.complete
            assert connection.take() == b"big"
            assert not connection.can_reuse


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server at 127.0.0.1 and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + pem
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cadata=pem.decode())


async def test_tls_verifies_the_name_and_reuses_connections(tmp_path: Path) -> None:
    server_side, client_side = _certificate(tmp_path)
    async with upstream([request, OK, request, OK], tls=server_side) as app:
        pool = Pool(Origin("https", "localhost", app.port), limits(), client_side, monotonic)
        for _ in range(2):
            client = Client()
            await forward(pool, GET, None, client, as_is)
            assert client.body == b"ok"
        assert len([peer for peer in app.peers if peer.received]) == 1
        await pool.close()

        stranger = Pool(Origin("https", "127.0.0.1", app.port), limits(), client_side, monotonic)
        with pytest.raises(UpstreamError) as caught:
            await forward(stranger, GET, None, Client(), as_is)
        assert caught.value.reason is Reason.UPSTREAM_UNREACHABLE
        await stranger.close()
