"""Acceptance scenarios E5: a hook of the operator's own, beside the configuration."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.errors import ConfigError
from tests.web.place import SECRET, Place

CONFIGURATION = f"""\
    public_url: https://app.example.org
    upstream: http://127.0.0.1:8501
    provider:
      issuer_url: https://id.example.org
      client_id: app
      client_secret: a-secret
    cookie: {{secret: {SECRET}}}
    hooks: {{post_login: custom_sso.handler}}
"""

SOURCE = {
    "not async": """
        def handler(identity, claims):
            return identity
    """,
    "does not import": """
        import nothing
    """,
    "e5.1": """
        from dataclasses import replace

        from proxy.model import Admission

        async def handler(identity, claims, event):
            role = "admin" if claims["family_name"] == "Martin" else "member"
            return Admission(replace(identity, role=role, scope="playground " + role), 900)
    """,
    "raises": """
        async def handler(identity, claims):
            raise ValueError("the password of the directory is hunter2")
    """,
    "denies": """
        from proxy.errors import AccessDenied

        async def handler(identity, claims):
            raise AccessDenied("No <b>seat</b> is left: ask your team.")
    """,
    "slow": """
        import asyncio

        async def handler(identity, claims):
            await asyncio.sleep(6)
    """,
    "says who was asked": """
        async def handler(identity, claims):
            raise ValueError("asked about " + identity.user)
    """,
    "another address": """
        from dataclasses import replace

        async def handler(identity, claims):
            return replace(identity, email=identity.user[:5] + "@ELSEWHERE.example")
    """,
    "from the second time on": """
        from proxy.errors import AccessDenied

        async def handler(identity, claims, event):
            if event == "refresh":
                raise AccessDenied("Your seat was given to somebody else.")
    """,
}


def place(tmp_path: Path, source: str, **settings: Any) -> Place:
    """With the hook ``custom_sso.handler``."""
    (tmp_path / "custom_sso.py").write_text(textwrap.dedent(SOURCE[source]))
    hooks = {"post_login": "custom_sso.handler", "folder": str(tmp_path)}
    return Place(**{**settings, "hooks": hooks | settings.get("hooks", {})})


async def test_e5_1_a_hook_sets_the_role_and_apps_see_it(tmp_path: Path) -> None:
    identity = {"claims": ["email", "role"]}
    headers = {"extra": {"X-Role": "role"}}
    async with place(tmp_path, "e5.1", identity=identity, headers=headers) as proxy:
        browser = proxy.browser()
        assert (await browser.sign_in("/")).status == 303
        assert (await browser.get("/")).status == 200
        assert proxy.upstream.header("X-Role") == ["admin"]
        claims = await proxy.identity()
        assert (claims["role"], claims["scope"]) == ("admin", "playground admin")
        other = proxy.browser()
        await other.sign_in("/", "bob")
        await other.get("/")
        assert proxy.upstream.header("X-Role") == ["member"]
        proxy.clock.advance(901)
        assert (await browser.get("/")).status == 302, "the session was shortened"


async def test_e5_2_a_function_that_is_not_async_does_not_start(tmp_path: Path) -> None:
    proxy = place(tmp_path, "not async")
    with pytest.raises(ConfigError, match=r"hooks\.post_login: .*: async def handler"):
        async with proxy:
            pytest.fail("it started")


@pytest.mark.parametrize(
    ("source", "status", "words"),
    [
        pytest.param("e5.1", 0, "configuration is valid", id="good"),
        pytest.param("not async", 2, "proxy.cfg:8: hooks.post_login: ", id="not async"),
        pytest.param("does not import", 2, "No module named 'nothing'", id="does not import"),
    ],
)
def test_e5_2_auth_proxy_check_says_so(
    tmp_path: Path,
    source: str,
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "custom_sso.py").write_text(textwrap.dedent(SOURCE[source]))
    file = tmp_path / "proxy.cfg"
    file.write_text(textwrap.dedent(CONFIGURATION))
    assert main(["check", "--config", str(file)]) == status
    told = capsys.readouterr()
    assert words in told.out + told.err


async def test_e5_3_a_hook_that_raises_shows_nothing_of_it(tmp_path: Path) -> None:
    async with place(tmp_path, "raises") as proxy:
        browser = proxy.browser()
        answer = await browser.sign_in("/")
        assert answer.status == 500
        assert "hook_failed" in answer.text
        assert "hunter2" not in answer.text
        assert "ValueError" not in answer.text
        assert browser.session is None
        [line] = proxy.audited("login_failed")
        assert line["reason"] == "hook_failed"
        assert line["request_id"] in answer.text
        assert "ValueError" in line["detail"]
        assert "custom_sso.py:3" in line["detail"]


async def test_e5_3_a_hook_that_denies_says_why(tmp_path: Path) -> None:
    async with place(tmp_path, "denies") as proxy:
        browser = proxy.browser()
        answer = await browser.sign_in("/")
        assert answer.status == 403
        assert "No &lt;b&gt;seat&lt;/b&gt; is left: ask your team." in answer.text
        assert "denied_by_hook" in answer.text
        assert browser.session is None


async def test_e5_4_nobody_without_an_id_reaches_the_hook(tmp_path: Path) -> None:
    async with place(tmp_path, "says who was asked", claims={"user": "siret"}) as proxy:
        answer = await proxy.browser().sign_in("/")
        assert answer.status == 403
        assert "identity_incomplete" in answer.text
        assert "asked about" not in proxy.logged()


async def test_e5_5_a_slow_hook_is_not_waited_for(tmp_path: Path) -> None:
    async with place(tmp_path, "slow", hooks={"timeout": "100ms"}) as proxy:
        browser = proxy.browser()
        answer = await browser.sign_in("/")
        assert answer.status == 500
        assert browser.session is None
        [line] = proxy.audited("login_failed")
        assert line["reason"] == "hook_failed"
        assert "no answer within 0.1 s" in line["detail"]


@pytest.mark.parametrize(
    ("source", "user"),
    [
        pytest.param("says who was asked", "mallory", id="it is not asked about strangers"),
        pytest.param("another address", "alice", id="its answer is judged, too"),
    ],
)
async def test_e5_6_a_hook_does_not_undo_the_rules(tmp_path: Path, source: str, user: str) -> None:
    access = {"email_domains": ["example.org"]}
    async with place(tmp_path, source, access=access) as proxy:
        browser = proxy.browser()
        answer = await browser.sign_in("/", user)
        assert answer.status == 403
        assert "email_not_allowed" in answer.text
        assert browser.session is None
        assert "asked about" not in proxy.logged()


async def test_a_hook_that_changes_its_mind_ends_the_session_at_the_next_refresh(
    tmp_path: Path,
) -> None:
    async with place(
        tmp_path,
        "from the second time on",
        session={"refresh_every": "5m"},
        provider={"scope": "openid email offline_access"},
    ) as proxy:
        browser = proxy.browser()
        await browser.sign_in("/")
        assert (await browser.get("/")).status == 200
        proxy.clock.advance(301)
        assert (await browser.get("/", page=False)).status == 401
