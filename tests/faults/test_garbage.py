"""F6: something else lies where our records were. It is nothing, and nobody stumbles over it."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.session import codec
from tests.fakes.redis_servers import Server, single
from tests.faults.scene import Person, RealPlace, people, record_of, settings, sign_out_and_keep
from tests.web.place import Place

NOW = {"cache": 0, "refresh_every": "1h"}
WARNING = "a session record cannot be read, and counts as no session"
MARK = "MARK-OF-GARBAGE"


@dataclass
class Scene:
    place: Place
    server: Server
    alice: Person
    bob: Person

    @property
    def key(self) -> str:
        return record_of(self.place, self.alice.browser)

    def put(self, key: str, value: bytes | str) -> None:
        """Under the key with the life that it had, by no code of ours."""
        told = self.server.ask("SET", key, value, "KEEPTTL")  # type: ignore[arg-type]
        assert "OK" in told

    def of(self, pattern: str) -> list[str]:
        return self.server.ask("--scan", "--pattern", f"auth-proxy:{pattern}").split()

    def ticket(self) -> Any:
        store: Any = self.place.app.parts.keeping.store
        return store._tickets.read(str(self.alice.browser.session))

    async def sealed(self, change: Callable[[dict[str, Any]], object]) -> bytes:
        """Alice's own record, sealed as it should be, with other contents."""
        kept = await self.place.app.parts.keeping.store.load(
            str(self.alice.browser.session), self.place.clock()
        )
        assert kept is not None
        document = json.loads(zlib.decompress(codec.dump(kept.session)))
        change(document)
        box = self.ticket().seal(b"s" + zlib.compress(json.dumps(document).encode()))
        assert isinstance(box, bytes)
        return box

    def raw(self, person: Person) -> bytes:
        """A record as it lies there."""
        key = record_of(self.place, person.browser)
        shown = self.server.ask("EVAL", _HEX, 1, key).strip()
        return bytes.fromhex(shown)

    def put_raw(self, key: str, value: bytes) -> None:
        self.server.ask("EVAL", _PUT_HEX, 1, key, value.hex())


