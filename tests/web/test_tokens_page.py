"""People make tokens for their programs, see them used, and revoke them; nobody else does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.crypto.token import digest, kind_of, make, public_id
from proxy.demo.people import ALICE
from proxy.session.tokens import Token
from tests.web.pages.document import Document
from tests.web.place import HOST, PUBLIC, Answer, Browser, Place

PATH = "/oauth2/tokens"
DONE = f"{PATH}?done"
HERE = {"Sec-Fetch-Site": "same-origin"}
FORM = {"make": "yes", "name": "laptop", "expires": "30d", "groups": "all", "scopes": "all"}
DAY = 86_400


def settings(folder: Path, **tokens: Any) -> dict[str, Any]:
    return {
        "session": {"file": str(folder / "kept.db")},
        "tokens": {"personal": True, "scopes": ["read", "write"], "max_per_person": 3, **tokens},
    }


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with Place(**settings(tmp_path)) as place:
        yield place


async def signed_in(place: Place, user: str = "alice") -> Browser:
    browser = place.browser()
    await browser.sign_in(user=user)
    return browser


async def listed(browser: Browser) -> dict[str, Any]:
    """What a program of that browser's gets."""
    answer = await browser.get(PATH, page=False)
    assert answer.status == 200, answer.text
    return json.loads(answer.body)  # type: ignore[no-any-return]


async def send(
    browser: Browser,
    fields: Mapping[str, str] | list[tuple[str, str]],
    *,
    headers: Mapping[str, str] = HERE,
    **options: Any,
) -> Answer:
    token = (await listed(browser))["token"]
    data = [("token", token), *(fields.items() if isinstance(fields, Mapping) else fields)]
    return await browser.post(PATH, data=data, headers=headers, **options)


async def made(browser: Browser, **changes: str) -> dict[str, Any]:
    answer = await send(browser, FORM | changes, page=False)
    assert answer.status == 201, answer.text
    return json.loads(answer.body)  # type: ignore[no-any-return]


async def ask(place: Place, secret: str, path: str = "/", port: int = 0) -> Answer:
    """As a program with the token, and nothing else."""
    given = {"Authorization": f"Bearer {secret}"}
    return await place.browser().get(path, page=False, headers=given, port=port)


async def is_refused(place: Place, secret: str, port: int = 0) -> None:
    async with asyncio.timeout(1):  # on every replica
        while (await ask(place, secret, port=port)).status != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # there is no event to wait for


async def test_a_token_is_shown_once_and_works(place: Place) -> None:
    browser = await signed_in(place)
    answer = await send(browser, FORM)
    assert (answer.status, answer.location) == (200, "")
    [secret] = Document(answer.body).within("code")[:1]
    assert kind_of(secret, "apx") == "p"
    assert answer.headers["Cache-Control"] == "no-store"
    assert (await ask(place, secret)).status == 200
    assert (await place.identity())["sub"] == ALICE.sub
    page = await browser.get(PATH)
    assert secret not in page.text
    assert "laptop" in Document(page.body).within("bdi")
    assert secret not in json.dumps(await listed(browser))
    everything = place.logged() + str(browser.cookies) + str(answer.headers)
    assert secret not in everything
    assert secret[5:] not in everything


async def test_the_page_is_as_guarded_as_the_others(place: Place) -> None:
    browser = await signed_in(place)
    await send(browser, FORM)
    answer = await browser.get(PATH, headers={"Accept-Language": "fr"})
    assert "Vos jetons" in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "<script" not in answer.text
    head = await browser.request("HEAD", PATH)
    assert (head.status, head.body) == (200, b"")
    for host, status in ((HOST, 200), ("evil.example", 421)):
        assert (await browser.get(PATH, headers={"Host": host})).status == status
    assert (await browser.request("DELETE", PATH, page=False)).status == 405


async def test_what_a_program_is_told(place: Place) -> None:
    browser = await signed_in(place)
    now = int(place.clock())
    fields = [*FORM.items(), ("group", "dev"), ("scope", "read")]
    chosen = [(k, "chosen" if k in ("groups", "scopes") else v) for k, v in fields]
    answer = await send(browser, chosen, page=False)
    document = json.loads(answer.body)
    secret = document.pop("secret")
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert document == {
        "id": public_id(secret),
        "kind": "personal",
        "name": "laptop",
        "client": "",
        "groups": ["dev"],
        "scopes": ["read"],
        "created_at": now,
        "last_used_at": None,
        "expires_at": now + 30 * DAY,
    }
    assert (await listed(browser))["tokens"] == [document]


