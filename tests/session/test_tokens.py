"""Tokens on the shelf: found, listed, used, revoked; a dump opens nothing and names nobody."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.crypto.token import digest, make, public_id
from proxy.errors import StoreError
from proxy.session.codec import pack
from proxy.session.tokens import Token, TokenStore
from tests.fakes.clock import FakeClock
from tests.fakes.shelf import MemoryShelf
from tests.session.samples import HOUR, IDENTITIES, ISSUER, NOW, person

OLD, NEW = b"o" * 32, b"n" * 32


def store_on(shelf: MemoryShelf, *secrets: bytes) -> TokenStore:
    keys = secrets or (NEW,)
    return TokenStore(shelf, Sealer(keys, "token"), Pseudonyms(keys))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def shelf(clock: FakeClock) -> MemoryShelf:
    return MemoryShelf(clock)


@pytest.fixture
def store(shelf: MemoryShelf) -> TokenStore:
    return store_on(shelf)


def new() -> str:
    return make("apx", "p", os.urandom)


def token(**facts: Any) -> Token:
    known: dict[str, Any] = {
        "kind": "personal",
        "name": "laptop of Jean",
        "issuer": ISSUER,
        "subject": "704e",
        "created_at": NOW,
        "expires_at": NOW + HOUR,
    }
    return Token(**(known | facts))


def service(**facts: Any) -> Token:
    who = person(issuer="urn:auth-proxy:service", subject="service:ci", email="ci@example.org")
    known = {"kind": "service", "name": "ci", "issuer": who.issuer, "subject": who.subject}
    return token(**(known | {"identity": who, "routes": ("/api/*",)} | facts))


async def test_found_by_its_text_its_id_and_its_owner(store: TokenStore) -> None:
    text = new()
    wanted = token(groups=("staff",), scopes=("read",), client="curl", family="f")
    made = await store.create(text, wanted, NOW)
    assert made == replace(wanted, id=public_id(text))
    assert await store.find(text, NOW) == made
    assert await store.get(made.id, NOW) == made
    assert await store.of_person(ISSUER, "704e", NOW) == [made]
    assert await store.of_person(ISSUER, "other", NOW) == []
    assert await store.services(NOW) == []
    assert made.session_id == f"token:{made.id}"


async def test_no_group_at_all_is_not_every_group(store: TokenStore) -> None:
    for groups in (None, (), ("a",)):
        text = new()
        await store.create(text, token(groups=groups), NOW)
        found = await store.find(text, NOW)
        assert found is not None
        assert found.groups == groups


async def test_a_service_is_whom_its_token_says(store: TokenStore) -> None:
    text = new()
    made = await store.create(text, service(), NOW)
    found = await store.find(text, NOW)
    assert found == made
    assert found.identity == service().identity
    assert await store.services(NOW) == [made]
    assert await store.of_person(made.issuer, made.subject, NOW) == []


async def test_nothing_else_is_found(store: TokenStore) -> None:
    text = new()
    made = await store.create(text, token(), NOW)
    for other in (new(), text[:-1], "", made.id, digest(text), f"{text} ", "\udcff"):
        assert await store.find(other, NOW) is None
    for other in (text, "", "tok_", made.id.upper(), f"{made.id}0", "tok_" + "0" * 16, "../x"):
        assert await store.get(other, NOW) is None


async def test_it_ends_when_it_says_and_leaves_nothing(
    store: TokenStore, shelf: MemoryShelf, clock: FakeClock
) -> None:
    text, other = new(), new()
    made = await store.create(text, token(), NOW)
    await store.create(other, service(), NOW)
    # not even for who looks with an earlier shelf's clock
    assert await store.find(text, NOW + HOUR) is None
    clock.advance(HOUR)
    assert await store.find(text, clock()) is None
    assert await store.get(made.id, clock()) is None
    assert await store.of_person(ISSUER, "704e", clock()) == []
    assert await store.services(clock()) == []
    assert shelf.left() == []


async def test_revoked_it_leaves_nothing(store: TokenStore, shelf: MemoryShelf) -> None:
    text, other = new(), new()
    made, theirs = await store.create(text, token(), NOW), await store.create(other, service(), NOW)
    before = shelf.left()
    assert len(before) == 4
    await store.revoke(made, NOW)
    assert await store.find(text, NOW) is None
    assert await store.find(other, NOW) == theirs
    await store.revoke(theirs, NOW)
    await store.revoke(theirs, NOW)  # again does no harm
    assert shelf.left() == []


async def test_use_is_written_down_once_a_minute(store: TokenStore, shelf: MemoryShelf) -> None:
    text = new()
    made = await store.create(text, token(), NOW)
    used = await store.touch(made, NOW + 1)
    assert used == replace(made, used_at=NOW + 1)
    assert await store.find(text, NOW + 1) == used
    asked = shelf.asked
    assert await store.touch(used, NOW + 60) == used
    assert shelf.asked == asked
    # who holds an older fact is told the newer one
    assert await store.touch(made, NOW + 60) == used
    again = await store.touch(used, NOW + 61)
    assert again.used_at == NOW + 61
    assert await store.of_person(ISSUER, "704e", NOW + 61) == [again]


async def test_use_brings_nothing_back(store: TokenStore, shelf: MemoryShelf) -> None:
    text = new()
    made = await store.create(text, token(), NOW)
    await store.revoke(made, NOW)
    assert await store.touch(made, NOW + 100) == made
    assert shelf.left() == []


class Late(MemoryShelf):
    """Somebody revokes between the reading and the writing."""

    meanwhile: Any = None

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        if self.meanwhile:
            await self.meanwhile()
        return await super().swap(key, old, new, until)


async def test_a_use_meanwhile_brings_nothing_back_either(clock: FakeClock) -> None:
    shelf = Late(clock)
    store, text = store_on(shelf, NEW, OLD), new()
    made = await store.create(text, token(), NOW)

    async def revoke() -> None:
        await store.revoke(made, NOW)

    shelf.meanwhile = revoke
    await store.touch(made, NOW + 100)
    assert shelf.left() == []


async def test_the_oldest_comes_first_and_lost_names_go(
    store: TokenStore, shelf: MemoryShelf
) -> None:
    later = await store.create(new(), token(created_at=NOW + 5), NOW)
    first = await store.create(new(), token(name="first"), NOW)
    lost = await store.create(new(), token(name="lost"), NOW)
    await shelf.drop(f"token:{lost.id}")
    [names] = [key for key in shelf.left() if key.startswith("tokens:")]
    await shelf.add(names, "nonsense", 0, NOW + HOUR)
    assert await store.of_person(ISSUER, "704e", NOW) == [first, later]
    assert await shelf.members(names) == [first.id, later.id]


async def test_a_dump_opens_nothing_and_names_nobody(store: TokenStore, shelf: MemoryShelf) -> None:
    texts = [new(), new()]
    await store.create(texts[0], token(groups=("staff",), client="jean@tux"), NOW)
    await store.create(texts[1], service(), NOW)
    dump = shelf.dump()
    words = (*texts, *(text[5:48] for text in texts), *map(digest, texts))
    for word in (*words, "jean", "laptop", "704e", "staff", "idp.example", "ci@example", "/api/"):
        assert word.encode() not in dump
    # What a thief has of a token is the beginning of a digest: it is none.
    for key in shelf.left():
        assert await store.find(key.partition(":")[2], NOW) is None


async def test_who_writes_to_the_shelf_makes_no_token(
    store: TokenStore, shelf: MemoryShelf
) -> None:
    mine, theirs = new(), new()
    await store.create(mine, token(), NOW)
    [box] = await shelf.get(f"token:{public_id(mine)}")
    assert box is not None
    await shelf.put(f"token:{public_id(theirs)}", box, NOW + HOUR)
    assert await store.find(theirs, NOW) is None
    stranger = store_on(shelf, b"x" * 32)
    await stranger.create(theirs, token(), NOW)
    assert await store.find(theirs, NOW) is None


async def test_two_tokens_whose_digests_begin_alike_are_two(shelf: MemoryShelf) -> None:
    """By its id a token is found, by its whole digest it is known."""
    store, text = store_on(shelf), new()
    await store.create(text, token(), NOW)
    key = f"token:{public_id(text)}"
    document = _document(text) | {"digest": digest(new())}
    await shelf.put(key, Sealer((NEW,), "token").seal(pack(document), NOW).encode(), NOW + HOUR)
    assert await store.get(public_id(text), NOW) is not None
    assert await store.find(text, NOW) is None


async def test_secrets_rotate(shelf: MemoryShelf) -> None:
    before, during, after = (store_on(shelf, *keys) for keys in ((OLD,), (NEW, OLD), (NEW,)))
    used, unused = new(), new()
    made = await before.create(used, token(), NOW)
    other = await before.create(unused, token(created_at=NOW + 1), NOW)
    assert await during.of_person(ISSUER, "704e", NOW) == [made, other]
    touched = await during.touch(made, NOW + 100)
    assert await after.find(used, NOW) == touched
    assert await after.find(unused, NOW) is None
    # and what is good can be seen and revoked
    assert await after.of_person(ISSUER, "704e", NOW) == [touched]
    await during.revoke(touched, NOW)
    await during.revoke(other, NOW)
    assert shelf.left() == []


async def test_one_sealed_with_a_key_that_we_lack_is_somebodys_still(shelf: MemoryShelf) -> None:
    await store_on(shelf, NEW, OLD).create(new(), token(), NOW)
    [names] = [key for key in shelf.left() if key.startswith("tokens:")]
    lacking = TokenStore(shelf, Sealer((OLD,), "token"), Pseudonyms((NEW,)))
    assert await lacking.of_person(ISSUER, "704e", NOW) == []
    assert len(await shelf.members(names)) == 1


def _document(text: str) -> dict[str, Any]:
    return {
        "v": 1,
        "digest": digest(text),
        "id": public_id(text),
        "kind": "personal",
        "name": "n",
        "issuer": "i",
        "subject": "s",
        "client": "",
        "family": "",
        "created_at": NOW,
        "expires_at": NOW + HOUR,
        "used_at": 0,
        "groups": None,
        "scopes": [],
        "routes": [],
        "who": None,
    }


async def find_written(shelf: MemoryShelf, **changes: Any) -> Token | None:
    """The token that is found when a record says that."""
    text = new()
    document = {k: v for k, v in (_document(text) | changes).items() if v != "absent"}
    box = Sealer((NEW,), "token").seal(pack(document), NOW).encode()
    await shelf.put(f"token:{public_id(text)}", box, NOW + HOUR)
    return await store_on(shelf).find(text, NOW)


async def test_the_record_that_the_next_test_breaks_is_good(shelf: MemoryShelf) -> None:
    assert await find_written(shelf) is not None


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"v": 2}, id="a later version"),
        pytest.param({"kind": "admin"}, id="a kind that there is not"),
        pytest.param({"kind": "service"}, id="a service that is nobody"),
        pytest.param({"who": {}}, id="somebody without a name"),
        pytest.param({"who": "x"}, id="a text for somebody"),
        pytest.param({"id": "tok_" + "0" * 16}, id="another id"),
        pytest.param({"subject": 7}, id="a number for a text"),
        pytest.param({"groups": "abc"}, id="a text for groups"),
        pytest.param({"groups": [1]}, id="numbers for groups"),
        pytest.param({"routes": None}, id="no routes"),
        pytest.param({"scopes": "absent"}, id="no scopes"),
        pytest.param({"expires_at": "never"}, id="an end that is none"),
        pytest.param({"expires_at": True}, id="an end that is true"),
        pytest.param({"expires_at": NOW}, id="over"),
        pytest.param({"used_at": -1}, id="used before time began"),
    ],
)
async def test_what_cannot_be_read_is_no_token(shelf: MemoryShelf, changes: dict[str, Any]) -> None:
    assert await find_written(shelf, **changes) is None


@given(
    st.builds(
        Token,
        kind=st.sampled_from(("personal", "terminal", "refresh")),
        name=st.text(),
        issuer=st.text(),
        subject=st.text(),
        created_at=st.floats(0, 4e9),
        expires_at=st.floats(NOW + 1, 4e9),
        groups=st.none() | st.lists(st.text(), max_size=3).map(tuple),
        scopes=st.lists(st.text(), max_size=3).map(tuple),
        routes=st.lists(st.text(), max_size=3).map(tuple),
        client=st.text(),
        family=st.text(),
    )
    | IDENTITIES.map(lambda who: service(identity=who))
)
async def test_any_token_comes_back_whole(wanted: Token) -> None:
    store, text = store_on(MemoryShelf(FakeClock(NOW))), new()
    made = await store.create(text, wanted, NOW)
    found = await store.find(text, NOW)
    assert found is not None
    if found.identity is not None:
        found = replace(found, identity=replace(found.identity, claims=dict(found.identity.claims)))
    assert found == made == replace(wanted, id=public_id(text))


async def test_a_store_that_fails_says_so(store: TokenStore, shelf: MemoryShelf) -> None:
    text = new()
    made = await store.create(text, token(), NOW)
    shelf.down = True
    for failing in (
        store.find(text, NOW),
        store.get(made.id, NOW),
        store.of_person(ISSUER, "704e", NOW),
        store.revoke(made, NOW),
        store.touch(made, NOW + 100),
        store.create(new(), token(), NOW),
    ):
        with pytest.raises(StoreError):
            await failing
