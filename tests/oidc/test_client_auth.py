"""Who we are to the provider: what each method sends, and what it never sends."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.config.types import Secret
from proxy.crypto.client_key import load_client_signers
from proxy.crypto.jwt import Signer, VerificationKeys, parse_jwks, verify
from proxy.errors import ProviderError
from proxy.oidc.client_auth import ASSERTION_TYPE, NO_PROOF, Proof, auth_method, authenticated
from proxy.oidc.metadata import Metadata
from tests.crypto.forge import Key, ec_key, rsa_key
from tests.oidc.scene import CLIENT, ISSUER, METADATA, NOW, SECRET, provider

URL = f"{ISSUER}/par"
FORM = {"grant_type": "refresh_token", "refresh_token": "rt"}
HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
KEY = {"token_auth_method": "private_key_jwt", "client_key_file": "/run/key.pem"}


def signers(key: Key) -> tuple[Signer, ...]:
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return load_client_signers(private, key.kid)


def keys(*known: Key) -> VerificationKeys:
    return parse_jwks({"keys": [key.jwk() for key in known]})


def sent(
    proof: Proof = NO_PROOF, metadata: Metadata = METADATA, /, **options: object
) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and form of a request."""
    request = authenticated(metadata, provider(**options), FORM, URL, proof)
    assert request.url == URL
    pairs = parse_qsl(request.body.decode("ascii"), strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(request.headers), dict(pairs)


def proven(
    metadata: Metadata = METADATA, /, **options: object
) -> tuple[dict[str, object], dict[str, Any]]:
    """Header and claims of the assertion of a request that holds nothing else of ours."""
    proof = Proof(NOW + 0.9, "random", signers(rsa_key()))
    headers, form = sent(proof, metadata, **{**KEY, **options})
    assert headers == HEADERS
    assert FORM.items() <= form.items()
    assert form["client_id"] == CLIENT
    assert form["client_assertion_type"] == ASSERTION_TYPE
    assert set(form) == {*FORM, "client_id", "client_assertion", "client_assertion_type"}
    verified = verify(form["client_assertion"], keys(rsa_key()), ["RS256", "PS256"])
    return dict(verified.header), dict(verified.claims)


@pytest.mark.parametrize(
    ("options", "listed", "method"),
    [
        pytest.param({}, (), "client_secret_basic", id="a secret, nothing listed"),
        pytest.param({}, ("client_secret_post",), "client_secret_post", id="a secret, post"),
        pytest.param(
            {},
            ("private_key_jwt", "client_secret_basic"),
            "client_secret_basic",
            id="a secret, whatever else is listed",
        ),
        pytest.param({"client_secret": Secret("")}, (), "none", id="nothing"),
        pytest.param({"client_key_file": "k"}, (), "private_key_jwt", id="a key"),
        pytest.param({"client_assertion_file": "a"}, (), "private_key_jwt", id="an assertion"),
        pytest.param({"tls_certificate_file": "c"}, (), "tls_client_auth", id="a certificate"),
        pytest.param(
            {"tls_certificate_file": "c", "client_key_file": "k"},
            (),
            "private_key_jwt",
            id="a key, and a certificate for whoever stands before the provider",
        ),
        pytest.param(
            {"tls_certificate_file": "c", "token_auth_method": "client_secret_post"},
            (),
            "client_secret_post",
            id="as it is written",
        ),
    ],
)
def test_auto_takes_what_is_configured(
    options: dict[str, object], listed: tuple[str, ...], method: str
) -> None:
    metadata = replace(METADATA, token_auth_methods=listed)
    assert auth_method(metadata, provider(**options)) == method


@pytest.mark.parametrize(
    ("method", "more"),
    [
        pytest.param("client_secret_post", {"client_secret": SECRET}, id="post"),
        pytest.param("none", {}, id="none"),
        pytest.param("tls_client_auth", {}, id="mutual TLS"),
    ],
)
def test_methods_without_signature(method: str, more: dict[str, str]) -> None:
    headers, form = sent(token_auth_method=method)
    assert headers == HEADERS
    assert form == {**FORM, "client_id": CLIENT, **more}


def test_basic() -> None:
    headers, form = sent(token_auth_method="client_secret_basic")
    assert form == FORM
    scheme, _, value = headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(value)) == (
        "Basic",
        f"{CLIENT}:a+client+secret+of+32+characters".encode(),
    )


