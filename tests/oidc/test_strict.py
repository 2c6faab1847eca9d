"""Every decision of a strict relying party (security.md 1.1 and 1.2): one table, one row each.

The words before the colon are the decision, or the module of OpenID's conformance suite. What
a function does beyond it is in its own test.
"""

from __future__ import annotations

import json

import pytest

from proxy.config.sign_in import Login
from proxy.crypto.jwt import UnknownKey, VerificationKeys
from proxy.errors import Reason
from proxy.oidc.attempt import authorization_request, begin
from proxy.oidc.tokens import read_tokens
from proxy.oidc.userinfo import LARGEST_ANSWER, read_userinfo
from tests.crypto.forge import at_hash, ec_key, rsa_key, token
from tests.oidc.acts import (
    ACCESS_CLAIMS,
    ACCESS_TOKEN,
    ID_CLAIMS,
    LOGOUT_CLAIMS,
    MISSING,
    WE,
    Act,
    Outcome,
    access_token,
    access_token_of,
    copied,
    discovered,
    es256,
    headed,
    hs256,
    id_token,
    id_token_of,
    keys_of,
    logout_token,
    logout_token_of,
    nameless,
    outcome,
    public_key,
    refreshed,
    returned,
    secret,
    signed,
    thief,
    userinfo,
    userinfo_jwt,
    with_more,
)
from tests.oidc.calling import ELSEWHERE, JSON, called, reads_of_keys
from tests.oidc.scene import (
    ATTEMPT,
    CLIENT,
    ISSUER,
    METADATA,
    NOW,
    REDIRECT,
    SECRET,
    STATE,
    provider,
)

OK: Outcome = None
NO = Reason.ID_TOKEN_INVALID
NONCE = Reason.NONCE_MISMATCH
LOGOUT = Reason.LOGOUT_REQUEST_INVALID
USERINFO = Reason.USERINFO_INVALID
OTHER = Reason.USERINFO_SUBJECT_MISMATCH
ACCESS = Reason.ACCESS_TOKEN_INVALID
ISS = Reason.ISSUER_MISMATCH
TWICE = Reason.DUPLICATE_PARAMETER
LOST = Reason.ATTEMPT_MISSING
METADATA_NO = Reason.PROVIDER_METADATA_INVALID
TOKENS_NO = Reason.TOKEN_RESPONSE_INVALID
HS256 = {"id_token_algorithms": ("HS256",)}
BOTH = {"id_token_algorithms": ("RS256", "HS256")}
_SECRET = SECRET.encode()


def _challenged(method: str) -> None:
    params = authorization_request(METADATA, provider(), ATTEMPT, REDIRECT)
    if params["code_challenge_method"] != method or "code_verifier" in params:
        raise ValueError(params)


def _told_by(body: bytes) -> None:
    """An answer that says nothing: the ID token may make up for it."""
    settings, known = provider(), VerificationKeys()
    found = read_userinfo(
        200, "", body, keys=known, provider=settings, metadata=METADATA, subject="x", now=NOW
    )
    if found.problem:
        raise ValueError(found.problem)