_HEX = (
    "return (redis.call('GET', KEYS[1]):gsub('.', "
    "function(c) return string.format('%02x', string.byte(c)) end))"
)
_PUT_HEX = (
    "local v = ARGV[1]:gsub('..', function(h) return string.char(tonumber(h, 16)) end) "
    "return redis.call('SET', KEYS[1], v, 'KEEPTTL')"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with single(tmp_path) as server:
        yield server


@pytest.fixture
async def scene(server: Server) -> AsyncIterator[Scene]:
    async with RealPlace(**settings("redis", server.url, session=NOW)) as place:
        alice, bob = await people(place, 2)
        yield Scene(place, server, alice, bob)


Spoil = Callable[[Scene], Any]


async def _random(scene: Scene) -> None:
    scene.put(scene.key, MARK)


async def _empty(scene: Scene) -> None:
    scene.put(scene.key, "")


async def _huge(scene: Scene) -> None:
    scene.server.ask("EVAL", _HUGE, 1, scene.key, MARK)


_HUGE = "return redis.call('SET', KEYS[1], string.rep(ARGV[1], 500000), 'KEEPTTL')"


async def _bit(scene: Scene) -> None:
    raw = scene.raw(scene.alice)
    scene.put_raw(scene.key, raw[:-3] + bytes([raw[-3] ^ 1]) + raw[-2:])


async def _cut(scene: Scene) -> None:
    scene.put_raw(scene.key, scene.raw(scene.alice)[:20])


async def _anothers(scene: Scene) -> None:
    scene.put_raw(scene.key, scene.raw(scene.bob))


async def _older(scene: Scene) -> None:
    scene.put_raw(scene.key, await scene.sealed(lambda document: document.update(v=0)))


async def _newer(scene: Scene) -> None:
    scene.put_raw(scene.key, await scene.sealed(lambda document: document.update(v=99)))


async def _without_a_name(scene: Scene) -> None:
    scene.put_raw(scene.key, await scene.sealed(lambda document: document["who"].pop("sub")))


async def _of_another_kind(scene: Scene) -> None:
    scene.put_raw(scene.key, scene.ticket().seal(b"z" + MARK.encode()))


async def _leads_to_itself(scene: Scene) -> None:
    scene.put_raw(scene.key, scene.ticket().seal(b"p" + scene.ticket().text.encode()))


async def _leads_nowhere(scene: Scene) -> None:
    scene.put_raw(scene.key, scene.ticket().seal(b"p" + MARK.encode()))


def _type(*command: str) -> Spoil:
    async def spoil(scene: Scene) -> None:
        scene.server.ask("DEL", scene.key)
        scene.server.ask(command[0], scene.key, *command[1:])

    return spoil


TOLD: dict[str, Spoil] = {
    "random bytes": _random,
    "nothing": _empty,
    "7 MB": _huge,
    "one bit": _bit,
    "cut off": _cut,
    "another's record": _anothers,
    "an older version": _older,
    "a newer version": _newer,
    "a session of nobody": _without_a_name,
    "a kind that we do not know": _of_another_kind,
    "a pointer to nothing": _leads_nowhere,
    "a pointer to itself": _leads_to_itself,
}
SILENT: dict[str, Spoil] = {
    "a hash": _type("HSET", "field", MARK),
    "a list": _type("RPUSH", MARK),
    "a set": _type("SADD", MARK),
    "a sorted set": _type("ZADD", "1", MARK),
    "a stream": _type("XADD", "*", "field", MARK),
}


@pytest.mark.parametrize("name", [*TOLD, *SILENT])
async def test_what_is_no_record_is_no_session(scene: Scene, name: str) -> None:
    await (TOLD | SILENT)[name](scene)
    assert (await scene.alice.ask()).status == 401
    assert scene.place.logged().count(WARNING) == (name in TOLD)
    page = await scene.alice.browser.get("/")
    assert (page.status, page.location[:4]) == (302, "http")
    assert (await scene.alice.ask("/oauth2/auth")).status == 401
    assert (await scene.bob.ask()).is_own
    assert (await scene.alice.browser.post("/oauth2/sign_out")).status == 303
    assert (await scene.alice.sign_in()).status == 303
    assert (await scene.alice.ask()).is_own
    logged = scene.place.logged()
    assert MARK not in logged
    assert "Traceback" not in logged
    assert "exception" not in logged


@pytest.mark.parametrize("kind", ["string", "hash"])
async def test_what_is_no_card(scene: Scene, kind: str) -> None:
    """The session lives on, is listed no more, and its end leaves nothing that can be used."""
    for pattern in ("card:*", "person:*", "provider:*"):
        for key in scene.of(pattern):
            scene.server.ask("DEL", key)
            spoil = ("SET", key, MARK) if kind == "string" else ("HSET", key, "field", MARK)
            scene.server.ask(*spoil)
    assert (await scene.alice.ask()).is_own
    assert (await scene.alice.browser.get("/oauth2/sessions")).status == 200
    kept = dict(scene.alice.browser.cookies)
    assert (await scene.alice.browser.post("/oauth2/sign_out")).status == 303
    scene.alice.browser.cookies = kept
    assert (await scene.alice.ask()).status == 401
    assert (await scene.alice.sign_in()).status == 303
    page = await scene.alice.browser.get("/oauth2/sessions")
    assert page.status == 200
    assert (await scene.alice.ask()).is_own
    assert MARK not in scene.place.logged()


@pytest.mark.parametrize("spoilt", [MARK, "", '{"v":99,"ended":[]}', "{}"])
async def test_what_is_no_ending(server: Server, spoilt: str) -> None:
    """Whether it then is over or not, nobody else's is; and it can be ended again."""
    async with RealPlace(**settings("cookie", server.url, session=NOW)) as place:
        alice, bob = await people(place, 2)
        await sign_out_and_keep(alice)
        await place.start_proxy()  # one that remembers nothing of it
        [key] = server.ask("--scan", "--pattern", "auth-proxy:ended:*").split()
        assert (await alice.ask()).status == 401
        assert "OK" in server.ask("SET", key, spoilt, "KEEPTTL")
        assert (await alice.ask()).status in (200, 401)
        await sign_out_and_keep(alice)
        for app in place.apps:
            assert (await alice.ask(port=app.port)).status == 401
            assert (await bob.ask(port=app.port)).is_own
        assert "Traceback" not in place.logged()


async def test_noise_among_the_news(scene: Scene) -> None:
    for word in (MARK, "", '{"v":1,"ended":[["session"]]}', '{"v":1,"ended":7}', "[" * 5000):
        scene.server.ask("PUBLISH", "auth-proxy:news", word)
    assert (await scene.alice.ask()).is_own
    assert (await scene.bob.ask()).is_own
    assert "Traceback" not in scene.place.logged()
