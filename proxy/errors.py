"""Every error: a reason code for machines, a status, and the words a person may see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused or failed: one word for log, metric, page and documentation.

    docs/reasons.md explains each; a test fails when one is missing there.
    """

    # the request itself
    BAD_TARGET = "bad_target"
    BAD_HOST = "bad_host"
    BAD_HEADER = "bad_header"
    CONNECTION_LIMIT = "connection_limit"
    BAD_BODY = "bad_body"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_FOUND = "not_found"
    ORIGIN_REFUSED = "origin_refused"
    EXPECTATION_FAILED = "expectation_failed"
    HTTPS_REQUIRED = "https_required"
    TOO_LARGE = "too_large"
    # who is asking
    NO_SESSION = "no_session"
    TOKEN_INVALID = "token_invalid"
    TOKEN_NOT_ALLOWED = "token_not_allowed"
    SCOPE_MISSING = "scope_missing"
    TOO_MANY_REQUESTS = "too_many_requests"
    CODE_WRONG = "code_wrong"
    CODE_EXPIRED = "code_expired"
    CREDENTIAL_MISSING = "credential_missing"
    EXCHANGE_FAILED = "exchange_failed"
    EMAIL_MISSING = "email_missing"
    EMAIL_UNVERIFIED = "email_unverified"
    EMAIL_NOT_ALLOWED = "email_not_allowed"
    GROUP_NOT_ALLOWED = "group_not_allowed"
    CLAIM_NOT_ALLOWED = "claim_not_allowed"
    ACR_NOT_ALLOWED = "acr_not_allowed"
    AMR_NOT_ALLOWED = "amr_not_allowed"
    SIGN_IN_TOO_OLD = "sign_in_too_old"
    ROLE_NOT_ALLOWED = "role_not_allowed"
    PROVIDER_NOT_ALLOWED = "provider_not_allowed"
    METHOD_NOT_PERMITTED = "method_not_permitted"
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    RULE_NOT_MET = "rule_not_met"
    TENANT_NOT_ALLOWED = "tenant_not_allowed"
    DENIED_BY_HOOK = "denied_by_hook"
    DENIED_BY_UPSTREAM = "denied_by_upstream"
    IDENTITY_INCOMPLETE = "identity_incomplete"
    # a sign-in that did not complete
    ATTEMPT_MISSING = "attempt_missing"
    ATTEMPT_EXPIRED = "attempt_expired"
    STATE_MISSING = "state_missing"
    CODE_MISSING = "code_missing"
    DUPLICATE_PARAMETER = "duplicate_parameter"
    ISSUER_MISMATCH = "issuer_mismatch"
    PROVIDER_DENIED = "provider_denied"
    PROVIDER_ERROR = "provider_error"
    LOGIN_LOOP = "login_loop"
    LOGIN_DISABLED = "login_disabled"
    UNKNOWN_PROVIDER = "unknown_provider"
    HOOK_FAILED = "hook_failed"
    PROVISIONING_FAILED = "provisioning_failed"
    # what the provider answered
    TOKEN_REFUSED = "token_refused"
    TOKEN_RESPONSE_INVALID = "token_response_invalid"
    ID_TOKEN_MISSING = "id_token_missing"
    ID_TOKEN_INVALID = "id_token_invalid"
    NONCE_MISMATCH = "nonce_mismatch"
    USERINFO_INVALID = "userinfo_invalid"
    USERINFO_SUBJECT_MISMATCH = "userinfo_subject_mismatch"
    NO_CLAIMS = "no_claims"
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_TIMEOUT = "provider_timeout"
    PROVIDER_METADATA_INVALID = "provider_metadata_invalid"
    ACCESS_TOKEN_INVALID = "access_token_invalid"
    GROUPS_UNAVAILABLE = "groups_unavailable"
    # the upstream
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_INVALID = "upstream_invalid"
    UPSTREAM_BUSY = "upstream_busy"
    # ours
    CROSS_SITE = "cross_site"
    LOGOUT_STATE_MISMATCH = "logout_state_mismatch"
    LOGOUT_REQUEST_INVALID = "logout_request_invalid"
    SESSION_TOO_LARGE = "session_too_large"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal_error"
    # not failures: the audit line of a good outcome
    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGNED_OUT_BY_PROVIDER = "signed_out_by_provider"
    SESSION_ENDED = "session_ended"
    TOKEN_MADE = "token_made"
    TOKEN_REVOKED = "token_revoked"
    TERMINAL_SIGNED_IN = "terminal_signed_in"
    SIGN_IN_SHOWN = "sign_in_shown"


class ProxyError(Exception):
    """Something that should not happen: ``reason`` is public, ``detail`` is for the log only."""

    status = 500

    def __init__(self, reason: Reason, detail: str = "", *, status: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        if status is not None:
            self.status = status


class ConfigError(Exception):
    """A configuration that cannot be used; ``problems`` holds one line for each thing wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class BadRequest(ProxyError):
    """A request that could be read in two ways, or in none."""

    status = 400


class LoginError(ProxyError):
    """A sign-in that must not become a session."""

    status = 403


class BearerRefused(ProxyError):
    """A bearer token that is not good here; ``error`` is that of RFC 6750 section 3.1, and
    ``scope`` what would be enough, where that is what is missing."""

    status = 401

    def __init__(
        self,
        detail: str = "",
        error: str = "invalid_token",
        reason: Reason = Reason.TOKEN_INVALID,
        *,
        status: int = 401,
        scope: str = "",
    ) -> None:
        super().__init__(reason, detail, status=status)
        self.error = error
        self.scope = scope


class TooMany(ProxyError):
    """More than a limit allows; ``retry_after`` is for the header: whole seconds, 1 or more."""

    status = 429

    def __init__(self, wait: float, detail: str = "") -> None:
        super().__init__(Reason.TOO_MANY_REQUESTS, detail)
        self.retry_after = max(1, math.ceil(wait))


class AccessDenied(ProxyError):
    """A person who must not come in, in the words of a hook: ``message`` is shown to them.

    Hooks raise it with the message alone: ``raise AccessDenied("Ask your team for a seat.")``
    """

    status = 403

    def __init__(self, message: str, reason: Reason = Reason.DENIED_BY_HOOK) -> None:
        super().__init__(reason, message)
        self.message = message


class ProviderError(ProxyError):
    """The provider could not be asked, or answered what cannot be believed."""

    status = 502


class UpstreamError(ProxyError):
    """The upstream could not be reached, was too slow, or did not speak HTTP."""

    status = 502


class StoreError(ProxyError):
    """The session store cannot answer: not the same as "no session"."""

    status = 503
