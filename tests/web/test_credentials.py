"""What proves who we are comes from files that others may write at any time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.provider import Provider
from proxy.crypto.jwk import generate_signing_key
from proxy.errors import ConfigError
from proxy.oidc.metadata import Incomplete
from proxy.web.credentials import Credentials, credential_problems


def credentials(**options: object) -> Credentials:
    numbers = itertools.count()
    settings = Provider.model_validate({"client_id": "proxy", **options})
    return Credentials(settings, lambda: 1000.0, lambda: f"random {next(numbers)}")


async def test_each_request_has_a_proof_of_its_own(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    ours = credentials(client_key_file=str(key), client_key_id="ours")
    one, other = await ours.proof(), await ours.proof()
    assert (one.now, one.token, other.token) == (1000.0, "random 0", "random 1")
    assert [signer.kid for signer in one.signers] == ["ours"]
    assert one.signers is other.signers


async def test_a_new_key_is_used_and_a_broken_one_is_not(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    ours = credentials(client_key_file=str(key))
    (first,) = (await ours.proof()).signers
    key.write_bytes(b"half a")
    assert (await ours.proof()).signers == (first,)
    key.unlink()
    assert (await ours.proof()).signers == (first,)
    key.write_bytes(generate_signing_key("EdDSA"))
    (second,) = (await ours.proof()).signers
    assert second.algorithm == "EdDSA"


async def test_a_ready_assertion_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("aaa.bbb.ccc\n")
    ours = credentials(client_assertion_file=str(file))
    assert (await ours.proof()).assertion == "aaa.bbb.ccc"
    file.write_text("ddd.eee.fff")
    assert (await ours.proof()).assertion == "ddd.eee.fff"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda file: file.unlink(), "No such file", id="gone"),
        pytest.param(lambda file: file.write_bytes(b""), "no signed JWT", id="empty"),
        pytest.param(lambda file: file.write_bytes(b"a.b"), "no signed JWT", id="no JWT"),
        pytest.param(lambda file: file.write_bytes(b"a.b.\xff"), "no signed JWT", id="no text"),
        pytest.param(
            lambda file: file.write_bytes(b"a.b.c\r\nX: y"), "no signed JWT", id="two lines"
        ),
        pytest.param(lambda file: file.write_bytes(b"a.b." + b"c" * 65536), "64 KiB", id="endless"),
    ],
)
async def test_an_old_assertion_is_never_used_again(
    spoil: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("aaa.bbb.ccc")
    ours = credentials(client_assertion_file=str(file))
    await ours.proof()
    spoil(file)
    with pytest.raises(Incomplete, match=words) as refused:
        await ours.proof()
    assert refused.value.missing == ("client_assertion_file",)
    assert "aaa" not in str(refused.value)


@pytest.mark.parametrize("option", ["client_key_file", "client_assertion_file"])
def test_what_cannot_be_used_is_named_at_the_start(option: str, tmp_path: Path) -> None:
    file = tmp_path / "secret-name"
    settings = Provider.model_validate({option: str(file)})
    (problem,) = credential_problems(settings, "providers.1")
    assert problem == f"providers.1.{option}: {file}: No such file or directory"
    file.write_bytes(b"secret nonsense")
    (problem,) = credential_problems(settings)
    assert problem.startswith(f"provider.{option}: {file}: ")
    assert "nonsense" not in problem
    with pytest.raises(ConfigError):
        credentials(**{option: str(file)})


async def test_other_methods_read_no_file() -> None:
    proof = await credentials(client_secret="secret").proof()
    assert (proof.signers, proof.assertion) == ((), "")
