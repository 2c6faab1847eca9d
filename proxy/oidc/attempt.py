"""A sign-in begun, and the browser's return from it.

OpenID Connect Core 3.1.2, RFC 7636 (PKCE), RFC 9207 (issuer in the response).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from types import MappingProxyType

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_object
from proxy.errors import LoginError, Reason
from proxy.oidc.issuer import is_issuer
from proxy.oidc.metadata import Metadata, pkce_used
from proxy.oidc.query import add_query

# 43 characters of base64url carry 256 bits; RFC 7636 section 4.1 sets 43 to 128 for verifiers
_RANDOM = re.compile(r"[A-Za-z0-9_-]{43,128}")
_LARGEST_ATTEMPT = 16 * 1024
_CLOCKS_APART = 60.0  # seconds by which our own replicas may differ
_CHECKED = object()
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in begun in one browser, at the provider of that name; ``created_at`` in Unix seconds.

    ``wanted_acr`` and ``wanted_age`` (seconds) are what a route asked for beyond a sign-in, and
    what the answer must then prove. ``debug``: it shall be shown, and begin no session.
    Raises ValueError on construction when a secret is too short or holds other characters
    than those of base64url.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    return_to: str
    created_at: float
    provider: str = ""
    wanted_acr: tuple[str, ...] = ()
    wanted_age: float | None = None
    debug: bool = False

    def __post_init__(self) -> None:
        for name in ("state", "nonce", "verifier"):
            if not _RANDOM.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} is not 43 to 128 characters of base64url")
        if not math.isfinite(self.created_at):
            raise ValueError("created_at is not a time")
        if self.wanted_age is not None and not 0 <= self.wanted_age < math.inf:
            raise ValueError("wanted_age is no number of seconds")


@dataclass(frozen=True, slots=True)
class Callback:
    """A return from the provider that belongs to ``attempt``: only ``check_callback`` makes one."""

    code: str = field(repr=False)
    attempt: Attempt
    proof: InitVar[object]

    def __post_init__(self, proof: object) -> None:
        if proof is not _CHECKED:
            raise TypeError("a Callback comes from check_callback() alone")


def begin(
    return_to: str,
    now: float,
    random_token: Callable[[], str],
    provider: str = "",
    *,
    wanted_acr: tuple[str, ...] = (),
    wanted_age: float | None = None,
    debug: bool = False,
) -> Attempt:
    """A new attempt; ``random_token`` gives at least 43 random characters of base64url."""
    state, nonce, verifier = random_token(), random_token(), random_token()
    return Attempt(state, nonce, verifier, return_to, now, provider, wanted_acr, wanted_age, debug)


def cookie_tag(state: str) -> str:
    """A short name for the attempt, the same for the same state, that does not reveal it."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def authorization_request(
    metadata: Metadata,
    provider: Provider,
    attempt: Attempt,
    redirect_uri: str,
    passed: Mapping[str, str] = _NOTHING,
) -> dict[str, str]:
    """What to ask the provider: exactly the parameters needed, and the configured ones.

    ``passed`` come from the link that began the sign-in: only names among
    ``provider.allowed_login_params`` count. Fixed parameters win over passed ones, and ours
    over both; empty ones are left out.
    """
    params = {k: v for k, v in passed.items() if k in provider.allowed_login_params and v}
    params |= {k: v for k, v in provider.authorization_params.items() if v}
    for reserved in ("code_challenge", "code_challenge_method", "request", "request_uri"):
        params.pop(reserved, None)
    _ask_for(params, provider, attempt)
    params |= {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": redirect_uri,
        "scope": _scope(provider),
        "state": attempt.state,
    }
    if provider.preset != "github":  # without OpenID Connect nothing would repeat it
        params["nonce"] = attempt.nonce
    if pkce_used(metadata, provider):
        # late: the package brings much more than this, and nothing before a sign-in needs it
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        params |= {
            "code_challenge": create_s256_code_challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
    return params


def authorization_url(metadata: Metadata, params: Mapping[str, str]) -> str:
    """Where to send the browser with them."""
    return add_query(metadata.authorization_endpoint, params)


def _ask_for(params: dict[str, str], provider: Provider, attempt: Attempt) -> None:
    """A stronger or fresher sign-in, in the provider's way of asking (Core 3.1.2.1, 5.5.1.1)."""
    if attempt.wanted_acr and provider.acr_request == "claims":
        params.pop("acr_values", None)  # providers do not say what both mean together
        params["claims"] = _essential(params.get("claims", ""), attempt.wanted_acr)
    elif attempt.wanted_acr:
        params["acr_values"] = " ".join(attempt.wanted_acr)
    if attempt.wanted_age is not None and provider.fresh_sign_in == "prompt":
        params["prompt"] = "login"
    elif attempt.wanted_age is not None:
        params["max_age"] = str(int(attempt.wanted_age))


def _essential(configured: str, acr: Sequence[str]) -> str:
    """The claims parameter with one of ``acr`` as essential, beside what is configured."""
    try:
        claims = read_object(configured.encode(), _LARGEST_ATTEMPT) if configured else {}
    except ValueError:
        claims = {}
    others = claims.get("id_token")
    wanted = {"acr": {"essential": True, "values": list(acr)}}
    claims["id_token"] = {**others, **wanted} if isinstance(others, dict) else wanted
    return json.dumps(claims, separators=(",", ":"))


def _scope(provider: Provider) -> str:
    scopes = provider.scope.split()
    # without openid there would be no ID token (OpenID Connect Core 3.1.2.1)
    if provider.preset != "github" and "openid" not in scopes:
        scopes.insert(0, "openid")
    return " ".join(dict.fromkeys(scopes))


def dump(attempt: Attempt) -> bytes:
    """The attempt as bytes that ``load`` reads back; they hold secrets and are to be sealed."""
    members = [attempt.state, attempt.nonce, attempt.verifier, attempt.return_to]
    document = {"v": 2, "a": members, "t": float(attempt.created_at), "p": attempt.provider}
    document["w"] = [list(attempt.wanted_acr), attempt.wanted_age, attempt.debug]
    return json.dumps(document).encode("ascii")


def load(data: bytes) -> Attempt:
    """The attempt that ``dump`` wrote. Raises ValueError for anything else."""
    value = read_object(data, _LARGEST_ATTEMPT)
    match value:
        case {
            "v": 2,
            "a": [str(state), str(nonce), str(verifier), str(return_to)],
            "t": float(t),
            "p": str(provider),
            "w": [[*acr], (float() | int() | None) as age, bool(debug)],
        } if all(isinstance(one, str) for one in acr):
            wanted = tuple(map(str, acr))
            return Attempt(state, nonce, verifier, return_to, t, provider, wanted, age, debug)
    raise ValueError("not an attempt")


def check_callback(
    params: Sequence[tuple[str, str]],
    attempt: Attempt | None,
    metadata: Metadata,
    now: float,
    ttl: float,
) -> Callback:
    """The callback, once its parameters are proven to belong to this browser's ``attempt``.

    ``params`` is the decoded query in order; ``attempt`` the one whose cookie the browser
    holds, ``None`` when it holds none; ``ttl`` in seconds. Raises LoginError.
    """
    given: dict[str, str] = {}
    for name, value in params:
        if name in given and name in ("state", "code", "iss", "error"):
            raise LoginError(Reason.DUPLICATE_PARAMETER, f"{name} comes twice", status=400)
        given[name] = value
    if not given.get("state"):
        raise LoginError(Reason.STATE_MISSING, status=400)
    mine = _check_attempt(given["state"], attempt, now, ttl)
    _check_issuer(given.get("iss"), metadata)
    if "error" in given:
        raise _provider_error(given["error"], given.get("error_description", ""))
    if not given.get("code"):
        raise LoginError(Reason.CODE_MISSING, status=400)
    return Callback(given["code"], mine, _CHECKED)


def _check_attempt(state: str, attempt: Attempt | None, now: float, ttl: float) -> Attempt:
    if attempt is None:
        raise LoginError(Reason.ATTEMPT_MISSING, "the browser holds no such attempt")
    received = state.encode("utf-8", "surrogatepass")
    if not hmac.compare_digest(received, attempt.state.encode("ascii")):
        raise LoginError(Reason.ATTEMPT_MISSING, "the attempt has another state")
    age = now - attempt.created_at
    if not -_CLOCKS_APART <= age <= ttl:
        raise LoginError(Reason.ATTEMPT_EXPIRED, f"begun {age:.0f} s ago")
    return attempt


def _check_issuer(issuer: str | None, metadata: Metadata) -> None:
    if issuer is None and metadata.iss_parameter:
        raise LoginError(Reason.ISSUER_MISMATCH, "iss is missing (RFC 9207 section 2.4)")
    if issuer is not None and not is_issuer(metadata.issuer, issuer):
        raise LoginError(Reason.ISSUER_MISMATCH, f"iss is {ascii(issuer)[:200]}")


def _provider_error(error: str, description: str) -> LoginError:
    detail = f"error={ascii(error)[:80]} description={ascii(description)[:200]}"
    match error:
        case "access_denied":
            return LoginError(Reason.PROVIDER_DENIED, detail)
        case "temporarily_unavailable":
            return LoginError(Reason.PROVIDER_ERROR, detail, status=503)
        case "server_error":
            return LoginError(Reason.PROVIDER_ERROR, detail, status=502)
    return LoginError(Reason.PROVIDER_ERROR, detail)
