"""Every way in which a provider can be wrong: one page, one reason, no session, no secrets."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pytest

from proxy.errors import Reason
from tests.fakes import misbehaviour
from tests.web.place import Answer, Browser, Place, attempt_cookies

DEEP = "/deep/page?a=1&b=2"
RETRY = f"/oauth2/start?rd={quote(DEEP, safe='/')}"

Expected = tuple[int, Reason] | None
"""Status and reason of the page, or None where the sign-in must succeed all the same."""
OK: Expected = None


def _all(
    names: Mapping[str, object], expected: Expected, **others: Expected
) -> dict[str, Expected]:
    unknown = set(others) - set(names)
    assert not unknown, unknown
    return {name: others.get(name, expected) for name in names}


REFUSED = (502, Reason.TOKEN_REFUSED)
INVALID_RESPONSE = (502, Reason.TOKEN_RESPONSE_INVALID)
BROKEN = (502, Reason.PROVIDER_ERROR)
TIMEOUT = (504, Reason.PROVIDER_TIMEOUT)
METADATA = (502, Reason.PROVIDER_METADATA_INVALID)
INVALID = (403, Reason.ID_TOKEN_INVALID)
STRANGER = (403, Reason.USERINFO_SUBJECT_MISMATCH)
TWICE = (400, Reason.DUPLICATE_PARAMETER)

TOKEN = _all(
    misbehaviour.TOKEN,
    INVALID_RESPONSE,
    token_200_error=REFUSED,
    token_400_error=REFUSED,
    token_500=REFUSED,
    token_503_json=REFUSED,
    token_huge=BROKEN,
    token_type_missing=OK,
    token_type_mixed_case=OK,
    token_expires_in_missing=OK,
    token_expires_in_text=OK,
    token_refresh_token_missing=OK,
    token_id_token_missing=(502, Reason.ID_TOKEN_MISSING),
    token_id_token_null=(502, Reason.ID_TOKEN_MISSING),
) | {"token_redirect": BROKEN}
USERINFO = _all(
    misbehaviour.USERINFO,
    OK,
    userinfo_wrong_sub=STRANGER,
    userinfo_missing_sub=STRANGER,
    userinfo_unverified_email=(403, Reason.EMAIL_UNVERIFIED),
) | {
    "userinfo_redirect": OK,
    "userinfo_jwt": OK,
    "userinfo_jwt_bad_signature": (403, Reason.USERINFO_INVALID),
    "userinfo_jwt_stranger": (403, Reason.USERINFO_INVALID),
}
ID_TOKEN = _all(
    misbehaviour.ID_TOKEN,
    INVALID,
    id_token_extra_aud_my_azp=OK,
    id_token_aud_list=OK,
    id_token_missing_at_hash=OK,
    id_token_missing_acr=OK,
    id_token_missing_auth_time=OK,
    id_token_zero_auth_time=OK,
    id_token_fraction_auth_time=OK,
    id_token_without_person=OK,
    id_token_wrong_nonce=(403, Reason.NONCE_MISMATCH),
    id_token_missing_nonce=(403, Reason.NONCE_MISMATCH),
    # userinfo says it properly, and wins
    id_token_crlf_email=OK,
    id_token_null_claims=OK,
    id_token_multi_at_email=OK,
    id_token_unverified_email=OK,
    id_token_other_subject=STRANGER,
)
SIGN = _all(misbehaviour.SIGN, INVALID, id_token_no_kid=OK, id_token_keys_rotated=OK)
CALLBACK = _all(
    misbehaviour.CALLBACK,
    TWICE,
    callback_no_iss=(403, Reason.ISSUER_MISMATCH),
    callback_wrong_iss=(403, Reason.ISSUER_MISMATCH),
    callback_empty_iss=(403, Reason.ISSUER_MISMATCH),
    callback_denied_wrong_iss=(403, Reason.ISSUER_MISMATCH),
    callback_no_state=(400, Reason.STATE_MISSING),
    callback_wrong_state=(403, Reason.ATTEMPT_MISSING),
    callback_no_code=(400, Reason.CODE_MISSING),
    callback_access_denied=(403, Reason.PROVIDER_DENIED),
    callback_server_error=BROKEN,
    callback_markup_error=(403, Reason.PROVIDER_ERROR),
    callback_code_and_error=(403, Reason.PROVIDER_DENIED),
)
JWKS = _all(
    misbehaviour.JWKS,
    BROKEN,
    jwks_html=METADATA,
    jwks_list=METADATA,
    jwks_empty=METADATA,
    jwks_several=OK,
    jwks_many=INVALID,  # its first hundred keys are looked at
    jwks_huge_rsa=METADATA,
    jwks_symmetric=METADATA,
    jwks_for_encryption=METADATA,
)
JWKS |= {"jwks_redirect": BROKEN}
DISCOVERY = _all(
    misbehaviour.DISCOVERY,
    METADATA,
    discovery_500=BROKEN,
    discovery_404=BROKEN,
    discovery_huge=BROKEN,
    discovery_no_userinfo=OK,
    discovery_no_end_session=OK,
    discovery_no_iss_parameter=OK,
    discovery_no_pkce=OK,
    discovery_plain_pkce_only=OK,
    discovery_basic_only=OK,
    discovery_other_jwks_uri=OK,
) | {"discovery_redirect": BROKEN}


def check(place: Place, name: str, browser: Browser, answer: Answer, expected: Expected) -> None:
    """The outcome of one sign-in is the expected one, and tells nothing that it must not."""
    if expected is None:
        assert (answer.status, answer.location) == (303, DEEP), (name, answer.text)
        assert browser.session, name
        return
    status, reason = expected
    assert answer.status == status, (name, answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8", name
    assert answer.headers["Cache-Control"] == "no-store", name
    request_id = answer.headers["X-Request-Id"]
    assert request_id in answer.text, name
    assert reason in answer.text, name
    assert browser.session is None, name
    told = f"{answer.headers} {answer.text}"
    for secret in (*place.secrets(), "proxy-secret", "eyJ", "secret-of-the-provider", "<script"):
        assert secret not in told, (name, secret)
    if reason is not Reason.EMAIL_UNVERIFIED:
        assert f'href="{RETRY}"' in answer.text, (name, answer.text)
    lines = [line for line in place.logged().splitlines() if request_id in line]
    assert any(f'"reason": "{reason}"' in line or f'"{reason}: ' in line for line in lines), lines


def nothing_leaked(place: Place) -> None:
    logged = place.logged()
    for secret in (*place.secrets(), "proxy-secret", "eyJ", "secret-of-the-provider"):
        assert secret not in logged, secret
    assert place.provider.calls["elsewhere"] == 0


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(TOKEN, id="token endpoint"),
        pytest.param(USERINFO, id="userinfo"),
        pytest.param(ID_TOKEN, id="ID token claims"),
        pytest.param(SIGN, id="ID token signature"),
        pytest.param(CALLBACK, id="callback"),
    ],
)
async def test_a_fault_during_the_callback_is_one_page(table: dict[str, Expected]) -> None:
    async with Place() as place:
        for name, expected in table.items():
            browser = place.browser()
            place.provider.misbehave(name)
            answer = await browser.sign_in(DEEP)
            check(place, name, browser, answer, expected)
            if expected is not None and name not in ("callback_no_state", "callback_wrong_state"):
                assert attempt_cookies(browser.cookies) == [], name
            place.clock.advance(61)  # past the cool-down for unknown keys
        nothing_leaked(place)


@pytest.mark.parametrize(
    "table", [pytest.param(JWKS, id="keys"), pytest.param(DISCOVERY, id="metadata")]
)
async def test_a_fault_before_anything_is_known_is_one_page(table: dict[str, Expected]) -> None:
    async with Place() as place:
        for name, expected in table.items():
            browser = place.browser()
            place.provider.misbehave(name)
            await place.start_proxy()
            first = await browser.get(DEEP)
            if first.status == 302:
                place.provider.forget()
                first = await browser.get(await place.provider.sign_in(first.location))
                check(place, name, browser, first, expected)
            else:
                assert expected is not None, name
                assert (first.status, name.partition("_")[0]) == (expected[0], "discovery")
                assert expected[1] in first.text
                assert f'href="{DEEP.replace("&", "&amp;")}"' in first.text
                assert browser.cookies == {}
        nothing_leaked(place)


@pytest.mark.parametrize("how", ["hang", "drip"])
async def test_a_provider_that_takes_its_time_is_a_page_in_ours(how: str) -> None:
    async with Place(provider={"timeout": "500ms"}) as place:
        for endpoint in misbehaviour.ENDPOINTS:
            name = f"{endpoint}_{how}"
            browser = place.browser()
            place.provider.misbehave(name)
            await place.start_proxy()
            answer = await browser.get(DEEP)
            if endpoint != "discovery":
                place.provider.forget()
                answer = await browser.get(await place.provider.sign_in(answer.location))
                check(place, name, browser, answer, None if endpoint == "userinfo" else TIMEOUT)
            assert answer.status == (303 if endpoint == "userinfo" else 504)
            place.provider.behave()
        nothing_leaked(place)


def test_no_fault_is_forgotten() -> None:
    tables = (TOKEN, USERINFO, ID_TOKEN, SIGN, CALLBACK, JWKS, DISCOVERY)
    assert misbehaviour.HANGING.union(misbehaviour.DRIPPING, *tables) == misbehaviour.ALL


async def test_the_words_of_the_provider_are_logged_but_never_shown() -> None:
    async with Place() as place:
        place.provider.misbehave("callback_markup_error")
        answer = await place.browser().sign_in(DEEP)
        assert "alert" not in answer.text
        (line,) = place.audited("login_failed")
        assert "error='invalid_request'" in line["detail"]
        assert len(line["detail"]) <= 500


@pytest.mark.parametrize(
    ("faults", "source", "expected"),
    [
        pytest.param(("userinfo_500",), "userinfo", (502, Reason.NO_CLAIMS), id="userinfo wanted"),
        pytest.param(("userinfo_500",), "id_token", OK, id="userinfo not asked"),
        pytest.param(("userinfo_wrong_sub",), "id_token", OK, id="userinfo of another not asked"),
    ],
)
async def test_where_claims_come_from(
    faults: tuple[str, ...], source: str, expected: Expected
) -> None:
    async with Place(provider={"claims_source": source}) as place:
        place.provider.misbehave(*faults)
        browser = place.browser()
        answer = await browser.sign_in(DEEP)
        check(place, "claims", browser, answer, expected)
        assert ("userinfo" in place.provider.calls) == (source != "id_token")


async def test_an_id_token_without_a_person_and_a_failed_userinfo_are_no_identity() -> None:
    async with Place("proconnect", provider={"scope": "openid email"}) as place:
        place.provider.misbehave("userinfo_500")
        browser = place.browser()
        answer = await browser.sign_in(DEEP, "jean")
        check(place, "no claims", browser, answer, (502, Reason.NO_CLAIMS))


@pytest.mark.parametrize("fault", ["userinfo_jwt", "userinfo_jwt_bad_signature"])
async def test_userinfo_signed_where_json_is_set_is_refused(fault: str) -> None:
    async with Place(provider={"userinfo_format": "json"}) as place:
        place.provider.misbehave(fault)
        browser = place.browser()
        answer = await browser.sign_in(DEEP)
        check(place, fault, browser, answer, (403, Reason.USERINFO_INVALID))
