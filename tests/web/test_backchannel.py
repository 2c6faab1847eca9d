"""The provider ends sessions from server to server: whom it means, and whom nobody else can."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
import pytest

from proxy.config.providers import providers_of
from proxy.config.settings import Settings
from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.demo.people import Client
from proxy.errors import Reason, StoreError
from proxy.model import Identity, Session, Tokens
from proxy.session.cards import Cards
from proxy.session.cookie import CookieStore
from proxy.session.endings import Endings
from proxy.session.register import Register
from proxy.web.answers import Answers
from proxy.web.audit import Audit
from proxy.web.backchannel import BackChannel
from proxy.web.calls import Calls
from proxy.web.log import Log
from proxy.web.metrics import Metrics
from proxy.web.provider import Provider
from proxy.web.providers import Providers
from proxy.web.runtime import compile_runtime
from proxy.web.visit import Visit
from proxy.wire.inbound import Request
from tests.fakes.clock import FakeClock
from tests.fakes.provider import FakeProvider
from tests.fakes.shelf import MemoryShelf
from tests.web.place import PUBLIC, SECRET, Answer, Browser, Place

PATH = "/oauth2/backchannel_logout"
ALICE = "alice-5f0c3b1e"


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


async def told(place: Place, data: Any, **options: Any) -> Answer:
    """What the provider gets when it posts ``data``: as a server, without any cookie."""
    return await place.browser().post(PATH, page=False, data=data, **options)


async def signed_in(browser: Browser) -> bool:
    return (await browser.get("/")).status == 200


async def known(place: Place) -> None:
    """The provider has answered: nothing is under way that its stop would cut."""
    assert place.app.parts.providers is not None
    await place.app.parts.providers.first.check()


def sid_of(place: Place) -> str:
    """The provider's session of whoever signed in last."""
    sign_ins = place.provider.provider.grants.sign_ins._entries
    return list(sign_ins.values())[-1].value.sid


def check(answer: Answer, status: int, error: str = "") -> None:
    assert answer.status == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.set_cookies == []
    if error:
        assert json.loads(answer.body)["error"] == error
        assert set(json.loads(answer.body)) == {"error", "error_description"}


async def test_the_session_that_is_meant_ends_and_no_other(place: Place) -> None:
    other, bob, mine = place.browser(), place.browser(), place.browser()
    await other.sign_in()
    await bob.sign_in(user="bob")
    await mine.sign_in()
    token = place.provider.logout_token(sub=ALICE, sid=sid_of(place), unknown={"x": 1})
    answer = await told(place, {"logout_token": token, "unknown": "field"})
    check(answer, 200)
    assert answer.body == b""
    assert [await signed_in(browser) for browser in (mine, other, bob)] == [False, True, True]
    (line,) = place.audited("provider_logout")
    assert (line["reason"], line["sub"], line["sessions"]) == ("signed_out_by_provider", ALICE, 1)
    assert token not in place.logged()


WHOM = [
    pytest.param(True, False, [False, True], id="sid alone"),
    pytest.param(False, True, [False, False], id="sub alone: every session of the person"),
    pytest.param(True, True, [False, True], id="both"),
]


@pytest.mark.parametrize(("sid", "sub", "left"), WHOM)
async def test_whom_a_token_means(place: Place, sid: bool, sub: bool, left: list[bool]) -> None:
    other, bob, mine = place.browser(), place.browser(), place.browser()
    for browser, user in ((other, "alice"), (bob, "bob"), (mine, "alice")):
        await browser.sign_in(user=user)
    named = {"sid": sid_of(place)} if sid else {}
    named |= {"sub": ALICE} if sub else {}
    check(await told(place, {"logout_token": place.provider.logout_token(**named)}), 200)
    assert [await signed_in(mine), await signed_in(other)] == left
    assert await signed_in(bob)
    place.clock.advance(1)
    assert (await mine.sign_in()).status == 303
    assert await signed_in(mine)


