"""The examples of docs/headers.md, run as they stand there against good tokens and forged ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from proxy.crypto.jwt import Signer, generate_signing_key, load_signer, public_jwks
from tests.crypto import forge

ROOT = Path(__file__).resolve().parents[2]
ASK = Path(__file__).parent / "ask"
NODE_MODULES = ROOT / "tests" / "providers" / "node_modules"
PAGE = (ROOT / "docs" / "headers.md").read_text(encoding="utf-8")
PUBLIC_URL = "https://app.example.org"
SUBJECT = "alice-5f0c3b1e"
LATER = 60
"""Seconds that pass before the last rounds: keys are kept, unknown ones are looked for again."""

PEM = generate_signing_key("ES256")
SIGNER = load_signer(PEM, "ES256")
NEXT = load_signer(generate_signing_key("ES256"), "ES256")
STRANGER = load_signer(generate_signing_key("ES256"), "ES256")


class Keys(ThreadingHTTPServer):
    """The proxy's JWKS: one key at first, two from the second look on. Counts what is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Keys)
        self.server.asked[self.path] += 1
        late = self.server.asked[self.path] > 1
        signers = (SIGNER, NEXT) if late else (SIGNER,)
        if self.path != "/oauth2/.well-known/jwks.json":
            signers = (STRANGER,)
        body = json.dumps(public_jwks(signers)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/jwk-set+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def claims(issuer: str, **changes: object) -> dict[str, object]:
    """Good claims with changes; None leaves a claim out."""
    now = int(time.time())
    good: dict[str, object] = {
        "iss": issuer, "aud": "api", "sub": SUBJECT, "jti": "one", "sid": "two",
        "scope": "playground", "iat": now, "exp": now + 3600, "email": "alice@example.org",
        "groups": ["admins", "dev"],
    }  # fmt: skip
    return {name: value for name, value in (good | changes).items() if value is not None}


def shared_secret(issuer: str) -> str:
    """Signed with HS256 and our public key as the secret (RFC 8725 section 2.1)."""
    public = load_pem_private_key(PEM, None).public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = {"alg": "HS256", "kid": SIGNER.kid, "typ": "JWT"}
    return forge.token_of(header, claims(issuer), secret, "HS256")


def unsigned(issuer: str, alg: str) -> str:
    header = {"alg": alg, "kid": SIGNER.kid, "typ": "JWT"}
    return forge.token_of(header, claims(issuer), b"", "none")


def elsewhere(issuer: str, **header: object) -> str:
    """By a stranger whose header says where to find his key."""
    return forge.token(claims(issuer), forge.ec_key("stranger"), "ES256", **header)


def altered(issuer: str) -> str:
    """Good claims of somebody else under our signature."""
    head, _, signature = SIGNER.sign(claims(issuer)).split(".")
    other = SIGNER.sign(claims(issuer, sub="mallory")).split(".")[1]
    return f"{head}.{other}.{signature}"


Rounds = dict[str, tuple[int, list[str], bool]]


def rounds(issuer: str) -> Rounds:
    """Name → seconds that pass before, the headers' values, and whether that is an identity."""

    def token(**changes: object) -> list[str]:
        return [SIGNER.sign(claims(issuer, **changes))]

    def by(signer: Signer) -> list[str]:
        return [signer.sign(claims(issuer))]

    now = int(time.time())
    good = token()
    found: Rounds = {
        "good": (0, good, True),
        "one of several audiences": (0, token(aud=["other", "api"]), True),
        "expired within the leeway": (0, token(exp=now - 5), True),
        "no header": (0, [], False),
        "header twice": (0, good * 2, False),
        "empty": (0, [""], False),
        "not a token": (0, ["alice"], False),
        "expired": (0, token(exp=now - 90), False),
        "from the future": (0, token(iat=now + 300, exp=now + 600), False),
        "wrong audience": (0, token(aud="other"), False),
        "wrong issuer": (0, token(iss="https://evil.example"), False),
        "alg none": (0, [unsigned(issuer, "none")], False),
        "no signature": (0, [unsigned(issuer, "ES256")], False),
        "HS256 with the public key": (0, [shared_secret(issuer)], False),
        "other key under our kid": (0, by(replace(STRANGER, kid=SIGNER.kid)), False),
        "other key": (0, by(STRANGER), False),
        "key in the header": (0, [elsewhere(issuer, jwk=forge.ec_key("stranger").jwk())], False),
        "address of a key in the header": (0, [elsewhere(issuer, jku=f"{issuer}/evil")], False),
        "altered claims": (0, [altered(issuer)], False),
    }
    for name in ("iss", "aud", "exp", "iat", "sub", "jti"):
        found[f"without {name}"] = (0, token(**{name: None}), False)
    found["next key"] = (LATER, by(NEXT), True)
    found["other key, looked for again"] = (2 * LATER, by(STRANGER), False)
    found["good at the end"] = (2 * LATER, good, True)
    return found


CASES = tuple(rounds(PUBLIC_URL))
SNIPPETS = ("identity.py", "identity-jose.mjs", "identity.mjs", "identity.go")


def snippet(name: str, url: str) -> str:
    """The example called ``name``, with the proxy at ``url``."""
    [text] = re.findall(rf"<!-- snippet: {re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.S)
    return str(text).replace(PUBLIC_URL, url)


@cache
def go_modules() -> str:
    """Why the Go example cannot be built here; empty when it can."""
    if shutil.which("go") is None:
        return "go is not installed: the Go example of docs/headers.md was not run"
    try:
        done = subprocess.run(
            ["go", "mod", "download"], cwd=ASK, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return "the Go example was not run: its one module could not be fetched in a minute"
    if done.returncode:
        return f"the Go example was not run: {done.stderr.strip().splitlines()[-1]}"
    return ""


def command(name: str, folder: Path) -> list[str]:
    """How to run the snippet in ``folder``; skips the test where this machine cannot."""
    if name.endswith(".py"):
        return [sys.executable, str(ASK / "ask.py"), str(folder / name)]
    if name.endswith(".mjs"):
        if shutil.which("node") is None:
            pytest.skip("node is not installed: the Node examples of docs/headers.md were not run")
        if "jose" in name:
            if not (NODE_MODULES / "jose").is_dir():
                pytest.skip("jose is not installed: 'make test' does that")
            (folder / "node_modules").symlink_to(NODE_MODULES)
        return ["node", str(ASK / "ask.mjs"), str(folder / name)]
    if reason := go_modules():
        pytest.skip(reason)
    for file in ("ask.go", "go.mod", "go.sum"):
        shutil.copy(ASK / file, folder)
    return ["go", "run", "."]


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    server = Keys()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module", params=SNIPPETS)
def verdicts(
    request: pytest.FixtureRequest, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str | None]:
    """Case → the subject that the snippet believed in, all asked of one process."""
    name, folder = request.param, tmp_path_factory.mktemp("snippet")
    (folder / name).write_text(snippet(name, keys.url), encoding="utf-8")
    keys.asked.clear()
    asked = rounds(keys.url)
    assert tuple(asked) == CASES
    done = subprocess.run(
        command(name, folder),
        cwd=folder,
        input=json.dumps([[lapse, values] for lapse, values, _ in asked.values()]),
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "GOFLAGS": "-mod=mod", "NO_PROXY": "*", "no_proxy": "*"},
    )
    assert done.returncode == 0, done.stderr
    assert set(keys.asked) == {"/oauth2/.well-known/jwks.json"}, "an address in a token was asked"
    found: list[str | None] = json.loads(done.stdout)
    return dict(zip(asked, found, strict=True))


@pytest.mark.timeout(300)  # the first build of the Go example compiles its library
@pytest.mark.parametrize("case", [pytest.param(case, id=case.replace(" ", "-")) for case in CASES])
def test_an_example_believes_what_the_proxy_signed_and_nothing_else(
    case: str, verdicts: dict[str, str | None]
) -> None:
    good = rounds(PUBLIC_URL)[case][2]
    assert verdicts[case] == (SUBJECT if good else None)


def test_every_example_of_the_page_is_run() -> None:
    code = re.findall(r"(?:<!-- snippet: (\S+) -->\n)?^```(python|js|go)$", PAGE, re.M)
    assert [name for name, _ in code] == list(SNIPPETS)
