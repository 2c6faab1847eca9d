"""auth-proxy tokens: machines get theirs once, on standard output and nowhere else."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.cli import main
from proxy.config.providers import installation
from proxy.config.types import decode_cookie_secret
from proxy.crypto.token import kind_of, make, public_id
from proxy.model import Identity
from proxy.session.endings import Ending
from proxy.session.keeping import Keeping, open_keeping
from proxy.session.tokens import Token
from tests.config.configurations import MINIMAL, SECRET, load_text
from tests.fakes.redis_servers import single
from tests.session.samples import HOUR, ISSUER
from tests.session.shelf_contract import listening, until

FILE = "session: {file: kept.db}\n"
CREATE = ("create", "--name", "ci", "--routes", "/api/*", "--expires", "90d")
DAY = 86_400


@pytest.fixture(params=["file", "redis"])
def more(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Where tokens are, as its configuration says."""
    if request.param == "redis":
        with single(folder) as server:
            yield f"redis: {{url: '{server.url}'}}\n"
    else:
        yield FILE


@asynccontextmanager
async def proxy(more: str, folder: Path) -> AsyncIterator[Keeping]:
    """What a running proxy has open, with the same configuration."""
    text = MINIMAL + more
    (folder / "proxy.cfg").write_text(text, encoding="utf-8")
    settings = load_text(text)
    secrets = [decode_cookie_secret(SECRET)]
    whose = installation(settings)
    keeping = open_keeping(settings, whose, secrets, time.time, os.urandom, lambda words: None)
    try:
        await keeping.shelf.ready()
        yield keeping
    finally:
        await keeping.shelf.close()


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, output and errors, as in a process of its own."""
    status = await asyncio.to_thread(main, ["tokens", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


async def test_one_is_made_and_the_proxy_knows_it(
    more: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(more, folder) as keeping:
        status, out, err = await run(
            capsys, *CREATE[:3], "--groups", "a, b", "--roles", "admin,user", "--email",
            "CI@Example.org", "--routes", "/api/*,/v1/*", "--expires", "90d",
        )  # fmt: skip
        now = time.time()
        secret = out.rstrip("\n")
        assert (status, kind_of(secret, "apx"), out) == (0, "s", f"{secret}\n")
        assert secret not in err
        found = await keeping.tokens.find(secret, now)
        assert found is not None
        assert err.startswith(f"{found.id}, good until 20")
        assert (found.kind, found.name, found.routes) == ("service", "ci", ("/api/*", "/v1/*"))
        assert found.groups is None
        assert abs(found.expires_at - now - 90 * DAY) < 60
        assert found.identity == Identity(
            issuer="urn:auth-proxy:service",
            subject="service:ci",
            user="service:ci",
            email="ci@example.org",
            email_verified=True,
            name="ci",
            groups=("a", "b"),
            role="admin",
            roles=("admin", "user"),
        )


async def test_nothing_more_than_was_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with proxy(FILE, folder) as keeping:
        _, out, _ = await run(capsys, *CREATE)
        found = await keeping.tokens.find(out.strip(), time.time())
        assert found is not None
        assert found.identity is not None
        who = found.identity
        assert (who.email, who.email_verified, who.groups, who.roles) == ("", None, (), ())


async def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with proxy(FILE, folder):
        status, out, err = await run(capsys, *CREATE, "--json")
        made = json.loads(out)
        assert (status, err) == (0, "")
        assert made["id"] == public_id(made["secret"])
        status, out, _ = await run(capsys, "list", "--json")
        del made["secret"]
        assert json.loads(out) == [made]
        assert made["last_used_at"] is None
        assert (made["sub"], made["routes"]) == ("service:ci", ["/api/*"])


async def test_a_table_of_all(more: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with proxy(more, folder) as keeping:
        assert await run(capsys, "list") == (0, "no service token\n", "")
        _, secret, _ = await run(capsys, *CREATE, "--groups", "a,b")
        await keeping.tokens.create(make("apx", "p", os.urandom), personal(), time.time())
        status, out, _ = await run(capsys, "list")
    heads, row = out.splitlines()
    assert status == 0
    assert " ".join(heads.split()) == "ID NAME GROUPS ROLES ROUTES MADE LAST USED EXPIRES"
    assert row.startswith(f"{public_id(secret.strip())}  ci    a,b     -      /api/*  20")
    assert secret.strip() not in out


def personal(**facts: Any) -> Token:
    now = time.time()
    known: dict[str, Any] = {"kind": "personal", "name": "n", "issuer": ISSUER, "subject": "7"}
    return Token(**(known | {"created_at": now, "expires_at": now + HOUR} | facts))


async def test_revoked_it_is_gone_and_a_running_proxy_hears_of_it(
    more: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(more, folder) as keeping, listening(keeping.shelf) as heard:
        _, secret, _ = await run(capsys, *CREATE)
        token_id = public_id(secret.strip())
        status, out, err = await run(capsys, "revoke", token_id)
        assert (status, out, err) == (0, f"{token_id} revoked\n", "")
        assert await keeping.tokens.find(secret.strip(), time.time()) is None

        def told() -> bool:
            endings = [Ending.read(message) for message in heard if message]
            return f"token:{token_id}" in {ending.key for ending in endings if ending}

        await until(told)
        status, out, err = await run(capsys, "revoke", token_id)
        assert (status, out) == (1, "")
        assert "there is no token with this id" in err


async def test_a_persons_can_be_revoked_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(FILE, folder) as keeping:
        text, now = make("apx", "p", os.urandom), time.time()
        made = await keeping.tokens.create(text, personal(), now)
        assert (await run(capsys, "revoke", made.id))[0] == 0
        assert await keeping.tokens.find(text, now) is None
        # Who gives the token itself is not repeated.
        status, out, err = await run(capsys, "revoke", text)
        assert status == 1
        assert text not in out + err


async def test_somebody_leaves_and_all_of_their_tokens_with_them(
    more: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(more, folder) as keeping:
        now = time.time()
        hers = [await keeping.tokens.create(f"apx_p{n}", personal(name=f"{n}"), now) for n in "ab"]
        other = await keeping.tokens.create("apx_pc", personal(subject="somebody else"), now)
        who = Identity(hers[0].issuer, hers[0].subject, hers[0].subject)
        await keeping.people.remember(who, now, now + 60)
        words = ("revoke", "--person", who.subject, "--issuer", who.issuer)
        assert await run(capsys, *words) == (0, "2 revoked\n", "")
        assert await keeping.tokens.of_person(who.issuer, who.subject, now) == []
        assert await keeping.people.known(who.issuer, who.subject, now) is None
        assert await keeping.tokens.get(other.id, now) == other
        assert (await run(capsys, *words))[0] == 1
        assert (await run(capsys, "revoke", "--person", who.subject))[0] == 2


async def test_a_dump_of_the_file_opens_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(FILE, folder):
        _, secret, _ = await run(capsys, *CREATE, "--email", "robot@example.org")
    dump = b"".join(path.read_bytes() for path in folder.glob("kept.db*"))
    for word in (secret.strip(), secret[5:48], "robot", "/api/", "service:ci"):
        assert word.encode() not in dump


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(("create",), "--name, --routes, --expires", id="nothing said"),
        pytest.param(CREATE[:5], "--expires", id="no end"),
        pytest.param((*CREATE[:3], *CREATE[5:]), "--routes", id="no routes"),
        pytest.param((*CREATE, "--name", "a b"), "1 to 60 of", id="a name with a space"),
        pytest.param((*CREATE, "--name", "é"), "1 to 60 of", id="a name for no header"),
        pytest.param((*CREATE, "--routes", "api"), "a path starts with", id="no path"),
        pytest.param((*CREATE, "--routes", "/a/*/b"), "at the end", id="a star inside"),
        pytest.param((*CREATE, "--routes", ""), "names, separated", id="empty routes"),
        pytest.param((*CREATE, "--routes", "/a,"), "names, separated", id="half of the routes"),
        pytest.param((*CREATE, "--groups", "a,,b"), "names, separated", id="an empty group"),
        pytest.param((*CREATE, "--expires", "never"), "not a duration", id="for ever"),
        pytest.param((*CREATE, "--expires", "1s"), "a minute at least", id="too short"),
        pytest.param((*CREATE, "--expires", "9999d"), "ten years", id="too long"),
        pytest.param((*CREATE, "--email", "a"), "no e-mail address", id="no address"),
    ],
)
async def test_mistakes(
    words: tuple[str, ...], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(FILE, folder) as keeping:
        status, out, err = await run(capsys, *words)
        assert (status, out) == (2, "")
        assert said in err
        assert await keeping.tokens.services(time.time()) == []


async def test_with_sessions_in_memory_there_are_none(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = await run(capsys, *CREATE)
    assert (status, out) == (2, "")
    assert "needs redis.url or session.file" in err


async def test_the_option_routes_of_the_configuration_is_not_meant(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with proxy(FILE, folder):
        status, out, _ = await run(capsys, *CREATE, "--tokens-prefix", "acme")
        assert (status, kind_of(out.strip(), "acme")) == (0, "s")
        status, out, _ = await run(capsys, "create", "--help")
        assert status == 0
        assert out.count("--routes ") == 2  # usage, and its own line