async def test_use_shows_and_a_token_never_has_more_than_it_was_given(place: Place) -> None:
    browser = await signed_in(place)
    fields = [(k, "chosen" if k in ("groups", "scopes") else v) for k, v in FORM.items()]
    answer = await send(browser, [*fields, ("group", "dev"), ("scope", "read")], page=False)
    secret = json.loads(answer.body)["secret"]
    place.clock.advance(7300)
    assert (await ask(place, secret)).status == 200
    claims = await place.identity()
    assert (claims["groups"], claims["scope"]) == (["dev"], "read")
    [entry] = (await listed(browser))["tokens"]
    assert entry["last_used_at"] == int(place.clock())
    found = Document((await browser.get(PATH)).body)
    assert found.within("time") == ["2 hours ago", "just now", "in 29 days"]


async def test_a_revoked_one_is_refused(place: Place) -> None:
    browser = await signed_in(place)
    one, other = await made(browser), await made(browser, name="other")
    for each in (one, other):
        assert (await ask(place, each["secret"])).status == 200
    answer = await send(browser, {"revoke": one["id"]})
    assert (answer.status, answer.location) == (303, DONE)
    await is_refused(place, one["secret"])
    assert (await ask(place, other["secret"])).status == 200
    shown = await browser.get(DONE, headers=HERE)
    assert "Done." in shown.text
    assert "Done." not in (await browser.get(DONE)).text  # a link from elsewhere says nothing
    assert [each["id"] for each in (await listed(browser))["tokens"]] == [other["id"]]
    assert (await send(browser, {"revoke": one["id"]})).status == 404
    answer = await send(browser, {"revoke": other["id"]}, page=False)
    assert (answer.status, json.loads(answer.body)) == (200, {"revoked": 1})


async def test_only_ones_own_can_be_revoked(place: Place) -> None:
    bob, mine = await signed_in(place, "bob"), await signed_in(place)
    theirs = await made(bob)
    tokens, now = place.app.parts.keeping.tokens, place.clock()
    service = make("apx", "s", place.world.random)
    who = place.app.parts.keeping.people
    known = await who.known(place.provider.issuer, ALICE.sub, now)
    assert known is not None
    machine = await tokens.create(
        service,
        Token("service", "ci", place.provider.issuer, ALICE.sub, now, now + DAY, identity=known[0]),
        now,
    )
    wishes = (theirs["id"], theirs["secret"], machine.id, "tok_" + "0" * 16, "../x")
    answers = [await send(mine, {"revoke": wish}) for wish in wishes]
    assert {answer.status for answer in answers} == {404}
    assert len({re.sub(r"[0-9a-f]{16}", "", answer.text) for answer in answers}) == 1
    assert (await ask(place, theirs["secret"])).status == 200
    assert await tokens.get(machine.id, now) is not None
    assert place.audited("token_revoked") == []
    assert [each["id"] for each in (await listed(mine))["tokens"]] == []


async def test_making_and_revoking_are_audited_without_the_token(place: Place) -> None:
    browser = await signed_in(place)
    entry = await made(browser)
    await send(browser, {"revoke": entry["id"]})
    told = [*place.audited("token_made"), *place.audited("token_revoked")]
    for line, reason in zip(told, ("token_made", "token_revoked"), strict=True):
        assert {
            name: line[name] for name in ("reason", "token", "kind", "name", "sub", "path")
        } == {
            "reason": reason,
            "token": entry["id"],
            "kind": "personal",
            "name": "laptop",
            "sub": ALICE.sub,
            "path": PATH,
        }
    assert told[0]["expires_at"] == entry["expires_at"]
    assert entry["secret"] not in place.logged()


WISHES: list[tuple[str, dict[str, str], bool]] = [
    ("a page of ours", {"Sec-Fetch-Site": "same-origin"}, True),
    ("a subdomain", {"Sec-Fetch-Site": "same-site"}, False),
    ("another site", {"Sec-Fetch-Site": "cross-site"}, False),
    ("our origin", {"Origin": PUBLIC}, True),
    ("another origin", {"Origin": "https://evil.example"}, False),
    ("hidden origin", {"Origin": "null"}, False),
    ("a program", {}, True),
]


async def test_whose_wish_it_is(place: Place) -> None:
    mine = await signed_in(place)
    for name, headers, good in WISHES:
        entry = await made(mine)
        answer = await send(mine, {"revoke": entry["id"]}, headers=headers)
        assert answer.status == (303 if good else 403), name
        if not good:
            assert (await send(mine, FORM, headers=headers)).status == 403, name
            await send(mine, {"revoke": entry["id"]})
    assert (await listed(mine))["tokens"] == []


