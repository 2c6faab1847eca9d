"""The files that a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.settings import Settings
from proxy.crypto.jwt import generate_signing_key
from proxy.web.files import file_problems
from tests.fakes.authority import Authority


def problems(**sections: object) -> list[str]:
    return file_problems(Settings.model_validate({"public_url": "http://localhost", **sections}))


def test_no_files_no_problems() -> None:
    assert problems() == []


def test_a_good_key_is_no_problem(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    assert problems(identity={"signing_key_files": [str(key)]}) == []
    (wrong,) = problems(identity={"signing_key_files": [str(key)], "algorithm": "RS256"})
    assert "identity.signing_key_files" in wrong


@pytest.mark.parametrize("there", [True, False], ids=["not PEM", "missing"])
def test_every_file_is_named_at_once(tmp_path: Path, there: bool) -> None:
    junk = tmp_path / "junk.pem"
    if there:
        junk.write_text("junk")
    found = problems(
        identity={"signing_key_files": [str(junk)]},
        provider={"ca_file": str(junk)},
        forwarding={"ca_file": str(junk), "client_certificate_file": str(junk)},
    )
    options = (
        "identity.signing_key_files",
        "provider.ca_file",
        "forwarding.ca_file",
        "forwarding.client_certificate_file",
    )
    assert all(line.startswith(option) for line, option in zip(found, options, strict=True))


def test_a_certificate_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    server = {"tls_listen": ":443", "certificate_file": f"{tmp_path}/tls.pem"}
    (problem,) = problems(server=server)
    assert problem == f"server.certificate_file: {tmp_path}/tls.pem: No such file or directory"
    authority = Authority(tmp_path)
    certificate, key = authority.issue("app.example.org")
    server |= {"certificate_file": str(certificate), "key_file": str(key)}
    assert problems(server=server) == []
