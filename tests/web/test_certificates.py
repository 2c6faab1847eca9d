"""TLS as listeners speak it, and certificates that change under way."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from cryptography import x509

from proxy.config.settings import Server
from proxy.errors import ConfigError
from proxy.web.certificates import Certificates, certificate_problems, load_context
from proxy.web.log import Log
from tests.fakes.authority import Authority
from tests.fakes.clock import FakeClock

NAME = "app.example.org"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Files:
    """A certificate and its key under fixed names; ``put`` replaces them."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self._authority = authority
        self._times = 0
        self.serial = self.put()

    def settings(self, **options: Any) -> Server:
        files = {"certificate_file": str(self.certificate), "key_file": str(self.key)}
        return Server.model_validate({"tls_listen": "127.0.0.1:0", **files, **options})

    def put(self, *, certificate: bool = True, key: bool = True) -> int:
        """A new pair, or one half of it; the new certificate's serial number."""
        self._times += 1
        made = self._authority.issue(NAME)
        for old, new, wanted in zip(
            (self.certificate, self.key), made, (certificate, key), strict=True
        ):
            if wanted:
                shutil.copyfile(new, old)
                os.utime(old, ns=(self._times, self._times))  # clocks of files are coarse
        return x509.load_pem_x509_certificate(made[0].read_bytes()).serial_number


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Files:
    return Files(tmp_path, authority)


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Serving:
    """An echo server behind TLS, and blocking clients for it."""

    def __init__(self, context: ssl.SSLContext, timeout: float = 5.0) -> None:
        self._context = context
        self._timeout = timeout

    async def __aenter__(self) -> Serving:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.faults: list[dict[str, Any]] = []
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.address = sock.getsockname()
        self._server = await loop.create_server(
            Echo, sock=sock, ssl=self._context, ssl_handshake_timeout=self._timeout
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        def shake() -> ssl.SSLSocket:
            sock = socket.create_connection(self.address, 5)
            return context.wrap_socket(sock, server_hostname=NAME)

        return await asyncio.to_thread(shake)

    async def serial(self, context: ssl.SSLContext) -> int:
        """The serial number of the certificate that is shown now."""
        with await self.connect(context) as client:
            shown = client.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)


def log() -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(stream, FakeClock(), "text", "debug"), stream


LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def run(
    new_loop: Callable[[], asyncio.AbstractEventLoop], story: Coroutine[Any, Any, None]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story)


@LOOPS
def test_new_handshakes_get_the_new_certificate_and_connections_stay(
    new_loop: Callable[[], asyncio.AbstractEventLoop], files: Files, authority: Authority
) -> None:
    async def story() -> None:
        lines, stream = log()
        certificates, trust = Certificates(files.settings(), lines), authority.client()
        async with Serving(certificates.context) as serving:
            assert await serving.serial(trust) == files.serial
            running = await serving.connect(trust)
            new = files.put()
            assert await serving.serial(trust) == files.serial
            certificates.refresh()
            assert await serving.serial(trust) == new
            nameless = authority.client()
            nameless.check_hostname = False  # without a name in the handshake
            with socket.create_connection(serving.address, 5) as sock:
                shaken = await asyncio.to_thread(nameless.wrap_socket, sock)
                assert int(str((shaken.getpeercert() or {})["serialNumber"]), 16) == new
                shaken.close()
            with running:
                running.sendall(b"still here")
                assert await asyncio.to_thread(running.recv, 20) == b"still here"
            certificates.refresh()
            assert stream.getvalue().count("certificate read again") == 1
            assert serving.faults == []

    run(new_loop, story())


async def test_the_files_are_looked_at_now_and_then(files: Files, authority: Authority) -> None:
    certificates, trust = Certificates(files.settings(), log()[0], every=0.01), authority.client()
    async with Serving(certificates.context) as serving:
        watching = asyncio.create_task(certificates.watch())
        new = files.put()
        async with asyncio.timeout(10):
            while await serving.serial(trust) != new:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_half_a_change_keeps_the_old_pair_and_is_told_once(
    files: Files, authority: Authority
) -> None:
    lines, stream = log()
    certificates, trust = Certificates(files.settings(), lines), authority.client()
    async with Serving(certificates.context) as serving:
        new = files.put(key=False)
        for _ in range(3):
            certificates.refresh()
            assert await serving.serial(trust) == files.serial
        assert stream.getvalue().count("warning") == 1
        assert "not that of the certificate" in stream.getvalue()
        files.certificate.write_text("-----BEGIN CERTIFICATE-----\nMII")
        certificates.refresh()
        files.key.unlink()
        certificates.refresh()
        assert await serving.serial(trust) == files.serial
        new = files.put()
        certificates.refresh()
        assert await serving.serial(trust) == new
        assert "certificate read again" in stream.getvalue()


