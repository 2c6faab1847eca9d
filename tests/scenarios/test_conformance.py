"""The OpenID Foundation's modules for relying parties, by name, through the whole proxy.

Each name is one row of the suite's client plans (Basic, Config, logout, refresh, FAPI 2.0) and is
played by the fake provider; the run asserts what a relying party must do. A refused token is
never followed by another call to the provider, which the suite counts as a failure.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

import pytest

from proxy.errors import Reason
from tests.scenarios.conformance import (
    Run,
    gets_in,
    is_refused,
    proper,
    refused,
    registered,
    signs_in,
)
from tests.web.place import PUBLIC, Place, query
from tests.web.test_backchannel import ALICE, sid_of
from tests.web.test_frontchannel import framed
from tests.web.test_login_faults import DEEP, Expected, nothing_leaked

INVALID = (403, Reason.ID_TOKEN_INVALID)
NONCE = (403, Reason.NONCE_MISMATCH)
ISSUER = (403, Reason.ISSUER_MISMATCH)
REFRESHED: dict[str, Any] = {"session": {"refresh_every": "10m"}}
ALL_ALGORITHMS = {"id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256", "HS256"]}


async def client_secret_basic() -> None:
    """Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1)."""
    async with Place(provider={"client_secret": "a secret: 100% of + & = / and %41"}) as place:
        secret = registered(place)
        place.provider.misbehave("discovery_basic_only")
        await gets_in(place, place.browser())
        proper(place)
        pair = base64.b64encode(f"proxy:{quote_plus(secret)}".encode()).decode()
        assert place.provider.last("token").headers["Authorization"] == f"Basic {pair}"


async def another_issuer_in_the_metadata() -> None:
    """It stops before the browser is sent anywhere."""
    async with Place() as place:
        place.provider.misbehave("discovery_wrong_issuer")
        answer = await place.browser().get(DEEP)
        assert (answer.status, answer.location) == (502, "")
        assert Reason.PROVIDER_METADATA_INVALID in answer.text
        assert set(place.provider.calls) == {"discovery"}


async def keys_rotated_between_two_sign_ins() -> None:
    async with Place() as place:
        await gets_in(place, place.browser())
        place.provider.rotate_keys()
        await gets_in(place, place.browser())
        assert place.provider.calls["jwks"] == 2


async def keys_rotated_just_before_signing() -> None:
    async with Place() as place:
        await gets_in(place, place.browser())
        place.provider.misbehave("id_token_keys_rotated")
        await gets_in(place, place.browser())
        assert place.provider.calls["jwks"] == 2
        # once more at once: no second re-read within the cool-down, and nobody gets in
        place.upstream.seen.clear()
        await is_refused(place, place.browser(), INVALID)
        assert place.provider.calls["jwks"] == 2


async def several_subjects() -> None:
    async with Place() as place:
        place.provider.misbehave("userinfo_wrong_sub")
        await is_refused(place, place.browser(), (403, Reason.USERINFO_SUBJECT_MISMATCH))
        assert place.provider.calls["userinfo"] == 1
        proper(place)


BASIC: Mapping[str, Run] = {
    "test": signs_in(),
    "test-invalid-iss": refused(INVALID, "id_token_wrong_iss"),
    "test-missing-sub": refused(INVALID, "id_token_missing_sub"),
    "test-invalid-aud": refused(INVALID, "id_token_wrong_aud"),
    "test-missing-iat": refused(INVALID, "id_token_missing_iat"),
    "test-kid-absent-single-jwks": signs_in("id_token_no_kid"),
    "test-kid-absent-multiple-jwks": signs_in("id_token_no_kid", "jwks_several"),
    "test-idtoken-sig-rs256": signs_in(provider={"id_token_algorithms": ["RS256"]}),
    "test-idtoken-sig-none": refused(INVALID, "id_token_alg_none"),
    "test-invalid-sig-rs256": refused(INVALID, "id_token_bad_signature"),
    "test-userinfo-invalid-sub": several_subjects,
    "test-nonce-invalid": refused(NONCE, "id_token_wrong_nonce"),
    "test-scope-userinfo-claims": signs_in("id_token_without_person"),
    "test-client-secret-basic": client_secret_basic,
}
CONFIG: Mapping[str, Run] = {
    "discovery-openid-config": signs_in(),
    "discovery-jwks-uri-keys": signs_in("discovery_other_jwks_uri"),
    "discovery-issuer-mismatch": another_issuer_in_the_metadata,
    "idtoken-sig-none": refused(INVALID, "id_token_alg_none", metadata=ALL_ALGORITHMS),
    "signing-key-rotation-just-before-signing": keys_rotated_just_before_signing,
    "signing-key-rotation": keys_rotated_between_two_sign_ins,
}
COMPREHENSIVE: Mapping[str, Run] = {
    "test-missing-aud": refused(INVALID, "id_token_missing_aud"),
    "test-invalid-sig-es256": refused(INVALID, "id_token_bad_es256", metadata=ALL_ALGORITHMS),
    "test-invalid-sig-hs256": refused(
        INVALID, "id_token_hs256", metadata=ALL_ALGORITHMS,
        provider={"id_token_algorithms": ["HS256"], "client_secret": "s" * 40},
    ),
    "test-userinfo-signed": signs_in("userinfo_jwt", provider={"userinfo_format": "jwt"}),
    "test-userinfo-bearer-header": signs_in(),
}  # fmt: skip


async def rp_init_logout() -> None:
    """Signed out here first, then there; its word that it is done is told to the person."""
    async with Place() as place:
        browser = place.browser()
        await gets_in(place, browser)
        answer = await browser.post("/oauth2/sign_out")
        assert browser.session is None
        asked = query(answer.location)
        assert asked["post_logout_redirect_uri"] == f"{PUBLIC}/oauth2/signed_out"
        assert place.provider.provider.keys.verified(asked["id_token_hint"]) is not None
        async with place.http.get(answer.location, allow_redirects=False) as response:
            back = response.headers["Location"]
        assert query(back) == {"state": asked["state"]}
        assert "has ended its session too" in (await browser.get(back)).text
        nothing_leaked(place)


def returns_with(changed: str) -> Run:
    """A return that is not of this sign-out: the session is dead, and nothing more is believed."""

    async def run() -> None:
        async with Place() as place:
            browser = place.browser()
            await gets_in(place, browser)
            await browser.post("/oauth2/sign_out?rd=/elsewhere")
            page = await browser.get(f"/oauth2/signed_out{changed}")
            assert (page.status, page.location) == (200, "")
            assert "has ended its session too" not in page.text
            assert len(place.audited(Reason.LOGOUT_STATE_MISMATCH)) == 1
            assert (await browser.get(DEEP)).status == 302

    return run


RP_INITIATED_LOGOUT: Mapping[str, Run] = {
    "rp-init-logout": rp_init_logout,
    "rp-init-logout-other-state": returns_with("?state=of-somebody-else"),
    "rp-init-logout-no-state": returns_with(""),
}


def told(status: int, fault: str = "", **claims: Any) -> Run:
    """The back-channel logout endpoint's answer; only a good token ends the session."""

    async def run() -> None:
        async with Place() as place:
            browser = place.browser()
            await gets_in(place, browser)
            known = {"sub": ALICE, "sid": sid_of(place), "unknown_claim": [1]}
            token = place.provider.logout_token(fault=fault, **{**known, **claims})
            form = {"logout_token": token, "unknown_field": "x"}
            url = "/oauth2/backchannel_logout"
            answer = await place.browser().post(url, page=False, data=form)
            assert (answer.status, answer.headers["Cache-Control"]) == (status, "no-store")
            assert (await browser.get(DEEP)).status == (302 if status == 200 else 200)
            assert token not in place.logged()

    return run


