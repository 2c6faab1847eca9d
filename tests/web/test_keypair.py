"""Certificates and keys from files."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.web.keypair import load_pair
from tests.fakes.authority import Authority

OPTIONS = ("a.certificate_file", "a.key_file")


def files(folder: Path) -> dict[str, str]:
    """Files by what they are."""
    authority = Authority(folder)
    certificate, key = authority.issue("proxy")
    _, other = authority.issue("other")
    _, locked = authority.issue("locked", password=b"tiger")
    junk, both = folder / "junk.pem", folder / "both.pem"
    junk.write_text("junk")
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    paths = {
        "certificate": certificate,
        "key": key,
        "other key": other,
        "locked key": locked,
        "junk": junk,
        "both": both,
        "nothing": folder / "nothing.pem",
        "folder": folder,
    }
    return {name: str(path) for name, path in paths.items()} | {"": ""}


@pytest.mark.parametrize(
    ("certificate", "key"), [("certificate", "key"), ("both", ""), ("both", "both")]
)
def test_a_usable_pair(tmp_path: Path, certificate: str, key: str) -> None:
    named = files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_pair(context, named[certificate], named[key], OPTIONS)


@pytest.mark.parametrize(
    ("certificate", "key", "option", "words"),
    [
        ("nothing", "key", "a.certificate_file", "No such file"),
        ("certificate", "nothing", "a.key_file", "No such file"),
        ("folder", "key", "a.certificate_file", "Is a directory"),
        ("certificate", "other key", "a.certificate_file", "the key is not that of"),
        ("certificate", "locked key", "a.certificate_file", "the key is encrypted"),
        ("certificate", "", "a.certificate_file", "missing, or is not PEM"),
        ("junk", "key", "a.certificate_file", "missing, or is not PEM"),
        ("certificate", "junk", "a.certificate_file", "missing, or is not PEM"),
    ],
)
def test_an_unusable_pair(
    tmp_path: Path, certificate: str, key: str, option: str, words: str
) -> None:
    named = files(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ConfigError) as caught:
        load_pair(context, named[certificate], named[key], OPTIONS)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{option}: {named[certificate if 'cert' in option else key]}")
    assert words in problem