ROWS: list[tuple[str, Act, Outcome]] = [
    # alg is exactly the registered list, never none, HS* only where configured
    ("test: all is good", id_token(), OK),
    ("idtoken-sig-rs256: RS256 is in the list", id_token(), OK),
    ("alg: ES256 is in the list", id_token_of(lambda: token(ID_CLAIMS, ec_key(), "ES256")), OK),
    ("idtoken-sig-none: alg none", id_token_of(lambda: token(ID_CLAIMS, b"", "none")), NO),
    ("invalid-null-alg: no alg", id_token_of(lambda: headed(b"{}")), NO),
    ("alg: a number", id_token_of(lambda: headed(b'{"alg":256}')), NO),
    ("invalid-alternate-alg: RS384", id_token_of(lambda: token(ID_CLAIMS, rsa_key(), "RS384")), NO),
    (
        "alg: RS256 is not in the list",
        id_token_of(signed, options={"id_token_algorithms": ("ES256",)}),
        NO,
    ),
    ("alg: HS256 is not in the list", id_token_of(lambda: hs256(SECRET)), NO),
    ("alg: HS256 is in the list", id_token_of(lambda: hs256(SECRET), options=HS256), OK),
    ("alg: HS256 of another secret", id_token_of(lambda: hs256("x" * 32), options=HS256), NO),
    (
        "alg: HS256, short secret",
        id_token_of(lambda: hs256("a"), options={**HS256, **secret("a")}),
        NO,
    ),
    (
        "alg: HS256 without a secret",
        id_token_of(lambda: hs256("x"), options={**HS256, **secret("")}),
        NO,
    ),
    (
        "alg: HS256 of the public key",
        id_token_of(lambda: hs256(public_key(), kid="rsa"), options=BOTH),
        NO,
    ),
    (
        "alg: not one of that key",
        id_token_of(lambda: token(ID_CLAIMS, ec_key(), "ES256", kid="rsa")),
        NO,
    ),
    ("invalid-sig-rs256: broken", id_token_of(lambda: signed()[:-4] + "AAAA"), NO),
    ("invalid-sig-es256: broken", id_token_of(lambda: es256()[:-4] + "AAAA"), NO),
    ("invalid-sig: none at all", id_token_of(lambda: signed().rpartition(".")[0] + "."), NO),
    # typ is absent or JWT: other tokens are no ID tokens
    ("typ: absent", id_token(typ=None), OK),
    ("typ: jwt", id_token(typ="jwt"), OK),
    ("typ: of an access token", id_token(typ="at+jwt"), NO),
    ("typ: of a logout token", id_token(typ="logout+jwt"), NO),
    ("typ: a list", id_token(typ=["JWT"]), NO),
    # the header never brings the key, nor demands of us
    ("crit: refused", id_token(crit=["exp"], exp=1), NO),
    ("b64: false", id_token(b64=False), NO),
    ("crit: with b64", id_token(crit=["b64"], b64=True), NO),
    ("key: somebody else's", id_token_of(thief), NO),
    ("jwk: no key", id_token_of(lambda: thief(jwk=rsa_key("thief").jwk())), NO),
    ("jku: no key", id_token_of(lambda: thief(jku="https://evil.example.org/jwks")), NO),
    ("x5u: no key", id_token_of(lambda: thief(x5u="https://evil.example.org/cert")), NO),
    ("x5c: no key", id_token_of(lambda: thief(x5c=["MIIB"])), NO),
    # an unknown kid asks for one re-read of the keys, and stays unbelieved without it
    ("kid: unknown", id_token_of(lambda: token(ID_CLAIMS, rsa_key("new"), "RS256")), UnknownKey),
    ("kid: unknown, no keys at all", id_token_of(signed, keys_of()), UnknownKey),
    ("kid: a number", id_token(kid=7), NO),
    ("kid-absent-single-jwks: tried", id_token_of(nameless, keys_of("rsa")), OK),
    ("kid-absent-multiple-jwks: each tried", id_token_of(nameless, keys_of("a", "rsa")), OK),
    ("kid: absent, nobody's key", id_token_of(nameless, keys_of("a", "b")), UnknownKey),
    ("kid: unknown, one re-read", reads_of_keys(1), 1),
    ("kid: unknown, then a cool-down of 60 s", reads_of_keys(1, 2, 60), 1),
    ("kid: unknown, the cool-down is over", reads_of_keys(1, 61), 2),
    ("kid: unknown, the keys cannot be read", reads_of_keys(1, 2, down=True), 1),
    # 60 s of skew
    ("exp: 59 s ago", id_token({"exp": NOW - 59}), OK),
    ("exp-expired: 60 s ago", id_token({"exp": NOW - 60}), NO),
    ("missing-exp", id_token({"exp": MISSING}), NO),
    ("iat: 59 s ahead", id_token({"iat": NOW + 59}), OK),
    ("iat: 61 s ahead", id_token({"iat": NOW + 61}), NO),
    ("iat: a day ago", id_token({"iat": NOW - 86400}), OK),
    ("missing-iat", id_token({"iat": MISSING}), NO),
    ("nbf: 59 s ahead", id_token({"nbf": NOW + 59}), OK),
    ("nbf: 61 s ahead", id_token({"nbf": NOW + 61}), NO),
    (
        "skew: that of the settings",
        id_token_of(lambda: signed({"exp": NOW - 20}), options={"clock_skew": "10s"}),
        NO,
    ),
    # a NumericDate may have a fraction; no true, no text, nothing <= 0 or > 2^53
    ("number: a fraction", id_token({"exp": NOW + 0.5}), OK),
    ("number: true", id_token({"exp": True}), NO),
    ("number: a text", id_token({"exp": str(int(NOW) + 60)}), NO),
    ("number: null", id_token({"exp": None}), NO),
    ("number: 0", id_token({"exp": 0}), NO),
    ("number: negative", id_token({"exp": -1}), NO),
    ("number: beyond 2^53", id_token({"exp": 2**53 + 2}), NO),
    ("number: beyond any float", id_token({"exp": 10**400}), NO),
    ("number: Infinity", id_token_of(lambda: with_more(b'"exp":1e999')), NO),
    ("number: iat a text", id_token({"iat": str(int(NOW))}), NO),
    ("number: iat 0", id_token({"iat": 0}), NO),
    ("number: iat true", id_token({"iat": True}), NO),
    ("number: nbf a text", id_token({"nbf": "soon"}), NO),
    ("number: auth_time", id_token({"auth_time": NOW - 100}), OK),
    ("number: auth_time 0", id_token({"auth_time": 0}), OK),
    ("number: auth_time a text", id_token({"auth_time": "noon"}), NO),
    ("number: auth_time true", id_token({"auth_time": True}), NO),
    ("number: auth_time negative", id_token({"auth_time": -1}), NO),
    # the audience is ours; further ones only with azp = us
    ("valid-aud-as-array", id_token({"aud": [CLIENT]}), OK),
    ("aud: twice ours", id_token({"aud": [CLIENT, CLIENT]}), OK),
    ("aud: another too, azp is ours", id_token({"aud": [CLIENT, "other"], "azp": CLIENT}), OK),
    ("invalid-secondary-aud: no azp", id_token({"aud": [CLIENT, "other"]}), NO),
    ("aud: another too, azp is it", id_token({"aud": [CLIENT, "other"], "azp": "other"}), NO),
    ("invalid-aud: another client", id_token({"aud": "other"}), NO),
    ("aud: a list of others", id_token({"aud": ["other"]}), NO),
    ("missing-aud", id_token({"aud": MISSING}), NO),
    ("aud: empty list", id_token({"aud": []}), NO),
    ("aud: empty", id_token({"aud": ""}), NO),
    (
        "aud: empty, and so are we",
        id_token_of(lambda: signed({"aud": ""}), options={"client_id": ""}),
        NO,
    ),
    ("aud: begins like ours", id_token({"aud": CLIENT + "x"}), NO),
    ("aud: holds a number", id_token({"aud": [CLIENT, 7]}), NO),
    ("aud: an object", id_token({"aud": {CLIENT: 1}}), NO),
    ("azp: ours", id_token({"azp": CLIENT}), OK),
    ("azp: another client", id_token({"azp": "other"}), NO),
    ("azp: null", id_token({"azp": None}), NO),
    ("azp: a list", id_token({"azp": [CLIENT]}), NO),
    # sub is 1 to 255 printable characters
    ("sub: one character", id_token({"sub": "x"}), OK),
    ("sub: 255 characters", id_token({"sub": "x" * 255}), OK),
    ("sub: a space inside", id_token({"sub": "auth0|a b"}), OK),
    ("missing-sub", id_token({"sub": MISSING}), NO),
    ("sub: empty", id_token({"sub": ""}), NO),
    ("sub: null", id_token({"sub": None}), NO),
    ("sub: a number", id_token({"sub": 42}), NO),
    ("sub: 256 characters", id_token({"sub": "x" * 256}), NO),
    ("sub: 5,000 characters", id_token({"sub": "x" * 5000}), NO),
    ("sub: CRLF", id_token({"sub": "me\r\nX-Forwarded-User: admin"}), NO),
    ("sub: a newline at its end", id_token({"sub": "me\n"}), NO),
    ("sub: NUL", id_token({"sub": "me\0"}), NO),
    ("sub: not ASCII", id_token({"sub": "mé"}), NO),
    ("sub: begins with a space", id_token({"sub": " me"}), NO),
    ("sub: ends with a space", id_token({"sub": "me "}), NO),
    # what is copied into headers and JWTs has no control characters
    ("copied: CRLF in email", copied({"email": "a\r\nX: y@b.fr"}), OK),
    ("copied: NUL in name", copied({"name": "Zo\0e"}), OK),
    ("copied: newline in a group", copied({"groups": ["a", "b\nc"]}), OK),
    ("copied: CR in a role", copied({"role": "a\rb"}), OK),
    ("copied: CRLF in a further claim", copied({"siret": "1\r\nX: y"}), OK),
    ("copied: newline in acr and amr", copied({"acr": "a\nb", "amr": ["c\nd"]}), OK),
    ("copied: newline in a picture", copied({"picture": "https://a.fr/\nX"}), OK),
    # compact, at most 64 KiB, each member once
    ("compact: JSON serialisation", id_token_of(lambda: json.dumps({"payload": signed()})), NO),
    ("compact: two parts", id_token_of(lambda: signed().rpartition(".")[0]), NO),
    ("compact: encrypted", id_token_of(lambda: signed() + ".x.y"), NO),
    ("compact: a space", id_token_of(lambda: " " + signed()), NO),
    ("compact: padding", id_token_of(lambda: signed() + "="), NO),
    ("compact: empty", id_token_of(lambda: ""), Reason.ID_TOKEN_MISSING),
    ("64 KiB: 60 kB", id_token({"x": "x" * 44_000}), OK),
    ("64 KiB: 70 kB", id_token({"x": "x" * 52_000}), NO),
    ("64 KiB: 2 MB", id_token({"x": "x" * 2_000_000}), NO),
    ("once: sub twice", id_token_of(lambda: with_more(b'"sub":"x"')), NO),
    ("once: alg twice", id_token_of(lambda: headed(b'{"alg":"RS256","alg":"RS256"}')), NO),
    ("JSON: a text", id_token_of(lambda: token(b'"text"', rsa_key(), "RS256")), NO),
    ("JSON: a broken header", id_token_of(lambda: headed(b"{")), NO),
    # the issuer is an exact string, everywhere
    ("missing-iss", id_token({"iss": MISSING}), NO),
    ("invalid-iss: another", id_token({"iss": "https://other.example.org"}), NO),
    ("iss: a slash more", id_token({"iss": ISSUER + "/"}), NO),
    ("iss: a part of it", id_token({"iss": ISSUER[:-2]}), NO),
    ("iss: in another case", id_token({"iss": ISSUER.upper()}), NO),
    ("iss: in a list", id_token({"iss": [ISSUER]}), NO),
    ("iss: null", id_token({"iss": None}), NO),
    ("iss: empty, and none is known", id_token_of(lambda: signed({"iss": ""}), issuer=""), NO),
    ("discovery-openid-config: ours", discovered({}), OK),
    ("discovery-issuer-mismatch", discovered({"issuer": "https://other.example.org"}), METADATA_NO),
    ("iss: of the metadata, a slash more", discovered({"issuer": ISSUER + "/"}), METADATA_NO),
    ("iss: of the metadata, missing", discovered({"issuer": MISSING}), METADATA_NO),
    # nonce and at_hash
    ("missing-nonce", id_token({"nonce": MISSING}), NONCE),
    ("nonce-invalid: altered", id_token({"nonce": "n" * 42 + "m"}), NONCE),
    ("nonce: empty", id_token({"nonce": ""}), NONCE),
    ("nonce: empty, and so is ours", id_token_of(lambda: signed({"nonce": ""}), nonce=""), NONCE),
    ("nonce: a list", id_token({"nonce": ["n" * 43]}), NONCE),
    ("nonce: odd characters", id_token({"nonce": "é\udcff"}), NONCE),
    ("at_hash: fits", id_token({"at_hash": at_hash(ACCESS_TOKEN)}), OK),
    ("at_hash: of another token", id_token({"at_hash": at_hash("another")}), NO),
    ("at_hash: by another hash", id_token({"at_hash": at_hash(ACCESS_TOKEN, "sha512")}), NO),
    ("at_hash: empty", id_token({"at_hash": ""}), NO),
    ("at_hash: null", id_token({"at_hash": None}), NO),
    ("at_hash: not ASCII", id_token({"at_hash": "é"}), NO),
    (
        "at_hash: no token",
        id_token_of(lambda: signed({"at_hash": at_hash("")}), access_token=""),
        NO,
    ),
    # the return: iss where announced, nothing twice, an error is no session, state is the browser's
    ("response: good", returned(), OK),
    ("response iss: ours", returned(("iss", ISSUER), announced=True), OK),
    ("remove-authorization-response-iss", returned(announced=True), ISS),
    ("invalid-authorization-response-iss", returned(("iss", "https://evil.example.org")), ISS),
    ("response iss: a slash more", returned(("iss", ISSUER + "/")), ISS),
    ("response iss: empty", returned(("iss", "")), ISS),
    ("response: two states", returned(("state", STATE), ("state", STATE)), TWICE),
    ("response: two codes", returned(("code", "a"), ("code", "b")), TWICE),
    ("response: two iss", returned(("iss", ISSUER), ("iss", ISSUER)), TWICE),
    ("response: two errors", returned(("error", "a"), ("error", "b")), TWICE),
    ("response: an error", returned(("error", "access_denied")), Reason.PROVIDER_DENIED),
    ("response: an odd error", returned(("error", "<b>\r\n")), Reason.PROVIDER_ERROR),
    ("state-fails: invalid", returned(("state", "x" * 43)), LOST),
    ("missing-state-fails", returned(("state", "")), Reason.STATE_MISSING),
    ("state: another browser's", returned(mine=False), LOST),
    ("state: 10 min old", returned(after=600), OK),
    ("state: 10 min and a second", returned(after=601), Reason.ATTEMPT_EXPIRED),
    ("state: at most 7 outstanding", lambda: Login(max_attempts=7), OK),
    ("state: 8 outstanding", lambda: Login(max_attempts=8), ValueError),
    # PKCE is S256, its verifier 43 to 128 characters
    ("PKCE: S256", lambda: _challenged("S256"), OK),
    ("PKCE: 43 characters", lambda: begin("/", NOW, lambda: "v" * 43), OK),
    ("PKCE: 42 characters", lambda: begin("/", NOW, lambda: "v" * 42), ValueError),
    ("PKCE: 129 characters", lambda: begin("/", NOW, lambda: "v" * 129), ValueError),
    # userinfo is about the same person, and as good as an ID token if it is a JWT
    ("userinfo: JSON", userinfo(WE), OK),
    ("userinfo-signed: a JWT", userinfo(userinfo_jwt), OK),
    ("userinfo-invalid-sub: JSON", userinfo({**WE, "sub": "other"}), OTHER),
    ("userinfo-invalid-sub: a JWT", userinfo(lambda: userinfo_jwt(sub="other")), OTHER),
    ("userinfo: no sub", userinfo({"email": "a@b.fr"}), OTHER),
    ("userinfo: broken signature", userinfo(lambda: userinfo_jwt()[:-4] + "AAAA"), USERINFO),
    ("userinfo: alg none", userinfo(lambda: token(WE, b"", "none")), USERINFO),
    ("userinfo: another iss", userinfo(lambda: userinfo_jwt(iss="https://evil")), USERINFO),
    ("userinfo: another aud", userinfo(lambda: userinfo_jwt(aud="other")), USERINFO),
    ("userinfo: over", userinfo(lambda: userinfo_jwt(exp=NOW - 60)), USERINFO),
    ("userinfo: JSON where a JWT is due", userinfo(WE, wanted="jwt"), USERINFO),
    ("userinfo: key unknown", userinfo(lambda: token(WE, rsa_key("new"), "RS256")), UnknownKey),
    # a refresh brings the same person again, or none
    ("refresh: the same", refreshed({}), OK),
    ("refresh-invalid-issuer", refreshed({"iss": "https://other.example.org"}), NO),
    ("refresh-invalid-sub", refreshed({"sub": "other"}), NO),
    ("refresh: of another issuer's session", refreshed({}, issuer="https://other.example.org"), NO),
    ("refresh: of nobody's session", refreshed({}, issuer="", subject=""), NO),
    ("refresh: over", refreshed({"exp": NOW - 60}), NO),
    # an access token is read only if it is the provider's, the person's, and ours
    ("access token: a JWT", access_token(), OK),
    ("access token: at+jwt", access_token(typ="at+jwt"), OK),
    ("access token: opaque", access_token_of(lambda: "2YotnFZFEjr1zCsicMWpAA"), OK),
    ("access token: alg none", access_token_of(lambda: token(ACCESS_CLAIMS, b"", "none")), ACCESS),
    ("access token: forged", access_token_of(lambda: thief()), ACCESS),
    ("access token: a logout token", access_token(typ="logout+jwt"), ACCESS),
    ("access token: another iss", access_token({"iss": "https://evil.example.org"}), ACCESS),
    ("access token: another sub", access_token({"sub": "other"}), ACCESS),
    ("access token: another client's", access_token({"azp": "other"}), ACCESS),
    ("access token: another client_id", access_token({"client_id": "other"}), ACCESS),
    ("access token: over", access_token({"exp": NOW - 60}), ACCESS),
    ("access token: no exp", access_token({"exp": MISSING}), ACCESS),
    # logout tokens, by the suite's modules
    ("logout: good, with an unknown claim", logout_token(), OK),
    ("logout-alg-none", logout_token_of(lambda: token(LOGOUT_CLAIMS, b"", "none")), LOGOUT),
    ("logout-wrong-alg", logout_token_of(lambda: token(LOGOUT_CLAIMS, _SECRET, "HS256")), LOGOUT),
    ("logout-no-event", logout_token({"events": MISSING}), LOGOUT),
    ("logout-wrong-event", logout_token({"events": {"urn:other": {}}}), LOGOUT),
    ("logout-with-nonce", logout_token({"nonce": "n"}), LOGOUT),
    ("logout-wrong-aud", logout_token({"aud": "other"}), LOGOUT),
    ("logout-wrong-iss", logout_token({"iss": "https://other.example.org"}), LOGOUT),
    ("logout: typ of an access token", logout_token(typ="at+jwt"), LOGOUT),
    ("logout: crit", logout_token(crit=["exp"]), LOGOUT),
    # answers are at most 1 MiB, those with tokens 64 KiB; 10 s; no redirect is followed
    ("redirect: not followed", called(ELSEWHERE), Reason.PROVIDER_ERROR),
    ("1 MiB: any answer", called(JSON + b"x" * (LARGEST_ANSWER + 1)), Reason.PROVIDER_ERROR),
    ("10 s: silence has an end", called(JSON, silent=True), Reason.PROVIDER_TIMEOUT),
    ("10 s: is the limit", lambda: int(provider().timeout), 10),
    ("1 MiB: userinfo of a few bytes", lambda: _told_by(b'{"sub":"x"}'), OK),
    ("1 MiB: userinfo", lambda: _told_by(b'{"sub":"x"}' + b" " * LARGEST_ANSWER), ValueError),
    (
        "64 KiB: tokens",
        lambda: read_tokens(200, b'{"access_token":"a"}' + b" " * 70_000, NOW),
        TOKENS_NO,
    ),
]


@pytest.mark.parametrize(
    ("act", "expected"), [pytest.param(act, expected, id=name) for name, act, expected in ROWS]
)
async def test_strict(act: Act, expected: Outcome) -> None:
    assert await outcome(act) == expected