BACK_CHANNEL_LOGOUT: Mapping[str, Run] = {
    "backchannel-rp-initiated-logout": told(200),
    "-alg-none": told(400, "id_token_alg_none"),
    "-wrong-alg": told(400, "id_token_hs256"),
    "-no-event": told(400, events=None),
    "-wrong-event": told(400, events={"http://schemas.openid.net/event/another": {}}),
    "-with-nonce": told(400, nonce="n" * 43),
    "-wrong-aud": told(400, aud="another-client"),
    "-wrong-iss": told(400, iss="https://other.example"),
}


async def front_channel() -> None:
    async with Place() as place:
        browser = place.browser()
        await gets_in(place, browser)
        answer = await framed(browser, ("iss", place.provider.issuer), ("sid", sid_of(place)))
        assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
        assert "X-Frame-Options" not in answer.headers
        assert (await browser.get(DEEP)).status == 302


async def refresh() -> None:
    async with Place(**REFRESHED) as place:
        browser = place.browser()
        await gets_in(place, browser)
        for number in range(1, 4):  # the provider rotates: each refresh token is good for once
            place.clock.advance(600)
            assert (await browser.get(DEEP)).status == 200
            assert place.provider.calls["token"] == 1 + number
            assert place.provider.calls["userinfo"] == 1 + number
        proper(place)
        nothing_leaked(place)


def ends_at_refresh(fault: str) -> Run:
    """Another's ID token at refresh: the session is over, and no more calls are made."""

    async def run() -> None:
        async with Place(**REFRESHED) as place:
            browser = place.browser()
            await gets_in(place, browser)
            stolen, seen = dict(browser.cookies), len(place.upstream.seen)
            place.clock.advance(600)
            place.provider.misbehave(fault)
            assert (await browser.get(DEEP)).status == 302
            assert "session ended at refresh" in place.logged()
            browser.cookies = stolen
            assert (await browser.get(DEEP)).status == 302
            assert (place.provider.calls["userinfo"], place.provider.calls["token"]) == (1, 2)
            assert len(place.upstream.seen) == seen
            nothing_leaked(place)

    return run