async def test_a_token_as_glewlwyd_sends_it(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    token = place.provider.logout_token(typ="JWT", sub=ALICE, exp=None)
    check(await told(place, {"logout_token": token}), 200)
    assert not await signed_in(mine)


async def test_somebody_elses_subject_ends_nobody(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    token = place.provider.logout_token(sub="somebody-else", sid=sid_of(place))
    check(await told(place, {"logout_token": token}), 200)
    assert await signed_in(mine)


async def test_a_session_without_sid_ends_rather_once_too_often(place: Place) -> None:
    place.provider.behaviour.id_token_claims = lambda claims: {  # type: ignore[method-assign]
        name: value for name, value in claims.items() if name != "sid"
    }
    mine, bob = place.browser(), place.browser()
    await mine.sign_in()
    await bob.sign_in(user="bob")
    token = place.provider.logout_token(sub=ALICE, sid="a sid that we were never told")
    check(await told(place, {"logout_token": token}), 200)
    assert [await signed_in(mine), await signed_in(bob)] == [False, True]


async def test_nobody_who_is_signed_in_is_fine_too(place: Place) -> None:
    token = place.provider.logout_token(sub="nobody", sid="none")
    check(await told(place, {"logout_token": token}), 200)
    (line,) = place.audited("provider_logout")
    assert line["sessions"] == 0


MODULES: list[Any] = [
    pytest.param({"fault": "id_token_alg_none"}, id="alg-none"),
    pytest.param({"fault": "id_token_hs256"}, id="wrong-alg"),
    pytest.param({"events": None}, id="no-event"),
    pytest.param({"events": {"urn:x": {}}}, id="wrong-event"),
    pytest.param({"nonce": "n"}, id="with-nonce"),
    pytest.param({"aud": "another-client"}, id="wrong-aud"),
    pytest.param({"iss": "https://other.example"}, id="wrong-iss"),
    pytest.param({"fault": "id_token_bad_signature"}, id="broken signature"),
    pytest.param({"fault": "id_token_unknown_kid"}, id="unknown key"),
    pytest.param({"fault": "id_token_stranger_known_kid"}, id="another's key"),
    pytest.param({"typ": "at+jwt"}, id="an access token"),
    pytest.param({"fault": "id_token_garbage"}, id="no token"),
    pytest.param({"jti": None}, id="no jti"),
    pytest.param({"iat": 1_000_000_000, "exp": None}, id="old, without exp"),
]


@pytest.mark.parametrize("wrong", MODULES)
async def test_what_cannot_be_believed_is_exactly_400(place: Place, wrong: dict[str, Any]) -> None:
    mine = place.browser()
    await mine.sign_in()
    token = place.provider.logout_token(**{"sub": ALICE, "sid": sid_of(place), **wrong})
    check(await told(place, {"logout_token": token}), 400, "invalid_request")
    assert await signed_in(mine)
    (line,) = place.audited("logout_failed")
    assert line["reason"] == Reason.LOGOUT_REQUEST_INVALID
    assert line["detail"]
    assert token[:30] not in place.logged()


async def test_an_id_token_is_no_logout_token(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    out = await mine.post("/oauth2/sign_out")
    hint = out.location.partition("id_token_hint=")[2].partition("&")[0]
    check(await told(place, {"logout_token": hint}), 400, "invalid_request")


async def test_a_token_is_good_once(place: Place) -> None:
    token = place.provider.logout_token(sub=ALICE)
    check(await told(place, {"logout_token": token}), 200)
    mine = place.browser()
    place.clock.advance(1)
    await mine.sign_in()
    check(await told(place, {"logout_token": token}), 400, "invalid_request")
    place.clock.advance(170)
    check(await told(place, {"logout_token": token}), 400, "invalid_request")
    assert await signed_in(mine)
    assert place.audited("logout_failed")[0]["detail"] == "its jti was used before"


def form(**fields: str) -> bytes:
    return urlencode(fields).encode()


TYPE = "application/x-www-form-urlencoded"
BODIES: list[Any] = [
    pytest.param(b"", TYPE, id="nothing"),
    pytest.param(b"other=1", TYPE, id="no logout_token"),
    pytest.param(b"logout_token=", TYPE, id="an empty one"),
    pytest.param(b"logout_token=TOKEN&logout_token=TOKEN", TYPE, id="twice"),
    pytest.param(b"logout_token=TOKEN", "text/plain", id="another content type"),
    pytest.param(b"logout_token=TOKEN", "", id="no content type"),
    pytest.param(b"logout_token=TOKEN", "multipart/form-data", id="multipart"),
    pytest.param(b'{"logout_token":"TOKEN"}', "application/json", id="JSON"),
    pytest.param(b"logout_token=TOKEN\xff", TYPE, id="bytes beyond ASCII"),
    pytest.param(b"logout_token=TOKEN" + b"&a=1" * 200, TYPE, id="too many fields"),
    pytest.param(b"logout_token=TOKEN&x=" + b"x" * 66_000, TYPE, id="too large"),
]


@pytest.mark.parametrize(("body", "kind"), BODIES)
async def test_forms_that_are_none(place: Place, body: bytes, kind: str) -> None:
    mine = place.browser()
    await mine.sign_in()
    token = place.provider.logout_token(sub=ALICE)
    headers = {"Content-Type": kind}
    answer = await told(place, body.replace(b"TOKEN", token.encode()), headers=headers)
    check(answer, 400, "invalid_request")
    assert await signed_in(mine)


async def test_a_type_with_a_charset_and_a_body_in_chunks_will_do(place: Place) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in form(logout_token=place.provider.logout_token(sub=ALICE)):
            yield bytes([byte])

    headers = {"Content-Type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8"}
    check(await told(place, chunks(), headers=headers), 200)


async def test_a_client_that_waits_for_100_continue_is_told_to_go_on(place: Place) -> None:
    """As libcurl does, which some providers use."""
    data = {"logout_token": place.provider.logout_token(sub=ALICE)}
    check(await told(place, data, headers={"Expect": "100-continue"}), 200)


async def test_browsers_cookies_and_origins_do_not_matter(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    headers = {"Origin": "https://idp.example", "Sec-Fetch-Site": "cross-site"}
    token = place.provider.logout_token(sub=ALICE)
    answer = await mine.post(PATH, page=False, data={"logout_token": token}, headers=headers)
    check(answer, 200)


async def test_only_post_and_only_at_the_public_host(place: Place) -> None:
    for method in ("GET", "HEAD", "PUT", "OPTIONS"):
        answer = await place.browser().request(method, PATH, page=False)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    token = place.provider.logout_token(sub=ALICE)
    elsewhere = {"Host": "elsewhere.example"}
    assert (await told(place, {"logout_token": token}, headers=elsewhere)).status == 421


async def test_keys_that_have_rotated_are_fetched(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    place.provider.rotate_keys()
    check(await told(place, {"logout_token": place.provider.logout_token(sub=ALICE)}), 200)
    assert not await signed_in(mine)


async def test_strangers_cause_one_fetch_of_keys_and_cannot_use_up_that_of_sign_ins(
    place: Place,
) -> None:
    await place.browser().sign_in()
    known = place.provider.calls["jwks"]
    for _ in range(20):
        token = place.provider.logout_token(fault="id_token_unknown_kid", sub=ALICE)
        check(await told(place, {"logout_token": token}), 400)
    assert place.provider.calls["jwks"] == known + 1
    place.provider.rotate_keys()
    assert (await place.browser().sign_in()).status == 303
    assert place.provider.calls["jwks"] == known + 2


async def test_without_the_providers_keys_it_may_say_it_again(place: Place) -> None:
    await known(place)
    await place.provider.stop()
    await place.start_proxy()
    answer = await told(place, {"logout_token": place.provider.logout_token(sub=ALICE)})
    check(answer, 503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "5"


async def test_with_authentication_off_there_is_no_such_place() -> None:
    async with Place(auth={"disabled": True}) as place:
        assert (await told(place, {"logout_token": "x"})).status == 404


class _Body:
    """As much of aiohttp's stream as is asked of a body that came whole."""

    def __init__(self, data: bytes) -> None:
        self.content = self.protocol = self.connection = self
        self.broken = None
        self._data = data

    def read_nowait(self) -> bytes:
        data, self._data = self._data, b""
        return data

    async def readany(self) -> bytes:
        return b""


def _visit(clock: FakeClock, fields: Mapping[str, str]) -> Visit:
    body = urlencode(fields).encode()
    headers = [(b"Content-Type", TYPE.encode())]
    request = Request("POST", PATH, headers, True, True, len(body), False)
    visit = Visit(request, "id", clock(), "127.0.0.1")
    visit.stream = cast(Any, _Body(body))
    return visit


class _Faulty(MemoryShelf):
    """Fails at its ``fails``-th call from now, and at all that follow."""

    fails = 10**6

    async def _reach(self) -> None:
        self.fails -= 1
        if self.fails < 0:
            raise StoreError(Reason.STORE_UNAVAILABLE, "switched off by the test")
        await super()._reach()


async def test_a_store_that_fails_halfway_leaves_the_token_good() -> None:
    clock = FakeClock()
    secret = bytes(32)
    async with (
        FakeProvider(Client("proxy", "secret", (f"{PUBLIC}/x",)), clock=clock) as fake,
        aiohttp.ClientSession() as http,
    ):
        options = {"issuer_url": fake.issuer, "client_id": "proxy", "client_secret": "secret"}
        settings = Settings.model_validate(
            {
                "public_url": PUBLIC,
                "upstream": "http://127.0.0.1:1",
                "cookie": {"secret": SECRET},
                "provider": options,
            }
        )
        shelf, metrics, pseudonyms = _Faulty(clock), Metrics(), Pseudonyms([secret])
        store = CookieStore(Sealer([secret], "s", bytes), 3600, shelf, 60)
        cards = Cards(shelf, Sealer([secret], "c", bytes), pseudonyms)
        register = Register(shelf, store, cards, Endings(shelf, pseudonyms, 3600), 0)
        log, idp = Log(io.StringIO(), clock), providers_of(settings)[0]
        back = BackChannel(
            Providers([Provider(idp, Calls(idp, http, metrics), clock, lambda: "j" * 43)]),
            register,
            Answers(compile_runtime(settings, bytes)),
            Audit(log, metrics),
        )
        person, now = Identity(fake.issuer, ALICE, ALICE), clock()
        session = Session("id", person, Tokens("t"), now - 9, now + 999, now, provider_sid="s")
        await register.begin(session, (await store.save(session, now)).value, "", "", now)
        fields = {"logout_token": fake.logout_token(sub=ALICE, sid="s")}
        statuses = []
        for call in range(40):
            shelf.fails = call
            response = await back.logout(_visit(clock, fields))
            statuses.append(response.status)
            if response.status != 503:
                break
            assert response.headers["Retry-After"] == "5"
            assert response.headers["Cache-Control"] == "no-store"
        assert statuses[-1] == 200, statuses
        assert len(statuses) > 3
        shelf.fails = 10**6
        assert await register.of_person(fake.issuer, ALICE, now) == []
        assert (await back.logout(_visit(clock, fields))).status == 400


async def test_an_open_websocket_is_closed_with_the_session(place: Place) -> None:
    mine = place.browser()
    await mine.sign_in()
    cookies = "; ".join(f"{name}={value}" for name, value in mine.cookies.items())
    headers = {"Host": place.host, "Origin": PUBLIC, "Cookie": cookies}
    url = f"http://127.0.0.1:{place.port}/ws"
    async with asyncio.timeout(5), place.http.ws_connect(url, headers=headers) as socket:
        token = place.provider.logout_token(sub=ALICE, sid=sid_of(place))
        started = time.monotonic()
        check(await told(place, {"logout_token": token}), 200)
        assert (await socket.receive()).data == 1008
        assert time.monotonic() - started < 1
