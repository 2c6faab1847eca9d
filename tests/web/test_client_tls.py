"""TLS towards upstreams: what is trusted and shown, and which files are refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy.config.settings import Forwarding
from proxy.errors import ConfigError
from proxy.web.client_tls import client_tls, client_tls_problems
from tests.fakes.authority import Authority


def test_by_default_certificates_and_names_are_checked() -> None:
    context = client_tls(Forwarding())
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_the_check_can_be_switched_off() -> None:
    context = client_tls(Forwarding(verify=False))
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_own_authorities_replace_those_of_the_system(tmp_path: Path) -> None:
    context = client_tls(Forwarding(ca_file=str(Authority(tmp_path).file)))
    (only,) = context.get_ca_certs()
    assert (("commonName", "authority"),) in only["subject"]


def test_a_certificate_of_our_own(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("proxy")
    client_tls(Forwarding(client_certificate_file=str(certificate), client_key_file=str(key)))


@pytest.mark.parametrize(
    ("there", "words"),
    [(False, "No such file"), (True, "no certificate in it")],
    ids=["missing", "not PEM"],
)
def test_unusable_authorities(tmp_path: Path, there: bool, words: str) -> None:
    file = tmp_path / "authorities.pem"
    if there:
        file.write_text("junk")
    (problem,) = client_tls_problems(Forwarding(ca_file=str(file)))
    assert problem.startswith(f"forwarding.ca_file: {file}: ")
    assert words in problem


def test_every_file_is_told_at_once(tmp_path: Path) -> None:
    junk = str(tmp_path / "junk.pem")
    settings = Forwarding(ca_file=junk, client_certificate_file=junk)
    found = list(client_tls_problems(settings))
    options = ("forwarding.ca_file: ", "forwarding.client_certificate_file: ")
    assert all(line.startswith(option) for line, option in zip(found, options, strict=True))
    with pytest.raises(ConfigError) as caught:
        client_tls(settings)
    assert list(caught.value.problems) == found
