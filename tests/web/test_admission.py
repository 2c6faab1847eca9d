"""Claims → identity → rules → hook → rules again: nobody passes by any other way."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config.providers import providers_of
from proxy.config.settings import Settings
from proxy.errors import AccessDenied, LoginError
from proxy.model import Admission, Identity, Session, Tokens
from proxy.oidc.told import Told
from proxy.web.admission import Admissions
from proxy.web.runtime import compile_runtime
from tests.web.place import PUBLIC, SECRET

NOW = 1_800_000_000.0
CLAIMS = {"sub": "s1", "email": "jean@example.org", "groups": ["staff"]}


class _Hook:
    """Answers with a changed identity, and remembers whom it was asked about."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.asked: list[tuple[Identity, str]] = []

    async def admit(self, identity: Identity, claims: object, event: str) -> Admission:
        self.asked.append((identity, event))
        if "deny" in self.changes:
            raise AccessDenied(self.changes["deny"])
        return Admission(replace(identity, **self.changes), max_age=60)


def _admissions(hook: _Hook | None = None, **settings: Any) -> tuple[Admissions, Any]:
    given = {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:1",
        "cookie": {"secret": SECRET},
        "provider": {"issuer_url": "https://idp.example", "client_id": "c", "client_secret": "s"},
    }
    whole = Settings.model_validate(given | settings)
    idp = SimpleNamespace(settings=providers_of(whole)[0], name="default")
    return Admissions(compile_runtime(whole, bytes), hook), idp  # type: ignore[arg-type]


def _told(**claims: object) -> Told:
    return Told(issuer="https://idp.example", id_token={**CLAIMS, **claims})


async def test_without_a_hook_the_rules_judge_the_identity() -> None:
    admissions, idp = _admissions(access={"groups": {"any": ["staff"]}})
    judged = await admissions.judge(idp, _told(), NOW, "sign_in")
    assert judged.denial is None
    assert (judged.identity.user, judged.identity.provider) == ("s1", "default")
    judged = await admissions.judge(idp, _told(groups=[]), NOW, "sign_in")
    assert judged.denial is not None
    assert judged.denial.reason == "group_not_allowed"


async def test_a_hook_is_not_asked_about_whom_the_rules_refuse() -> None:
    hook = _Hook(groups=("staff",))
    admissions, idp = _admissions(hook, access={"groups": {"any": ["staff"]}})
    judged = await admissions.judge(idp, _told(groups=["others"]), NOW, "sign_in")
    assert judged.denial is not None
    assert not hook.asked
    assert judged.identity.groups == ("others",)


async def test_what_a_hook_makes_of_a_person_is_judged_again() -> None:
    hook = _Hook(groups=())
    admissions, idp = _admissions(hook, access={"groups": {"any": ["staff"]}})
    judged = await admissions.judge(idp, _told(), NOW, "sign_in")
    assert judged.denial is not None
    assert judged.denial.reason == "group_not_allowed"


async def test_a_hook_may_enrich_and_shorten() -> None:
    hook = _Hook(role="admin", user="u7")
    admissions, idp = _admissions(hook)
    judged = await admissions.judge(idp, _told(), NOW, "refresh")
    assert (judged.identity.role, judged.identity.user) == ("admin", "u7")
    assert judged.end(admissions._runtime, NOW) == NOW + 60
    assert [event for _, event in hook.asked] == ["refresh"]


async def test_a_hooks_no_is_no() -> None:
    admissions, idp = _admissions(_Hook(deny="Not today."))
    with pytest.raises(AccessDenied) as refused:
        await admissions.judge(idp, _told(), NOW, "sign_in")
    assert refused.value.message == "Not today."


async def test_nobody_is_nobody() -> None:
    admissions, idp = _admissions(_Hook(user="someone"))
    with pytest.raises(LoginError):
        await admissions.judge(
            idp, Told("https://idp.example", {"email": "x@y.zz"}), NOW, "sign_in"
        )


class _Upstream:
    async def admit(self, session: Session, now: float, request_id: str) -> str:
        return f"up-{session.identity.user}"


async def test_the_upstream_may_give_an_id_of_its_own_which_refreshes_keep() -> None:
    settings = Settings.model_validate(
        {"public_url": PUBLIC, "upstream": "http://127.0.0.1:1", "cookie": {"secret": SECRET}}
    )
    runtime = compile_runtime(settings, bytes)
    admissions = Admissions(runtime, None, _Upstream())  # type: ignore[arg-type]
    person = Identity("https://idp.example", "s1", "s1")
    session = Session("id", person, Tokens("t"), NOW, NOW + 60, NOW)
    known = await admissions.provisioned(session, NOW)
    assert known.identity.user == "up-s1"
    later = admissions.known_as(replace(person, email="new@example.org"), known.identity)
    assert (later.user, later.email) == ("up-s1", "new@example.org")
    plain = Admissions(runtime)
    assert await plain.provisioned(session, NOW) is session
    assert plain.known_as(person, known.identity).user == "s1"


async def test_whom_the_rules_refuse_at_a_refresh_no_hook_lets_stay() -> None:
    hook = _Hook(role="guest")
    admissions, idp = _admissions(hook, access={"acr_values": ["gold"]})
    before = Identity("https://idp.example", "s1", "s1", acr="gold", amr=("otp",), auth_time=7)
    judged = await admissions.judge(idp, _told(), NOW, "refresh", before)
    proven = judged.identity.acr, judged.identity.amr, judged.identity.auth_time
    assert (proven, judged.identity.role) == (("gold", ("otp",), 7), "guest")
    with pytest.raises(AccessDenied) as refused:
        await admissions.judge(idp, _told(acr="lead"), NOW, "refresh", before)
    assert refused.value.reason == "acr_not_allowed"
    assert len(hook.asked) == 1
