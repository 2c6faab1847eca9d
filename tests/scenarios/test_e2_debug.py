"""E2.9: an administrator looks into sign-ins; nobody else does, and nothing comes of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from proxy.demo.people import BOB
from tests.web.pages.document import Document
from tests.web.place import Place
from tests.web.test_debug import PATH, options, shown, signed_in

INERT = "</script><script>alert(document.domain)</script>"


async def test_e2_9_an_administrator_sees_claims_and_decision_and_no_token() -> None:
    async with Place(**options()) as place:
        idp = place.provider.provider
        idp.users = {**idp.users, "bob": replace(BOB, name=INERT, groups=("dev", INERT))}
        browser = await signed_in(place)
        page = await shown(place, browser, "bob")
        assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'")
        assert "script-src" not in policy
        found = Document(page.body)
        assert found.all("script") == []
        for words in (INERT, "bob@example.org", "group 'dev'", "email: example.org", "Let in"):
            assert words in found.text
        document = json.loads((await shown(place, browser, "bob", format="json")).body)
        assert document["id_token_claims"]["name"] == INERT
        assert document["identity"]["groups"] == ["dev", INERT]
        assert document["outcome"] == {"verdict": "allowed"}
        for text in (page.text, json.dumps(document)):
            assert not [secret for secret in place.secrets() if secret in text]
            assert "eyJ" not in text
        assert not [secret for secret in place.secrets() if secret in place.logged()]
        looked = [(line["email"], line["shown_sub"]) for line in place.audited("debug_sign_in")]
        assert looked == [("alice@example.org", BOB.sub)] * 2
        me = await browser.get("/oauth2/userinfo", page=False)
        assert json.loads(me.body)["email"] == "alice@example.org"


@pytest.mark.parametrize(
    ("changes", "user", "status", "reason"),
    [
        pytest.param({}, "bob", 403, "role_not_allowed", id="another role"),
        pytest.param({"roles": []}, "alice", 403, "role_not_allowed", id="no roles at all"),
        pytest.param({"debug": {"roles": ["admin"]}}, "alice", 404, "not_found", id="switched off"),
    ],
)
async def test_e2_9_nobody_else_sees_anything(
    changes: dict[str, object], user: str, status: int, reason: str
) -> None:
    async with Place(**options(**changes)) as place:
        browser = await signed_in(place, user)
        for method in ("GET", "POST"):
            answer = await browser.request(method, PATH, data={} if method == "POST" else None)
            assert (answer.status, reason in answer.text) == (status, True)
        assert place.audited("debug_sign_in") == []
