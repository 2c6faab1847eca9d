"""Whom we trust as the provider, and the certificate that we show it, as files change."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy.config.provider import Provider
from proxy.errors import ConfigError
from proxy.web.provider_tls import ProviderTls, provider_tls_problems
from tests.fakes.authority import Authority


def settings(**options: object) -> Provider:
    return Provider.model_validate(options)


async def test_everything_is_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for made in (settings(), settings(ca_file=str(authority.file))):
        context = await ProviderTls(made).context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


async def test_a_context_is_made_once_and_again_for_changed_files(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("proxy.example.org")
    options = {"ca_file": authority.file, "tls_certificate_file": certificate, "tls_key_file": key}
    tls = ProviderTls(settings(**{name: str(file) for name, file in options.items()}))
    first = await tls.context()
    assert await tls.context() is first

    other_certificate, other_key = authority.issue("proxy.example.org")
    certificate.write_bytes(other_certificate.read_bytes())
    assert await tls.context() is first, "half of a pair fits nothing"
    key.write_bytes(other_key.read_bytes())
    second = await tls.context()
    assert second is not first
    key.unlink()
    assert await tls.context() is second


@pytest.mark.parametrize("option", ["ca_file", "tls_certificate_file", "tls_key_file"])
def test_what_cannot_be_used_is_named(option: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("proxy.example.org")
    good = {"ca_file": authority.file, "tls_certificate_file": certificate, "tls_key_file": key}
    options = {name: str(file) for name, file in good.items()} | {option: "/nowhere/file.pem"}
    found = "\n".join(provider_tls_problems(settings(**options), "providers.2"))
    assert f"providers.2.{option}: /nowhere/file.pem" in found
    with pytest.raises(ConfigError, match=rf"provider\.{option}"):
        ProviderTls(settings(**options))


def test_certificate_and_key_may_share_a_file(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("proxy.example.org")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert list(provider_tls_problems(settings(tls_certificate_file=str(both)))) == []


def test_an_encrypted_key_asks_nobody_for_its_password(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("proxy.example.org", password=b"hush")
    options = {"tls_certificate_file": str(certificate), "tls_key_file": str(key)}
    (problem,) = provider_tls_problems(settings(**options))
    assert "encrypted" in problem