async def test_the_form_is_of_this_very_session(place: Place) -> None:
    mine, twin, bob = [await signed_in(place, user) for user in ("alice", "alice", "bob")]
    for other in (twin, bob):
        foreign = (await listed(other))["token"]
        data = {**FORM, "token": foreign}
        assert (await mine.post(PATH, data=data, headers=HERE)).status == 403
    sessions = json.loads((await mine.get("/oauth2/sessions", page=False)).body)["token"]
    for token in ("", sessions):  # nor is that of another form
        data = {**FORM, "token": token}
        assert (await mine.post(PATH, data=data, headers=HERE)).status == 403
    assert (await mine.post(PATH, data=FORM, headers=HERE)).status == 403
    assert (await listed(mine))["tokens"] == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"name": ""}, "name", id="no name"),
        pytest.param({"expires": "91d"}, "expires", id="too long"),
        pytest.param({"groups": "chosen"}, "groups", id="groups, but which?"),
        pytest.param({"groups": "chosen", "group": "root"}, "groups", id="another's group"),
        pytest.param({"scopes": "chosen", "scope": "sudo"}, "scopes", id="another scope"),
    ],
)
async def test_a_wish_that_cannot_be_is_told_and_nothing_is_made(
    place: Place, changes: dict[str, str], field: str
) -> None:
    browser = await signed_in(place)
    answer = await send(browser, FORM | changes)
    found = Document(answer.body)
    assert answer.status == 400
    [alert] = [each for each in found.all("p") if each.get("role") == "alert"]
    assert alert["id"] == "mistake"
    if field != "name":  # what was typed is not typed again
        assert [each["value"] for each in found.all("input") if each.get("id") == "name"] == [
            "laptop"
        ]
    answer = await send(browser, FORM | changes, page=False)
    assert answer.status == 400
    document = json.loads(answer.body)
    assert (document["error"], document["remedy"].partition(":")[0]) == ("bad_body", field)
    answer = await send(browser, {"name": "x"}, page=False)
    assert answer.status == 400
    assert (await listed(browser))["tokens"] == []


async def test_there_are_not_more_than_one_person_may_have(place: Place) -> None:
    browser = await signed_in(place)
    first, *_ = [await made(browser, name=f"n{number}") for number in range(3)]
    page = await browser.get(PATH)
    assert 'name="make"' not in page.text
    assert "as many tokens" in page.text
    answer = await send(browser, FORM)
    assert (answer.status, "as many tokens" in answer.text) == (400, True)
    assert (await send(browser, FORM, page=False)).status == 400
    assert (await signed_in(place, "bob")) is not None
    await made(await signed_in(place, "bob"))  # others are others
    await send(browser, {"revoke": first["id"]})
    await made(browser)
    place.clock.advance(31 * DAY)  # who has expired does not count
    again = await signed_in(place)
    assert (await listed(again))["tokens"] == []
    await made(again)


async def test_of_many_at_once_none_is_too_many(place: Place) -> None:
    browser = await signed_in(place)
    token = (await listed(browser))["token"]
    answers = await asyncio.gather(
        *(
            browser.post(PATH, data={**FORM, "token": token}, headers=HERE, page=False)
            for _ in range(6)
        )
    )
    assert sorted(answer.status for answer in answers) == [201] * 3 + [400] * 3


async def test_whoever_is_not_signed_in_is_sent_to_sign_in(place: Place) -> None:
    stranger = place.browser()
    answer = await stranger.get(PATH)
    assert answer.status == 302
    assert answer.location.startswith(place.provider.issuer)
    assert (await stranger.get(PATH, page=False)).status == 401
    answer = await stranger.post(PATH, data=FORM, headers=HERE)
    assert (answer.status, answer.location) == (303, PATH)
    assert (await stranger.post(PATH, data=FORM, headers=HERE, page=False)).status == 401


async def test_a_token_opens_no_page_of_tokens(place: Place) -> None:
    """Whoever steals one could make another that lives for longer."""
    browser = await signed_in(place)
    entry = await made(browser)
    bearer = {"Authorization": f"Bearer {entry['secret']}"}
    program = place.browser()
    assert (await program.get(PATH, page=False, headers=bearer)).status == 401
    form_token = (await listed(browser))["token"]
    for fields in ({**FORM, "token": form_token}, {"revoke": entry["id"], "token": form_token}):
        answer = await program.post(PATH, data=fields, headers=bearer, page=False)
        assert answer.status == 401
    assert len((await listed(browser))["tokens"]) == 1


async def test_whom_the_rules_refuse_sees_nothing(tmp_path: Path) -> None:
    async with Place(**settings(tmp_path)) as place:
        browser = await signed_in(place)
        entry = await made(browser)
        await place.start_proxy(access={"groups": {"any": ["nobody"]}})
        for answer in (await browser.get(PATH), await browser.get(PATH, page=False)):
            assert answer.status == 403
            assert entry["id"] not in answer.text
        # nor does the token help
        assert (await ask(place, entry["secret"])).status == 403


