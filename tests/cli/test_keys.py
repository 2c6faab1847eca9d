"""auth-proxy keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config.types import decode_cookie_secret
from proxy.crypto.jwt import load_signer


def test_a_secret_is_32_bytes_and_new_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "secret"]) == 0
    assert main(["keys", "secret"]) == 0
    one, other = capsys.readouterr().out.split()
    assert len(decode_cookie_secret(one)) == 32
    assert one != other


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_signing_key_is_one_that_signs(
    algorithm: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "key.pem"
    assert main(["keys", "signing", "--algorithm", algorithm, "--out", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_signer(path.read_bytes(), algorithm).algorithm == algorithm
    assert capsys.readouterr().out == ""


def test_a_signing_key_is_printed_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "signing"]) == 0
    assert capsys.readouterr().out.startswith("-----BEGIN PRIVATE KEY-----\n")


def test_a_key_is_never_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "key.pem"
    path.write_text("precious", encoding="utf-8")
    assert main(["keys", "signing", "--out", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "precious"
    assert "exists already" in capsys.readouterr().err


def test_a_folder_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "signing", "--out", "none/key.pem"]) == 1
    assert "cannot be written: No such file" in capsys.readouterr().err
