"""ID tokens, beyond what test_strict.py decides: what is returned, hashes, tenants, words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.crypto.jwt import UnknownKey, VerificationKeys, parse_jwks
from proxy.errors import LoginError, Reason
from proxy.oidc.facts import Claims
from proxy.oidc.idtoken import verify_id_token, verify_refreshed
from tests.crypto.forge import Key, at_hash, ec_key, ed_key, rsa_key, token
from tests.oidc.acts import ACCESS_TOKEN, ID_CLAIMS, MISSING, changed, signed
from tests.oidc.scene import ISSUER, METADATA, NONCE, NOW, keys, provider


def _verify(
    made: str,
    known: VerificationKeys | None = None,
    *,
    issuer: str = ISSUER,
    algorithms: tuple[str, ...] = ("RS256", "ES256"),
    **options: object,
) -> Claims:
    return verify_id_token(
        made,
        keys() if known is None else known,
        provider=provider(id_token_algorithms=algorithms, **options),
        metadata=dataclasses.replace(METADATA, issuer=issuer, id_token_algorithms=algorithms),
        nonce=NONCE,
        now=NOW,
        access_token=ACCESS_TOKEN,
    )


def test_the_claims_come_as_they_are() -> None:
    further = {"email": "a@b.fr", "unknown": {"x": [1]}, "at_hash": at_hash(ACCESS_TOKEN)}
    assert _verify(signed(further)) == {**ID_CLAIMS, **further}


def test_a_key_that_comes_later() -> None:
    made = token(ID_CLAIMS, rsa_key("rotated"), "RS256")
    with pytest.raises(UnknownKey):
        _verify(made)
    assert _verify(made, parse_jwks({"keys": [rsa_key("rotated").jwk()]})) == ID_CLAIMS


@pytest.mark.parametrize(
    ("key", "alg", "digest"),
    [
        pytest.param(ec_key, "ES256", "sha256", id="ES256"),
        pytest.param(lambda: ec_key("p384", ec.SECP384R1), "ES384", "sha384", id="ES384"),
        pytest.param(rsa_key, "PS512", "sha512", id="PS512"),
        pytest.param(ed_key, "EdDSA", "sha512", id="EdDSA with Ed25519"),
    ],
)
def test_at_hash_follows_the_algorithm(key: Callable[[], Key], alg: str, digest: str) -> None:
    signing = key()
    known = parse_jwks({"keys": [signing.jwk()]})
    good = token({**ID_CLAIMS, "at_hash": at_hash(ACCESS_TOKEN, digest)}, signing, alg)
    assert _verify(good, known, algorithms=(alg,))["sub"] == ID_CLAIMS["sub"]
    wrong = token({**ID_CLAIMS, "at_hash": at_hash("another", digest)}, signing, alg)
    with pytest.raises(LoginError):
        _verify(wrong, known, algorithms=(alg,))


def test_the_metadata_can_only_narrow_the_algorithms() -> None:
    metadata = dataclasses.replace(METADATA, id_token_algorithms=())
    made = token(ID_CLAIMS, rsa_key(), "RS512")
    with pytest.raises(LoginError):
        verify_id_token(made, keys(), provider=provider(), metadata=metadata, nonce=NONCE, now=NOW)


def test_no_token_is_said_as_such() -> None:
    with pytest.raises(LoginError) as error:
        _verify("")
    assert (error.value.reason, error.value.status) == (Reason.ID_TOKEN_MISSING, 502)


def test_the_detail_holds_no_part_of_the_token() -> None:
    made = signed({"email": "private@example.org", "exp": NOW - 600})
    with pytest.raises(LoginError) as error:
        _verify(made)
    assert "private" not in error.value.detail
    assert made[:20] not in error.value.detail


OURS, THEIRS = "8d1e39ab-0000-4000-8000-00000000000a", "8d1e39ab-0000-4000-8000-00000000000b"
MANY = "https://login.example.org/{tenantid}/v2.0"


def _of(tenant: str) -> dict[str, object]:
    return {"iss": MANY.replace("{tenantid}", tenant), "tid": tenant}


@pytest.mark.parametrize(
    ("changes", "allowed", "reason"),
    [
        pytest.param(_of(OURS), [OURS], None, id="an allowed tenant"),
        pytest.param(_of(OURS), [OURS.upper(), THEIRS], None, id="one of two, in capitals"),
        pytest.param(_of(THEIRS), [OURS], Reason.TENANT_NOT_ALLOWED, id="another tenant"),
        pytest.param(_of(OURS), [], Reason.TENANT_NOT_ALLOWED, id="of many, none is allowed"),
        pytest.param(
            {**_of(OURS), "tid": THEIRS}, [OURS, THEIRS], Reason.ID_TOKEN_INVALID, id="tid lies"
        ),
        pytest.param({**_of(OURS), "tid": MISSING}, [OURS], Reason.ID_TOKEN_INVALID, id="no tid"),
        pytest.param({"tid": OURS}, [OURS], Reason.ID_TOKEN_INVALID, id="another issuer"),
    ],
)
def test_tenants(changes: Mapping[str, object], allowed: list[str], reason: Reason | None) -> None:
    made, entra = signed(changes), {"allowed_tenants": allowed}
    if reason is None:
        assert _verify(made, issuer=MANY, entra=entra)["tid"] == OURS
        return
    with pytest.raises(LoginError) as error:
        _verify(made, issuer=MANY, entra=entra)
    assert error.value.reason is reason


def test_a_list_of_tenants_holds_for_an_exact_issuer_too() -> None:
    assert _verify(signed({"tid": OURS}), entra={"allowed_tenants": [OURS]})["tid"] == OURS
    for changes in ({"tid": THEIRS}, {}):
        with pytest.raises(LoginError) as error:
            _verify(signed(changes), entra={"allowed_tenants": [OURS]})
        assert error.value.reason is Reason.TENANT_NOT_ALLOWED


def test_a_refreshed_token_is_of_the_same_tenant() -> None:
    def refreshed(tenant: str) -> Claims:
        return verify_refreshed(
            token(changed(ID_CLAIMS, _of(tenant)), rsa_key(), "RS256"),
            keys(),
            provider=provider(entra={"allowed_tenants": [OURS, THEIRS]}),
            metadata=dataclasses.replace(METADATA, issuer=MANY),
            issuer=str(_of(OURS)["iss"]),
            subject="704e-1",
            now=NOW,
        )

    assert refreshed(OURS)["tid"] == OURS
    with pytest.raises(LoginError) as error:
        refreshed(THEIRS)
    assert error.value.reason is Reason.ID_TOKEN_INVALID
