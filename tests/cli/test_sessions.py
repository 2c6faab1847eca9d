"""auth-proxy sessions: what it shows, what it ends, and that running proxies hear of it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.config.providers import installation
from proxy.config.types import decode_cookie_secret
from proxy.session.cards import session_tag
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.store import Kept
from tests.config.configurations import MINIMAL, SECRET, load_text
from tests.fakes.redis_servers import single
from tests.session.samples import HOUR, person, session
from tests.session.shelf_contract import listening, until

IDP = "https://idp.example.org/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@dataclass
class Place:
    """Where sessions are, and how its configuration goes on."""

    more: str


@pytest.fixture(params=["file", "tickets in a file", "redis"])
def place(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    if request.param == "redis":
        with single(folder) as server:
            yield Place(f"session: {{store: redis}}\nredis: {{url: '{server.url}'}}\n")
    else:
        store = "file" if "tickets" in request.param else "cookie"
        yield Place(f"session: {{store: {store}, file: kept.db}}\n")


@asynccontextmanager
async def proxy(place: Place, folder: Path) -> AsyncIterator[Keeping]:
    """What a running proxy has open, with the same configuration."""
    text = MINIMAL + place.more
    (folder / "proxy.cfg").write_text(text, encoding="utf-8")
    settings = load_text(text)
    keeping = open_keeping(
        settings,
        installation(settings),
        [decode_cookie_secret(SECRET)],
        time.time,
        os.urandom,
        lambda words: None,
    )
    try:
        await keeping.shelf.ready()
        yield keeping
    finally:
        await keeping.shelf.close()


async def sign_in(keeping: Keeping, name: str, age: float = 60, **who: Any) -> Kept:
    now = time.time()
    begun = session(
        id=name * 43,
        identity=person(issuer=IDP, **who),
        created_at=now - age,
        seen_at=now - age,
        expires_at=now + HOUR,
    )
    kept = await keeping.store.save(begun, now)
    assert await keeping.register.begin(begun, kept.value, FIREFOX, "192.0.2.7", now)
    return kept


async def living(keeping: Keeping, *kept: Kept) -> str:
    async def lives(one: Kept) -> bool:
        now = time.time()
        found = await keeping.store.load(one.value, now)
        return found is not None and not await keeping.endings.is_over(found.session, now)

    return "".join([one.session.id[0] for one in kept if await lives(one)])


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, output and errors, as in a process of its own."""
    status = await asyncio.to_thread(main, ["sessions", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


def sid(name: str) -> str:
    return session_tag(name * 43)


async def test_a_table_of_all(
    place: Place, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(place, folder) as keeping:
        await sign_in(keeping, "b", email="b@example.org")
        await sign_in(keeping, "a", age=600, email="", user="jean", subject="9")
        status, out, err = await run(capsys, "list")
    heads, first, second = out.splitlines()
    assert (status, err) == (0, "")
    assert " ".join(heads.split()) == "SID PERSON STARTED LAST USED EXPIRES BROWSER ADDRESS"
    assert first.startswith(f"{sid('a')}  jean           20")
    assert second.startswith(f"{sid('b')}  b@example.org  20")
    assert first.endswith("Z  Firefox on Linux  192.0.2.7")
    assert heads.index("BROWSER") == first.index("Firefox")


async def test_json_says_all_but_what_is_secret(
    place: Place, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(place, folder) as keeping:
        kept = await sign_in(keeping, "a")
        status, out, _ = await run(capsys, "list", "--json")
        [listed] = json.loads(out)
        assert status == 0
        status, shown, _ = await run(capsys, "show", sid("a"), "--json")
        assert json.loads(shown) == listed
        assert (listed["sid"], listed["iss"], listed["sub"]) == (sid("a"), IDP, "704e")
        assert (listed["browser"], listed["address"]) == (FIREFOX, "192.0.2.7")
        status, text, _ = await run(capsys, "show", sid("a"))
        assert "sub           704e\n" in text
        assert "browser       Mozilla/5.0" in text
        handle = keeping.store.handle(kept.value)
        for word in ("a" * 43, kept.value, handle or "a" * 43, "the id token", SECRET):
            assert word not in out + shown + text


@pytest.mark.parametrize(
    ("words", "names"),
    [
        pytest.param([], "abc", id="all"),
        pytest.param(["--person", "704e"], "ab", id="a subject"),
        pytest.param(["--person", "704e", "--issuer", IDP], "ab", id="a subject of an issuer"),
        pytest.param(["--person", "704e", "--issuer", "https://b.example"], "", id="elsewhere"),
        pytest.param(["--email", "Jean@Interieur.gouv.fr"], "ab", id="an address, any case"),
        pytest.param(["--email", "interieur.gouv.fr"], "", id="a part of an address"),
        pytest.param(["--person", "nobody"], "", id="nobody"),
    ],
)
async def test_whose_are_listed(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], names: str
) -> None:
    async with proxy(Place("session: {file: kept.db}\n"), folder) as keeping:
        await sign_in(keeping, "a", age=3)
        await sign_in(keeping, "b", age=2)
        await sign_in(keeping, "c", age=1, subject="9", email="9@example.org")
        status, out, _ = await run(capsys, "list", "--json", *words)
        assert status == 0
        assert [each["sid"] for each in json.loads(out)] == [sid(name) for name in names]
        status, out, _ = await run(capsys, "list", *words)
        assert status == 0
        assert (out == "no session\n") is (not names)


@pytest.mark.parametrize(
    ("words", "count", "left"),
    [
        pytest.param([sid("a")], "1 session", "bcd", id="one session"),
        pytest.param(["--person", "704e"], "2 sessions", "cd", id="a subject"),
        pytest.param(["--person", "704e", "--issuer", IDP], "2 sessions", "cd", id="and issuer"),
        pytest.param(["--person", "704e", "--issuer", "https://b.example"], "0 sessions", "abcd"),
        pytest.param(["--person", "nobody"], "0 sessions", "abcd", id="nobody"),
        pytest.param(["--email", "NINE@example.org"], "2 sessions", "ab", id="a person's address"),
        pytest.param(["--email", "none@example.org"], "0 sessions", "abcd", id="nobody's address"),
        pytest.param(["--all"], "4 sessions", "", id="everybody"),
    ],
)
async def test_what_is_ended(
    place: Place,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    count: str,
    left: str,
) -> None:
    async with proxy(place, folder) as keeping, listening(keeping.shelf) as heard:
        kept = [
            await sign_in(keeping, "a"),
            await sign_in(keeping, "b"),
            await sign_in(keeping, "c", subject="9", email="nine@example.org"),
            # The same person, who had another address then.
            await sign_in(keeping, "d", subject="9", email="9@example.org"),
        ]
        status, out, err = await run(capsys, "end", *words)
        assert (status, out, err) == (0, f"{count} ended\n", "")
        assert await living(keeping, *kept) == left
        shown = json.loads((await run(capsys, "list", "--json"))[1])
        assert {each["sid"] for each in shown} == {sid(name) for name in left}
        if left != "abcd":
            await until(lambda: bool(heard), 1.0)


async def test_a_person_ends_with_what_nobody_has_written_down(
    place: Place, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(place, folder) as keeping:
        kept = await sign_in(keeping, "a")
        async for key in keeping.shelf.keys("card:"):
            await keeping.shelf.drop(key)
        status, out, _ = await run(capsys, "end", "--person", "704e")
        assert (status, out) == (0, "0 sessions ended\n")
        assert await living(keeping, kept) == ""


@pytest.mark.parametrize("words", [["show"], ["end"]])
@pytest.mark.parametrize("name", ["0" * 32, "none", "\x1b[2J"])
async def test_no_such_session(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], name: str
) -> None:
    async with proxy(Place("session: {file: kept.db}\n"), folder) as keeping:
        kept = await sign_in(keeping, "a")
        status, out, err = await run(capsys, *words, name)
        assert (status, out) == (1, "")
        assert err.endswith(": there is no such session\n")
        assert "\x1b" not in err
        assert await living(keeping, kept) == "a"


async def test_what_a_provider_says_does_not_move_the_cursor(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(Place("session: {file: kept.db}\n"), folder) as keeping:
        await sign_in(keeping, "a", email="", user="\x1b[2Jroot\r\n\u202e")
        for words in (["list"], ["show", sid("a")], ["list", "--json"]):
            status, out, _ = await run(capsys, *words)
            assert status == 0
            assert all(char.isprintable() or char == "\n" for char in out)


async def test_nobody_is_signed_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with proxy(Place("session: {file: kept.db}\n"), folder):
        assert await run(capsys, "list") == (0, "nobody is signed in\n", "")
        assert await run(capsys, "list", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize("words", [["list"], ["show", "x"], ["end", "--all"]])
def test_sessions_in_the_memory_of_the_proxy_are_out_of_reach(
    config: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sessions", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for word in ("server.admin_token", "server.private_listen", "redis.url", "session.file"):
        assert word in said.err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param([], "ACTION", id="nothing to do"),
        pytest.param(["end"], "required", id="nobody is named"),
        pytest.param(["show"], "SID", id="nothing to show"),
        pytest.param(["end", "x", "--all"], "not allowed with", id="one and all"),
        pytest.param(["end", "--all", "--email", "e"], "not allowed with", id="one of two ways"),
        pytest.param(["list", "--person", "a", "--email", "e"], "not allowed with", id="two names"),
        pytest.param(["end", "--person", ""], "nobody's", id="an empty subject"),
        pytest.param(["end", "--email", ""], "nobody's", id="an empty address"),
        pytest.param(["end", ""], "nobody's", id="an empty sid"),
        pytest.param(["end", "--all", "--issuer", "x"], "goes with --person", id="only an issuer"),
        pytest.param(["list", "--issuer", "x"], "goes with --person", id="an issuer in a list"),
        pytest.param(["list", "--jsno"], "unrecognized arguments", id="misspelt"),
    ],
)
def test_mistakes_end_nothing(
    folder: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = MINIMAL + "session: {file: kept.db}\n"
    (folder / "proxy.cfg").write_text(text, encoding="utf-8")
    assert main(["sessions", *words]) == 2
    assert problem in capsys.readouterr().err
    assert not (folder / "kept.db").exists()


def test_a_configuration_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sessions", "list"]) == 2
    assert "the configuration has" in capsys.readouterr().err


def test_a_file_is_not_made_for_the_proxy(
    folder: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would belong to whoever ran the command, and the proxy could not write in it."""
    assert main(["sessions", "list", "--session-file", "kept.db"]) == 1
    assert "kept.db: does not exist" in capsys.readouterr().err
    assert not (folder / "kept.db").exists()


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--session-file", "proxy.cfg"], id="a file that is something else"),
        pytest.param(["--redis-url", "redis://127.0.0.1:1"], id="a server that is not there"),
    ],
)
@pytest.mark.parametrize("words", [["list"], ["end", "--all"]])
def test_what_cannot_be_reached_is_said(
    config: Path, words: list[str], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sessions", *words, *flags]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "auth-proxy sessions: sessions cannot be reached: " in said.err


def test_without_authentication_there_are_none(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--auth-disabled", "--session-file", "kept.db"]
    text = "public_url: https://app.example.org\nupstream: http://app:8501\n"
    (folder / "proxy.cfg").write_text(text, encoding="utf-8")
    assert main(["sessions", "list", *flags]) == 2
    assert "there are no sessions" in capsys.readouterr().err
