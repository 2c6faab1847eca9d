"""What a configuration in force is made of, and what is wrong with one that cannot be."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.config.settings import Settings
from proxy.crypto.jwt import generate_signing_key
from proxy.errors import ConfigError
from proxy.process.cpus import usable_cpus
from proxy.process.generation import Generation, prepare
from proxy.web.activation import NOT_ACTIVATED
from proxy.web.runtime import compile_runtime
from tests.web.place import PUBLIC, SECRET


def settings(**sections: Any) -> Settings:
    given: dict[str, Any] = {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:1",
        "cookie": {"secret": SECRET},
        "provider": {"issuer_url": "https://id.example.org", "client_id": "proxy"},
        "server": {"listen": "127.0.0.1:0", "private_listen": "off"},
    }
    for name, value in sections.items():
        given[name] = {**given.get(name, {}), **value}
    return Settings.model_validate(given)


def prepared(
    before: Generation | None = None, folder: str = "/nowhere", **sections: Any
) -> Generation:
    return prepare(settings(**sections), NOT_ACTIVATED, os.urandom, before, folder)


@pytest.fixture
def first() -> Iterator[Generation]:
    generation = prepared(server={"workers": 2})
    yield generation
    generation.shares.release()


def test_what_was_made_and_bound_goes_on(first: Generation) -> None:
    where = f"127.0.0.1:{next(iter(first.shares)).port}"
    second = prepared(first, server={"workers": 3, "listen": where})
    assert (first.number, second.number, second.workers) == (1, 2, 3)
    assert second.made.signing_keys == first.made.signing_keys
    old = {id(listener.sock) for listener in first.shares}
    assert old < {id(listener.sock) for listener in second.shares}
    second.shares.release(keep=first.shares)


def test_auto_is_as_many_as_there_are_processors() -> None:
    generation = prepared(server={"workers": "auto"})
    assert generation.workers == usable_cpus()
    generation.shares.release()


def test_everything_that_is_wrong_is_told_at_once_and_nothing_stays(first: Generation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError) as refused:
            prepared(
                first,
                server={"listen": taken},
                identity={"signing_key_files": ["/nowhere/key.pem"]},
                forwarding={"ca_file": "/nowhere/ca.pem"},
            )
    told = "\n".join(refused.value.problems)
    for part in (taken, "/nowhere/key.pem", "/nowhere/ca.pem"):
        assert part in told
    assert all(listener.sock.fileno() >= 0 for listener in first.shares)


def test_files_are_looked_at_although_the_addresses_are_good(free_port: int) -> None:
    where = f"127.0.0.1:{free_port}"
    with pytest.raises(ConfigError, match=r"/nowhere/ca\.pem"):
        prepared(server={"listen": where}, provider={"ca_file": "/nowhere/ca.pem"})
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", free_port)) != 0, "closed again"


def test_the_keys_of_a_generation_stay_whatever_becomes_of_their_files(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    generation = prepared(identity={"signing_key_files": [str(key)]})
    generation.shares.release()
    kids = published(generation)
    key.write_bytes(generate_signing_key("ES256"))
    assert published(generation) == kids
    key.unlink()
    assert published(generation) == kids


def published(generation: Generation) -> list[str]:
    runtime = compile_runtime(generation.settings, os.urandom, generation.made)
    return [signer.kid for signer in runtime.signers]


def test_several_workers_need_something_in_common() -> None:
    with pytest.raises(ConfigError, match="several workers"):
        prepared(folder="", server={"workers": 2})
    for sections in (
        {"server": {"workers": 1}},
        {"server": {"workers": 2}, "redis": {"url": "redis://127.0.0.1:1/0"}},
    ):
        prepared(folder="", **sections).shares.release()
