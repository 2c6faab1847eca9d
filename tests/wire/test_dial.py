"""New connections: which address, how long, what is said when there is none."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import monotonic

import pytest

from proxy.errors import Reason, UpstreamError
from proxy.wire.addresses import Addresses
from proxy.wire.connection import Connection
from proxy.wire.dial import Tls, dial
from proxy.wire.lookup import Resolve
from proxy.wire.origin import Origin
from tests.fakes.authority import Authority
from tests.fakes.names import Names
from tests.fakes.scripted import upstream

NOBODY = Names({})


def at(*urls: str, resolve: Resolve = NOBODY) -> Addresses:
    return Addresses([Origin.parse(url) for url in urls], resolve, 3600, monotonic, lambda _: None)


async def connected(addresses: Addresses, tls: Tls | None = None, timeout: float = 5) -> str:
    """Where a connection led; it is closed again."""
    try:
        connection, address = await dial(addresses, tls, timeout, _connection)
    finally:
        addresses.close()
    assert connection.is_open
    connection.abort()
    await asyncio.sleep(0)
    return address.host


def _connection() -> Connection:
    return Connection(monotonic, lambda _: None)


def refusing() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@contextmanager
def full(host: str = "127.0.0.1") -> Iterator[int]:
    """A port whose accept queue is full: the kernel drops what comes, as a black hole does."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_addresses_of_either_family(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with upstream([], host=host) as app:
        found = at(f"http://app:{app.port}", resolve=Names({"app": [host]}))
        assert await connected(found) == host


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    async with upstream([], path=path):
        assert await connected(at(f"unix:{path}:/base")) == str(path)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        pytest.param("missing", "No such file or directory", id="missing"),
        pytest.param("left", "Connection refused", id="left behind by a dead process"),
    ],
)
async def test_a_unix_socket_without_anybody(tmp_path: Path, state: str, words: str) -> None:
    path = tmp_path / "app.sock"
    if state == "left":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    with pytest.raises(UpstreamError, match=words) as caught:
        await connected(at(f"unix:{path}"))
    assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)
    assert f"unix:{path}" in str(caught.value)


async def test_a_refusal_is_told_at_once() -> None:
    started = monotonic()
    with pytest.raises(UpstreamError, match="Connection refused") as caught:
        await connected(at(f"http://127.0.0.1:{refusing()}"))
    assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_UNREACHABLE, 502)
    assert monotonic() - started < 0.1


async def test_an_address_that_refuses_hands_over_to_the_next() -> None:
    async with upstream([], host="127.0.0.2") as app:
        found = at(f"http://127.0.0.1:{refusing()}", f"http://127.0.0.2:{app.port}")
        for _ in range(3):
            connection, address = await dial(found, None, 5, _connection)
            assert address.host == "127.0.0.2"
            connection.abort()
        await asyncio.sleep(0)


async def test_an_address_that_is_silent_leaves_time_for_the_next() -> None:
    async with upstream([], host="127.0.0.2") as app:
        with full() as port:
            found = at(f"http://127.0.0.1:{port}", f"http://127.0.0.2:{app.port}")
            assert await connected(found, timeout=0.4) == "127.0.0.2"


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with one that refuses"])
async def test_a_silent_address_is_a_504_after_the_timeout(others: int) -> None:
    with full() as port:
        urls = [f"http://127.0.0.1:{port}", *[f"http://127.0.0.1:{refusing()}"] * others]
        started = monotonic()
        with pytest.raises(UpstreamError, match="took too long") as caught:
            await connected(at(*urls), timeout=0.2)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_TIMEOUT, 504)
        assert 0.09 < monotonic() - started < 2


async def test_a_name_server_that_is_silent_is_a_504() -> None:
    async def silent(host: str, port: int) -> list[str]:
        await asyncio.sleep(3600)
        return []

    with pytest.raises(UpstreamError, match="took too long") as caught:
        await connected(at("http://app", resolve=silent), timeout=0.05)
    assert caught.value.status == 504