async def test_a_pair_behind_a_link_as_kubernetes_swaps_it(
    tmp_path: Path, authority: Authority
) -> None:
    folders = []
    for number in range(2):
        (folder := tmp_path / f"data{number}").mkdir()
        folders.append((folder, Files(folder, authority).serial))
    link = tmp_path / "data"
    link.symlink_to(folders[0][0])
    settings = Server.model_validate(
        {"certificate_file": str(link / "tls.crt"), "key_file": str(link / "tls.key")}
    )
    certificates = Certificates(settings, log()[0])
    async with Serving(certificates.context) as serving:
        assert await serving.serial(authority.client()) == folders[0][1]
        (tmp_path / "next").symlink_to(folders[1][0])
        os.replace(tmp_path / "next", link)
        certificates.refresh()
        assert await serving.serial(authority.client()) == folders[1][1]


@pytest.mark.parametrize(
    ("minimum", "spoken", "works"),
    [
        pytest.param("1.2", ssl.TLSVersion.TLSv1_1, False, id="1.1 at 1.2"),
        pytest.param("1.2", ssl.TLSVersion.TLSv1_2, True, id="1.2 at 1.2"),
        pytest.param("1.2", ssl.TLSVersion.TLSv1_3, True, id="1.3 at 1.2"),
        pytest.param("1.3", ssl.TLSVersion.TLSv1_2, False, id="1.2 at 1.3"),
        pytest.param("1.3", ssl.TLSVersion.TLSv1_3, True, id="1.3 at 1.3"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
async def test_the_oldest_version_that_is_spoken(
    minimum: str, spoken: ssl.TLSVersion, works: bool, files: Files, authority: Authority
) -> None:
    trust = authority.client()
    trust.set_ciphers("ALL:@SECLEVEL=0")
    trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    trust.maximum_version = spoken
    async with Serving(load_context(files.settings(tls_minimum=minimum))) as serving:
        if works:
            with await serving.connect(trust) as client:
                assert client.version() == spoken.name.replace("_", ".")
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await serving.connect(trust)
        assert serving.faults == []


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "aNULL"])
async def test_ciphers_without_forward_secrecy_or_integrity_are_refused(
    ciphers: str, files: Files, authority: Authority
) -> None:
    trust = authority.client()
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    trust.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    async with Serving(load_context(files.settings())) as serving:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await serving.connect(trust)


async def test_only_http_1_1_is_agreed_on(files: Files, authority: Authority) -> None:
    trust = authority.client()
    trust.set_alpn_protocols(["h2", "http/1.1"])
    async with Serving(load_context(files.settings())) as serving:
        with await serving.connect(trust) as client:
            assert client.selected_alpn_protocol() == "http/1.1"
            assert client.compression() is None
    context = load_context(files.settings())
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


@LOOPS
def test_a_handshake_that_does_not_come_is_cut_and_noise_is_no_fault(
    new_loop: Callable[[], asyncio.AbstractEventLoop], files: Files, authority: Authority
) -> None:
    async def story() -> None:
        async with Serving(load_context(files.settings()), timeout=0.1) as serving:
            silent_reader, silent = await asyncio.open_connection(*serving.address)
            noisy_reader, noisy = await asyncio.open_connection(*serving.address)
            noisy.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(5):
                assert await silent_reader.read() == b""
                assert b"HTTP" not in await noisy_reader.read()
            for writer in (silent, noisy):
                writer.close()
            assert serving.faults == []

    run(new_loop, story())


def test_one_file_may_hold_both(files: Files, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    settings = files.settings(certificate_file=str(both), key_file="")
    assert certificate_problems(settings) == []
    Certificates(settings, log()[0])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        pytest.param("missing", "certificate_file: {c}: No such file", id="no certificate"),
        pytest.param("no key", "key_file: {k}: No such file", id="no key"),
        pytest.param("junk", "certificate_file: {c} and {k}: certificate or key", id="not PEM"),
        pytest.param("mismatch", "{c} and {k}: the key is not that of", id="another's key"),
        pytest.param("encrypted", "{c} and {k}: the key is encrypted", id="an encrypted key"),
        pytest.param("directory", "certificate_file: {c}: Is a directory", id="a directory"),
    ],
)
def test_unusable_files_are_named(
    case: str, expected: str, files: Files, authority: Authority
) -> None:
    match case:
        case "missing":
            files.certificate.unlink()
        case "no key":
            files.key.unlink()
        case "junk":
            files.certificate.write_text("junk")
        case "mismatch":
            files.put(key=False)
        case "encrypted":
            certificate, key = authority.issue(NAME, password=b"secret")
            shutil.copyfile(certificate, files.certificate)
            shutil.copyfile(key, files.key)
        case "directory":
            files.certificate.unlink()
            files.certificate.mkdir()
    (problem,) = certificate_problems(files.settings())
    assert problem.startswith("server.")
    assert expected.format(c=files.certificate, k=files.key) in problem
    with pytest.raises(ConfigError):
        Certificates(files.settings(), log()[0])


def test_without_tls_no_file_is_read(files: Files) -> None:
    files.certificate.unlink()
    assert certificate_problems(files.settings(tls_listen="off")) == []
