"""Scenario E2, what goes wrong: each fault is one page with a number, a reason in the log, no
session, and a way to try again that keeps where one wanted to go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from proxy.cli import main
from proxy.errors import ProviderError, Reason
from tests.config.configurations import MINIMAL
from tests.web.place import Browser, Place, attempt_cookies
from tests.web.test_login_faults import DEEP, check, nothing_leaked
from tests.web.test_status import private, provider_of


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        pytest.param("token_200_error", 502, Reason.TOKEN_REFUSED, id="200 with an error"),
        pytest.param("token_list", 502, Reason.TOKEN_RESPONSE_INVALID, id="200 with a list"),
        pytest.param("token_html", 502, Reason.TOKEN_RESPONSE_INVALID, id="200 with a page"),
        pytest.param("token_access_token_null", 502, Reason.TOKEN_RESPONSE_INVALID,
                     id="200 with null for a token"),
        pytest.param("token_500", 502, Reason.TOKEN_REFUSED, id="500"),
        pytest.param("token_hang", 504, Reason.PROVIDER_TIMEOUT, id="no answer in time"),
        pytest.param("token_drip", 504, Reason.PROVIDER_TIMEOUT, id="a byte now and then"),
    ],
)  # fmt: skip
async def test_e2_5_a_fault_of_the_token_endpoint(fault: str, status: int, reason: Reason) -> None:
    async with Place(provider={"timeout": "500ms"}) as place:
        place.provider.misbehave(fault)
        browser = place.browser()
        check(place, fault, browser, await browser.sign_in(DEEP), (status, reason))
        (line,) = place.audited("login_failed")
        assert line["reason"] == reason
        assert place.provider.calls["userinfo"] == 0
        assert (await browser.get(DEEP)).status == 302
        place.provider.behave()
        nothing_leaked(place)


@pytest.mark.parametrize(
    "fault",
    ["userinfo_500", "userinfo_empty", "userinfo_null", "userinfo_html", "userinfo_redirect"],
)
async def test_e2_6_without_userinfo_the_id_token_tells(fault: str) -> None:
    async with Place() as place:
        place.provider.misbehave(fault)
        browser = place.browser()
        check(place, fault, browser, await browser.sign_in(DEEP), None)
        await browser.get(DEEP)
        claims = await place.identity()
        assert (claims["email"], claims["groups"]) == ("alice@example.org", ["admins", "dev"])


@pytest.mark.parametrize("fault", ["userinfo_500", "userinfo_empty", "userinfo_null"])
async def test_e2_6_nothing_told_at_all_is_no_identity(fault: str) -> None:
    async with Place() as place:
        place.provider.misbehave(fault, "id_token_without_person")
        browser = place.browser()
        check(place, fault, browser, await browser.sign_in(DEEP), (502, Reason.NO_CLAIMS))
        assert place.upstream.seen == []


async def test_e2_6_userinfo_about_somebody_else_is_refused() -> None:
    async with Place() as place:
        place.provider.misbehave("userinfo_wrong_sub")
        browser = place.browser()
        expected = (403, Reason.USERINFO_SUBJECT_MISMATCH)
        check(place, "wrong sub", browser, await browser.sign_in(DEEP), expected)


async def test_e2_6_null_in_the_id_token_is_absent() -> None:
    async with Place() as place:
        place.provider.misbehave("id_token_null_claims")
        browser = place.browser()
        check(place, "null", browser, await browser.sign_in(DEEP), None)
        await browser.get(DEEP)
        claims = await place.identity()
        assert (claims["email"], claims["name"]) == ("alice@example.org", "Alice Martin")


async def failed(
    place: Place, browser: Browser, url: str, status: int, reason: Reason, *, rd: str = DEEP
) -> None:
    """A page with a number and the reason, that leads back to ``rd``; no session."""
    answer = await browser.get(url)
    assert (answer.status, browser.session) == (status, None), answer.text
    assert f'href="/oauth2/start?rd={quote(rd, safe="/")}"' in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    assert reason in answer.text
    assert place.audited("login_failed")[-1]["reason"] == reason
    assert (await browser.get(DEEP)).status == 302
    nothing_leaked(place)


def changed(url: str, change: Callable[[str], str | None], name: str = "state") -> str:
    """``url`` with one parameter changed, or without it."""
    front, _, asked = url.partition("?")
    params = [(n, change(v) if n == name else v) for n, v in parse_qsl(asked)]
    return f"{front}?{urlencode([(n, v) for n, v in params if v is not None])}"


async def test_e2_7_a_callback_in_another_browser() -> None:
    async with Place() as place:
        url = await place.browser().callback_url(DEEP)
        await failed(place, place.browser(), url, 403, Reason.ATTEMPT_MISSING, rd="/")
        other = place.browser()
        await other.get("/of-my-own")  # one with a sign-in of its own
        answer = await other.get(url)
        assert (answer.status, other.session) == (403, None)
        assert "/deep" not in answer.text
        assert place.provider.calls["token"] == 0


async def test_e2_7_a_callback_twice() -> None:
    async with Place() as place:
        browser = place.browser()
        url = await browser.callback_url(DEEP)
        held = dict(browser.cookies)
        assert (await browser.get(url)).status == 303
        session = browser.session
        again = await browser.get(url)  # as the back button does
        assert again.status in (303, 403)
        assert (browser.session, place.provider.calls["token"]) == (session, 1)

        thief = place.browser()
        thief.cookies = {name: held[name] for name in attempt_cookies(held)}
        await failed(place, thief, url, 403, Reason.ATTEMPT_MISSING)
        assert place.provider.calls["token"] == 1


async def test_e2_7_a_callback_after_ten_minutes_and_a_second() -> None:
    async with Place() as place:
        browser = place.browser()
        url = await browser.callback_url(DEEP)
        place.clock.advance(601)
        await failed(place, browser, url, 403, Reason.ATTEMPT_EXPIRED)
        assert place.provider.calls["token"] == 0


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        pytest.param(lambda state: state[:-1] + ("A" if state[-1] != "A" else "B"), 403,
                     Reason.ATTEMPT_MISSING, id="one letter"),
        pytest.param(lambda state: "w" * 43, 403, Reason.ATTEMPT_MISSING, id="another"),
        pytest.param(lambda state: "", 400, Reason.STATE_MISSING, id="empty"),
        pytest.param(lambda state: None, 400, Reason.STATE_MISSING, id="missing"),
    ],
)  # fmt: skip
async def test_e2_7_a_callback_with_another_state(
    change: Callable[[str], str | None], status: int, reason: Reason
) -> None:
    async with Place() as place:
        browser = place.browser()
        url = await browser.callback_url(DEEP)
        await failed(place, browser, changed(url, change), status, reason)
        assert place.provider.calls["token"] == 0


@pytest.mark.parametrize("method", ["auto", "client_secret_basic", "client_secret_post"])
def test_e2_8_without_a_client_secret_there_is_no_start(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = MINIMAL.splitlines()
    text = "\n".join(line for line in written if "client_secret" not in line)
    assert text != MINIMAL
    config = tmp_path / "proxy.cfg"
    config.write_text(text)
    options = [f"--provider-token-auth-method={method}"] if method != "auto" else []
    assert main(["serve", "--config", str(config), *options]) == 2
    told = capsys.readouterr().err
    assert "provider.client_secret" in told
    assert "Traceback" not in told


async def test_e2_8_a_provider_that_is_down_is_named_and_heals() -> None:
    async with Place() as place:
        provider = provider_of(place)
        await provider.check()
        assert (await private(place, "/ready"))[0] == 200
        await place.provider.stop()
        place.clock.advance(30)  # provider.check_every
        with pytest.raises(ProviderError):
            await provider.check()
        status, told = await private(place, "/ready")
        assert status == 503
        assert told["checks"]["provider"] == Reason.PROVIDER_UNREACHABLE
        assert {name for name, state in told["checks"].items() if state != "ok"} == {"provider"}
        answer = await place.browser().get("/ready", page=False)
        assert (answer.status, set(json.loads(answer.body))) == (503, {"status"})
        await place.provider.restart()
        await provider.check()
        assert (await private(place, "/ready"))[0] == 200
