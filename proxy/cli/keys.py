"""``auth-proxy keys``: make the secrets that a configuration needs, and rotate them."""

from __future__ import annotations

import argparse
import os
import sys

from proxy.cli import rotate
from proxy.cli.arguments import Commands, Parser


def add(commands: Commands) -> None:
    """Declare the command, its two kinds of key, and their rotation."""
    text = "make a cookie secret or a signing key, or rotate them"
    parser: Parser = commands.add_parser("keys", help=text, description=text, allow_abbrev=False)
    kinds = parser.add_subparsers(metavar="KIND", title="kinds", required=True)
    secret = kinds.add_parser("secret", help="32 random bytes for cookie.secret, in base64")
    secret.set_defaults(run=make_secret)
    signing = kinds.add_parser("signing", help="a PEM private key for identity.signing_key_files")
    signing.add_argument("--algorithm", choices=("ES256", "RS256", "EdDSA"), default="ES256")
    signing.add_argument("--out", metavar="FILE", help="a new file, readable by its owner only")
    signing.set_defaults(run=make_signing_key)
    rotate.add(kinds)


def make_secret(parsed: argparse.Namespace) -> int:
    """Print a secret that the configuration accepts."""
    from proxy.cli.keyfile import new_secret  # late: slow to import

    print(new_secret())
    return 0


def make_signing_key(parsed: argparse.Namespace) -> int:
    """Print a new key, or write it to a file that did not exist before."""
    from proxy.crypto.jwt import generate_signing_key  # late: slow to import

    pem = generate_signing_key(parsed.algorithm)
    if not parsed.out:
        sys.stdout.write(pem.decode("ascii"))
        return 0
    try:
        descriptor = os.open(parsed.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{parsed.out}: exists already and was left as it is", file=sys.stderr)
        return 1
    except OSError as exc:
        print(f"{parsed.out}: cannot be written: {exc.strerror}", file=sys.stderr)
        return 1
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return 0
