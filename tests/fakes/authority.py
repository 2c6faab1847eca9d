"""A certificate authority of the test's own."""

from __future__ import annotations

import ipaddress
import itertools
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Issues certificates, and writes them into ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._numbers = itertools.count(1)
        self.file = folder / f"{name}.pem"
        certificate = self._signed(_named(name), self._key.public_key(), days=1).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        signed = certificate.sign(self._key, hashes.SHA256())
        self.file.write_bytes(signed.public_bytes(Encoding.PEM))

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: float
    ) -> x509.CertificateBuilder:
        until = datetime.now(UTC) + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(_named(self._name))
        builder = builder.public_key(key).serial_number(next(self._numbers))
        return builder.not_valid_before(until - timedelta(days=10)).not_valid_after(until)

    def issue(
        self, *names: str, days: float = 1, password: bytes | None = None
    ) -> tuple[Path, Path]:
        """A certificate for host names and addresses, and its key, both as files.

        It is good for another ``days``; below 0 it has expired.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._signed(_named(names[0]), key.public_key(), days).add_extension(
            x509.SubjectAlternativeName(map(_alternative, names)), critical=False
        )
        signed = builder.sign(self._key, hashes.SHA256())
        stem = f"{self._name}-{signed.serial_number}"
        certificate, secret = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        return certificate, secret

    def server(self, *names: str, days: float = 1, clients: bool = False) -> ssl.SSLContext:
        """What a server of these names uses; with ``clients`` it asks for our certificates."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self.issue(*names, days=days))
        if clients:
            context.load_verify_locations(self.file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> ssl.SSLContext:
        """What a client uses that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.file))