REFRESH: Mapping[str, Run] = {
    "refresh-token": refresh,
    "-invalid-issuer": ends_at_refresh("id_token_wrong_iss"),
    "-invalid-sub": ends_at_refresh("id_token_other_subject"),
}


def bad_callback(expected: Expected, fault: str) -> Run:
    """A response that is not believed is not redeemed."""

    async def run() -> None:
        async with Place() as place:
            place.provider.misbehave(fault)
            await is_refused(place, place.browser(), expected)
            assert place.provider.calls["token"] == 0

    return run


FAPI2: Mapping[str, Run] = {
    "happy-path": signs_in(),
    "discovery-issuer-mismatch": another_issuer_in_the_metadata,
    "ensure-authorization-response-with-invalid-state-fails": bad_callback(
        (403, Reason.ATTEMPT_MISSING), "callback_wrong_state"
    ),
    "ensure-authorization-response-with-missing-state-fails": bad_callback(
        (400, Reason.STATE_MISSING), "callback_no_state"
    ),
    "invalid-authorization-response-iss": bad_callback(ISSUER, "callback_wrong_iss"),
    "remove-authorization-response-iss": bad_callback(ISSUER, "callback_no_iss"),
    "invalid-aud": refused(INVALID, "id_token_wrong_aud"),
    "missing-aud": refused(INVALID, "id_token_missing_aud"),
    "invalid-iss": refused(INVALID, "id_token_wrong_iss"),
    "missing-iss": refused(INVALID, "id_token_missing_iss"),
    "expired-exp": refused(INVALID, "id_token_expired"),
    "missing-exp": refused(INVALID, "id_token_missing_exp"),
    "invalid-nonce": refused(NONCE, "id_token_wrong_nonce"),
    "missing-nonce": refused(NONCE, "id_token_missing_nonce"),
    "invalid-secondary-aud": refused(INVALID, "id_token_extra_aud"),
    "invalid-null-alg": refused(INVALID, "id_token_alg_none"),
    "invalid-alternate-alg": refused(
        INVALID, "id_token_es256", metadata=ALL_ALGORITHMS,
        provider={"id_token_algorithms": ["RS256"]},
    ),
    "invalid-alternate-alg, same key": refused(
        INVALID, "id_token_ps256", metadata=ALL_ALGORITHMS
    ),
    "valid-aud-as-array": signs_in("id_token_aud_list"),
    "token-type-case-insensitivity": signs_in("token_type_mixed_case"),
    "token-endpoint-response-without-expires_in": signs_in("token_expires_in_missing"),
    "refresh-token-test": refresh,
}  # fmt: skip

OURS: Mapping[str, Run] = {
    # what the suite leaves out for a code flow, and is ours to test
    "wrong at_hash": refused(INVALID, "id_token_wrong_at_hash"),
    "wrong azp": refused(INVALID, "id_token_wrong_azp"),
    "empty aud": refused(INVALID, "id_token_empty_aud"),
    "crit": refused(INVALID, "id_token_crit"),
    "key in the token": refused(INVALID, "id_token_embedded_key"),
    "key set named by the token": refused(INVALID, "id_token_foreign_key_set"),
    "a claim twice": refused(INVALID, "id_token_claim_twice"),
    "an access token": refused(INVALID, "id_token_typ_access_token"),
    "a logout token": refused(INVALID, "id_token_typ_logout_token"),
    "ten thousand keys": refused(INVALID, "jwks_many"),
    "keys of 64 KiBit": refused((502, Reason.PROVIDER_METADATA_INVALID), "jwks_huge_rsa"),
    "a public shared secret": refused((502, Reason.PROVIDER_METADATA_INVALID), "jwks_symmetric"),
    "response iss is empty": bad_callback(ISSUER, "callback_empty_iss"),
    "an error of another issuer": bad_callback(ISSUER, "callback_denied_wrong_iss"),
    "two states": bad_callback((400, Reason.DUPLICATE_PARAMETER), "callback_duplicate_state"),
    "two codes": bad_callback((400, Reason.DUPLICATE_PARAMETER), "callback_duplicate_code"),
    "two issuers": bad_callback((400, Reason.DUPLICATE_PARAMETER), "callback_duplicate_iss"),
}

PLANS: Mapping[str, Mapping[str, Run]] = {
    "Basic RP": BASIC,
    "Config RP": CONFIG,
    "comprehensive": COMPREHENSIVE,
    "RP-initiated logout": RP_INITIATED_LOGOUT,
    "back-channel logout": BACK_CHANNEL_LOGOUT,
    "front-channel logout": {"frontchannel-rp-initiated-logout": front_channel},
    "refresh": REFRESH,
    "FAPI 2.0": FAPI2,
    "ours": OURS,
}


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=f"{plan}: {name}")
        for plan, modules in PLANS.items()
        for name, run in modules.items()
    ],
)
async def test_module(run: Run) -> None:
    await run()