async def test_somebody_signed_in_before_there_were_tokens_can_use_theirs(tmp_path: Path) -> None:
    given = settings(tmp_path)
    async with Place(**(given | {"tokens": {}})) as place:
        browser = await signed_in(place)
        assert (await browser.get(PATH, page=False)).status == 404
        await place.start_proxy(tokens=given["tokens"])
        keeping, issuer = place.app.parts.keeping, place.provider.issuer
        await keeping.people.forget(issuer, ALICE.sub)
        began = place.clock()
        place.clock.advance(3600)
        entry = await made(browser)
        assert (await ask(place, entry["secret"])).status == 200
        known = await keeping.people.known(issuer, ALICE.sub, place.clock())
        assert known is not None
        assert known[1] == began  # not as of now: nobody has asked the provider since


@pytest.mark.parametrize(
    ("tokens", "status", "makes"),
    [
        pytest.param({"personal": False}, 404, 404, id="neither"),
        pytest.param({"personal": False, "terminal": True}, 200, 404, id="terminals alone"),
    ],
)
async def test_what_is_switched_off_is_not_there(
    tmp_path: Path, tokens: dict[str, Any], status: int, makes: int
) -> None:
    async with Place(**settings(tmp_path, **tokens)) as place:
        browser = await signed_in(place)
        answer = await browser.get(PATH)
        assert answer.status == status
        assert 'name="make"' not in answer.text
        if status == 200:
            assert (await send(browser, FORM)).status == makes


async def test_a_terminal_is_shown_once_and_all_of_it_is_revoked(tmp_path: Path) -> None:
    async with Place(**settings(tmp_path, terminal=True)) as place:
        browser, now = await signed_in(place), place.clock()
        store, random = place.app.parts.keeping.tokens, place.world.random
        texts = [make("apx", letter, random) for letter in ("r", "t")]
        family: dict[str, Any] = {"name": "curl", "client": "curl from 192.0.2.7", "family": "f"}
        owner: dict[str, Any] = {
            "issuer": place.provider.issuer,
            "subject": ALICE.sub,
            "created_at": now,
        }
        await store.create(
            texts[0], Token(kind="refresh", expires_at=now + 9 * DAY, **owner, **family), now
        )
        await store.create(
            texts[1], Token(kind="terminal", expires_at=now + DAY, **owner, **family), now
        )
        [entry] = (await listed(browser))["tokens"]
        assert (entry["kind"], entry["id"]) == ("terminal", public_id(texts[1]))
        found = Document((await browser.get(PATH)).body)
        assert "Signed-in terminal" in found.text
        assert "curl from 192.0.2.7" in found.within("bdi")
        assert found.within("time") == ["just now", "in 9 days"]
        assert (await send(browser, {"revoke": entry["id"]})).status == 303
        assert [await store.find(text, now) for text in texts] == [None, None]
        assert (await listed(browser))["tokens"] == []


async def test_two_replicas_are_one(place: Place) -> None:
    await place.start_proxy()
    first, second = (app.port for app in place.apps)
    browser = await signed_in(place)
    entry = await made(browser)
    for port in (first, second, first):
        assert (await ask(place, entry["secret"], port=port)).status == 200
    await send(browser, {"revoke": entry["id"]})
    for port in (first, second):
        await is_refused(place, entry["secret"], port)


async def test_what_lies_on_the_shelf_opens_nothing(place: Place, tmp_path: Path) -> None:
    browser = await signed_in(place)
    entry = await made(browser, name="secret project")
    dump = b"".join(path.read_bytes() for path in tmp_path.glob("kept.db*"))
    secret = entry["secret"]
    for word in (secret, secret[5:48], digest(secret), "secret project", "alice@", ALICE.sub):
        assert word.encode() not in dump
    assert entry["id"].encode() in dump  # which is what we looked for


async def test_nothing_of_what_is_shown_is_markup(place: Place) -> None:
    browser = await signed_in(place)
    name = '"><b>&amp;'
    answer = await send(browser, FORM | {"name": name})
    assert name not in answer.text
    assert name in Document((await browser.get(PATH)).body).text
    answer = await send(browser, FORM | {"name": name, "expires": "x"})
    assert name not in answer.text


async def test_somebody_in_very_many_groups_can_choose_all_of_them(place: Place) -> None:
    browser = await signed_in(place)
    many = [("group", f"g{number}") for number in range(1000)]
    fields = [(k, "chosen" if k == "groups" else v) for k, v in FORM.items()]
    answer = await send(browser, [*fields, *many], page=False)
    assert json.loads(answer.body)["remedy"].startswith("groups")  # read, and not theirs
