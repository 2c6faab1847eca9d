"""A worker that comes later serves as the others do, whatever has become of the files."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.crypto.jwt import generate_signing_key
from tests.config.configurations import MINIMAL
from tests.fakes.authority import Authority
from tests.process.served import Served, alive, until

NAME = "app.example.org"


def written(key: Path) -> None:
    key.write_bytes(generate_signing_key("ES256"))


async def published(place: Served) -> set[str]:
    """The ids of the keys that the workers publish, whichever we reach."""
    return {key["kid"] for _ in range(12) for key in (await place.jwks())["keys"]}


async def all_replaced(place: Served) -> None:
    before = place.workers()
    told = len(place.logged_events("serves again"))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: len(place.logged_events("serves again")) == told + len(before))
    assert not any(map(alive, before))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(written, id="changed"),
        pytest.param(lambda key: key.write_text("junk"), id="broken"),
        pytest.param(Path.unlink, id="vanished"),
    ],
)
async def test_a_replacement_signs_with_the_keys_of_its_generation(
    tmp_path: Path, free_ports: list[int], change: Callable[[Path], None]
) -> None:
    key = tmp_path / "signing.pem"
    written(key)
    identity = {"signing_key_files": [str(key)]}
    async with Served(tmp_path, free_ports, workers=2, identity=identity) as place:
        before = await published(place)
        assert len(before) == 1
        change(key)
        await all_replaced(place)
        assert await published(place) == before


async def test_a_changed_key_takes_effect_at_a_reload(
    tmp_path: Path, free_ports: list[int]
) -> None:
    key = tmp_path / "signing.pem"
    written(key)
    identity = {"signing_key_files": [str(key)]}
    async with Served(tmp_path, free_ports, workers=2, identity=identity) as place:
        before, workers = await published(place), place.workers()
        written(key)
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("new configuration is in force"))
        await until(lambda: not any(map(alive, workers)))
        now = await published(place)
        assert len(now) == 1
        assert now != before


@pytest.mark.parametrize("change", ["vanished", "broken", "newer"])
async def test_a_replacement_shows_a_certificate_that_is_good(
    tmp_path: Path, free_ports: list[int], change: str
) -> None:
    authority = Authority(tmp_path)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issue(authority, certificate, key)
    server = {
        "tls_listen": f"127.0.0.1:{free_ports[2]}",
        "certificate_file": str(certificate),
        "key_file": str(key),
    }
    async with Served(tmp_path, free_ports, server=server) as place:
        first = await shown(free_ports[2], authority)
        match change:
            case "vanished":
                certificate.unlink()
            case "broken":
                key.write_text("junk")
            case "newer":
                issue(authority, certificate, key)
        await all_replaced(place)
        assert (await shown(free_ports[2], authority) != first) == (change == "newer")
        if change != "newer":
            await until(lambda: place.logged_events("the old certificate stays in use"))
            assert len(place.logged_events("the old certificate stays in use")) == 1


def issue(authority: Authority, certificate: Path, key: Path) -> None:
    for made, place in zip(authority.issue(NAME), (certificate, key), strict=True):
        shutil.copyfile(made, place)


async def shown(port: int, authority: Authority) -> str:
    """The serial number of the certificate."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=authority.client(), server_hostname=NAME
    )
    connection = writer.get_extra_info("ssl_object")
    assert isinstance(connection, ssl.SSLObject)
    serial = str((connection.getpeercert() or {})["serialNumber"])
    writer.close()
    await writer.wait_closed()
    return serial


async def test_the_log_tells_who_ended_and_who_serves(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports, workers=2) as place:
        (serving,) = [line for line in place.lines() if line["event"] == "serving"]
        assert serving["workers"] == 2
        before = set(place.workers())
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: place.logged_events("serves again"))
        (ended,) = place.logged_events("ended (SIGKILL)")
        (serves,) = place.logged_events("serves again")
        assert ended["pid"] == killed
        assert {serves["pid"]} == set(place.workers()) - before
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("new configuration is in force"))
        assert len(place.logged_events("SIGHUP: reading the configuration again")) == 1
        await until(
            lambda: len([line for line in place.lines() if line["event"] == "serving"]) == 2
        )


async def test_a_problem_with_a_file_or_an_address_is_told_with_its_line(
    tmp_path: Path, free_ports: list[int]
) -> None:
    async with Served(tmp_path, free_ports) as place:
        lines = [
            *MINIMAL.splitlines(),
            "forwarding:",
            f"  ca_file: {tmp_path}/ca.pem",
            "identity:",
            f"  signing_key_files: [{tmp_path}/none.pem]",
            "server:",
            f"  listen: 192.0.2.1:{free_ports[2]}",
            "  private_listen: off",
        ]
        place.config.write_text("\n".join(lines))
        place.signal(signal.SIGHUP)
        await until(lambda: place.logged_events("not reloaded"))
        for part in ("identity.signing_key_files[0]", "forwarding.ca_file", "server.listen"):
            leaf = part.partition(".")[2].partition("[")[0]
            number = 1 + next(i for i, line in enumerate(lines) if f"{leaf}: " in line)
            told = [line["event"] for line in place.lines()]
            assert any(f"{place.config}:{number}: {part}: " in event for event in told), told
