"""Findings hold every step as far as a sign-in came, and tell no secret."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from proxy.config.settings import Settings
from proxy.errors import AccessDenied, LoginError, ProviderError, ProxyError, Reason
from proxy.model import Admission, Identity
from proxy.oidc.person import person
from proxy.oidc.told import Told
from proxy.oidc.userinfo import Userinfo
from proxy.rules.judged import Asked
from proxy.web.admission import Judged
from proxy.web.findings import Findings
from proxy.web.runtime import Runtime, compile_runtime
from tests.web.place import PUBLIC, SECRET

ISSUER = "https://idp.example.org"
ASKED = Asked(1000.0, "GET", "192.0.2.7")
TOLD = Told(
    ISSUER,
    {"sub": "1", "email": "ada@example.org", "groups": ["staff"], "nonce": "n0nce-0f-it"},
    Userinfo({"sub": "1", "groups": ["staff", "x"], "access_token": "t0ken"}),
    notes=("groups cut after 200 pages",),
)


def runtime(**changes: Any) -> Runtime:
    given = {
        "public_url": PUBLIC,
        "upstream": "http://app:8501",
        "provider": {"name": "main", "issuer_url": ISSUER, "client_id": "p", "client_secret": "x"},
        "cookie": {"secret": SECRET},
        "access": {"groups": {"any": ["staff"]}},
        **changes,
    }
    return compile_runtime(Settings.model_validate(given), bytes)


def judged(made: Runtime, hooked: Admission | None = None) -> Judged:
    who = person(TOLD, made.providers[0], made.roles, made.kept_claims)
    identity = hooked.identity if hooked else who.identity
    return Judged(who, identity, made.access.denied(identity, ASKED), hooked)


def of(
    made: Runtime, told: Told | None, found: Judged | None, error: ProxyError | None = None
) -> dict[str, Any]:
    document = Findings.of("main", told, found, error, made, ASKED).document()
    text = json.dumps(document)
    assert "n0nce" not in text
    assert "t0ken" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_good_sign_in_is_told_from_its_claims_to_the_routes() -> None:
    made = runtime()
    found = of(made, TOLD, judged(made))
    assert found["outcome"] == {"verdict": "allowed"}
    assert found["error"] is None
    assert found["identity"]["email"] == "ada@example.org"
    assert [(each["source"], each["groups"]) for each in found["groups"]] == [
        ("id_token", ["staff"]),
        ("userinfo", ["staff", "x"]),
    ]
    assert found["id_token_claims"]["nonce"] == "[redacted]"
    assert found["userinfo_claims"]["access_token"] == "[redacted]"
    assert found["routes"] == [{"path": "/*", "access": "required", "verdict": "allowed"}]
    assert found["notes"] == ["groups cut after 200 pages"]
    assert found["hook"] is None


def test_a_rule_that_refuses_is_named() -> None:
    made = runtime(access={"groups": {"any": ["board"]}, "remedy": "Ask the board."})
    found = of(made, TOLD, judged(made))
    assert found["outcome"] == {
        "verdict": "refused",
        "reason": "group_not_allowed",
        "rule": "access.groups",
        "remedy": "Ask the board.",
    }
    assert found["rules"][0]["holds"] is False
    assert found["routes"][0]["verdict"] == "refused"


def test_what_a_hook_changed_is_shown() -> None:
    made = runtime()
    who = judged(made).identity
    hooked = Admission(replace(who, user="ada-7", role="editor"), 600.0)
    found = of(made, TOLD, judged(made, hooked))
    assert found["hook"] == {"changed": {"user": "ada-7", "role": "editor"}, "max_age": 600.0}
    assert found["identity"]["user"] == "ada-7"


@pytest.mark.parametrize(
    ("error", "outcome", "detail"),
    [
        pytest.param(
            AccessDenied("No seat is left."),
            {"verdict": "refused", "reason": "denied_by_hook", "remedy": "No seat is left."},
            "No seat is left.",
            id="a hook's words",
        ),
        pytest.param(
            ProxyError(Reason.HOOK_FAILED, "ValueError: code=abcdef"),
            {"verdict": "refused", "reason": "hook_failed"},
            "ValueError: code=[redacted]",
            id="a broken hook",
        ),
    ],
)
def test_an_error_after_the_person_was_known_still_shows_the_person(
    error: ProxyError, outcome: dict[str, str], detail: str
) -> None:
    found = of(runtime(), TOLD, None, error)
    assert found["outcome"] == outcome
    assert found["error"]["detail"] == detail
    assert found["identity"]["subject"] == "1"
    assert found["rules"] != []
    assert found["routes"] == [], "whom an error keeps out comes nowhere"


@pytest.mark.parametrize(
    ("told", "error"),
    [
        pytest.param(None, ProviderError(Reason.PROVIDER_TIMEOUT), id="the provider was silent"),
        pytest.param(
            Told(ISSUER, {"sub": ""}), LoginError(Reason.IDENTITY_INCOMPLETE), id="nobody"
        ),
    ],
)
def test_where_there_is_nobody_there_is_the_error(told: Told | None, error: ProxyError) -> None:
    found = of(runtime(), told, None, error)
    assert found["error"]["reason"] == str(error.reason)
    assert (found["identity"], found["role"], found["rules"]) == (None, None, [])
    assert found["id_token_claims"] == (None if told is None else {"sub": ""})


def test_userinfo_that_said_nothing_is_a_note() -> None:
    made = runtime()
    told = replace(TOLD, userinfo=Userinfo(problem="status 500"))
    assert "userinfo said nothing: status 500" in of(made, told, None, None)["notes"]


def test_every_fact_of_an_identity_is_shown() -> None:
    made = runtime()
    assert set(of(made, TOLD, judged(made))["identity"]) == set(Identity.__dataclass_fields__)