NAMES = Names({name: ["127.0.0.1"] for name in ("app.example", "other.example")})
GOOD = ("app.example",)


@pytest.mark.parametrize(
    ("named", "days", "host", "server_name", "refusal"),
    [
        pytest.param(GOOD, 1, "app.example", "", None, id="right"),
        pytest.param(GOOD, 1, "other.example", "", "Hostname mismatch", id="wrong name"),
        pytest.param(GOOD, -1, "app.example", "", "certificate has expired", id="expired"),
        pytest.param(GOOD, 1, "127.0.0.1", "", "IP address mismatch", id="name for an address"),
        pytest.param(("127.0.0.1",), 1, "127.0.0.1", "", None, id="address"),
        pytest.param(GOOD, 1, "127.0.0.1", "app.example", None, id="server_name"),
        pytest.param(
            GOOD, 1, "app.example", "other.example", "Hostname mismatch", id="wrong server_name"
        ),
    ],
)
async def test_the_certificate_must_be_right(
    tmp_path: Path,
    named: tuple[str, ...],
    days: float,
    host: str,
    server_name: str,
    refusal: str | None,
) -> None:
    authority = Authority(tmp_path)
    tls = Tls(authority.client(), server_name)
    async with upstream([], tls=authority.server(*named, days=days)) as app:
        found = at(f"https://{host}:{app.port}", resolve=NAMES)
        with pytest.raises(UpstreamError, match=refusal) if refusal else nullcontext() as caught:
            await connected(found, tls)
        if caught is not None:
            assert caught.value.reason is Reason.UPSTREAM_UNREACHABLE
            assert "TLS: the certificate is refused" in str(caught.value)


async def test_an_authority_that_is_not_ours(tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger")
    tls = Tls(Authority(tmp_path).client())
    async with upstream([], tls=stranger.server("app.example")) as app:
        with pytest.raises(UpstreamError, match="unable to get local issuer certificate"):
            await connected(at(f"https://app.example:{app.port}", resolve=NAMES), tls)


async def test_each_address_shows_a_certificate_for_its_own_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.server("app.example")
    names = Names({"other.example": ["127.0.0.1"], "app.example": ["127.0.0.2"]})
    async with (
        upstream([], tls=server) as one,
        upstream([], tls=server, host="127.0.0.2") as two,
    ):
        wrong, right = f"https://other.example:{one.port}", f"https://app.example:{two.port}"
        for urls in ((wrong, right), (right, wrong)):
            found = at(*urls, resolve=names)
            assert await connected(found, Tls(authority.client())) == "127.0.0.2"


async def test_who_speaks_no_tls(tmp_path: Path) -> None:
    async with upstream([b"HTTP/1.1 400 No\r\n\r\n"]) as app:
        with pytest.raises(UpstreamError, match="TLS: wrong version number"):
            await connected(at(f"https://127.0.0.1:{app.port}"), Tls(Authority(tmp_path).client()))


def handshake(listener: socket.socket, server: ssl.SSLContext) -> str:
    """Accept one connection, in a thread: unlike asyncio's, such a server tells why it refuses."""
    accepted, _ = listener.accept()
    with accepted:
        try:
            with server.wrap_socket(accepted, server_side=True) as encrypted:
                return str(encrypted.getpeercert())
        except OSError as error:
            return f"refused: {error}"


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "missing"])
async def test_a_client_certificate_is_shown(tmp_path: Path, shown: bool) -> None:
    authority = Authority(tmp_path)
    server, context = authority.server("app.example", clients=True), authority.client()
    server.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the refusal follows the handshake
    if shown:
        context.load_cert_chain(*authority.issue("proxy"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        found = at(f"https://app.example:{listener.getsockname()[1]}", resolve=NAMES)
        served = asyncio.create_task(asyncio.to_thread(handshake, listener, server))
        if shown:
            assert await connected(found, Tls(context)) == "127.0.0.1"
            assert "proxy" in await served
        else:
            with pytest.raises(UpstreamError, match=r"TLS: .*handshake failure"):
                await connected(found, Tls(context))
            assert "refused: " in await served