def test_an_assertion_of_our_key() -> None:
    header, claims = proven()
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "rsa"}
    assert claims == {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": ISSUER,
        "jti": "random",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }


def test_the_audience_is_the_token_endpoint_where_the_provider_wants_that() -> None:
    _, claims = proven(client_assertion_audience="token_endpoint")
    assert claims["aud"] == METADATA.token_endpoint


@pytest.mark.parametrize(
    ("listed", "algorithm"),
    [
        pytest.param((), "RS256", id="nothing is listed"),
        pytest.param(("ES256", "PS256"), "PS256", id="the one that is listed"),
        pytest.param(("PS256", "RS256"), "RS256", id="our first of those that are"),
        pytest.param(("ES256",), "RS256", id="none is: the provider will say"),
    ],
)
def test_the_algorithm_is_one_that_the_provider_lists(
    listed: tuple[str, ...], algorithm: str
) -> None:
    header, _ = proven(replace(METADATA, token_auth_algorithms=listed))
    assert header["alg"] == algorithm


def test_a_ready_assertion_goes_as_it_is_and_nothing_is_signed() -> None:
    _, form = sent(Proof(NOW, "random", (), "aaa.bbb.ccc"), client_assertion_file="/run/token")
    assert form["client_assertion"] == "aaa.bbb.ccc"
    assert "client_secret" not in form


def test_an_assertion_of_the_shared_secret() -> None:
    proof = Proof(NOW, "random", signers(ec_key()))
    _, form = sent(proof, token_auth_method="client_secret_jwt")
    verified = verify(
        form["client_assertion"], VerificationKeys(), ["HS256"], secret=SECRET.encode()
    )
    assert verified.header == {"alg": "HS256", "typ": "JWT"}
    assert (verified.claims["aud"], verified.claims["sub"]) == (ISSUER, CLIENT)
    assert "client_secret" not in form


@pytest.mark.parametrize(
    ("options", "proof"),
    [
        pytest.param(KEY, NO_PROOF, id="no key"),
        pytest.param(KEY, Proof(NOW, "", signers(ec_key())), id="nothing random"),
        pytest.param(
            {"token_auth_method": "client_secret_jwt", "client_secret": Secret("short")},
            Proof(NOW, "random"),
            id="a short secret",
        ),
    ],
)
def test_without_what_the_method_needs_nothing_is_sent(
    options: dict[str, object], proof: Proof
) -> None:
    with pytest.raises(ProviderError) as refused:
        sent(proof, **options)
    assert "short" not in refused.value.detail.replace("shorter", "")


def test_what_the_caller_says_does_not_displace_who_we_are() -> None:
    form = {"client_id": "another", "client_assertion": "x", "client_secret": "y"}
    for method in ("client_secret_post", "private_key_jwt"):
        options = provider(token_auth_method=method)
        proof = Proof(NOW, "random", signers(ec_key()))
        body = dict(parse_qsl(authenticated(METADATA, options, form, URL, proof).body.decode()))
        assert body["client_id"] == CLIENT
        assert (body["client_assertion"] == "x") is (method == "client_secret_post")


def test_nothing_secret_is_shown() -> None:
    proof = Proof(NOW, "random-token", signers(ec_key()), "aaa.bbb.ccc")
    shown = repr(proof) + repr(authenticated(METADATA, provider(**KEY), FORM, URL, proof))
    assert not any(
        secret in shown for secret in ("random-token", "aaa.bbb", "refresh_token", SECRET)
    )
