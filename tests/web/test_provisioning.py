"""Provisioning: one call for a person, signed, tried again, and held to its answer."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.crypto.jwk import parse_jwks
from proxy.crypto.jwt import public_jwks, verify
from proxy.errors import AccessDenied, ConfigError, ProxyError, Reason, StoreError
from proxy.web.provisioning import idempotency_key, provisioning_urls
from proxy.web.runtime import compile_runtime
from tests.fakes.authority import Authority
from tests.session.samples import person
from tests.web.provisioning_stage import Said, Stage, settings


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with Stage() as stage:
        yield stage


async def test_the_upstream_is_told_who_it_is_in_our_name(stage: Stage) -> None:
    assert await stage.admit(groups=("staff", "beta"), first_name="Jean") == ""
    [(path, headers, body)] = stage.upstream.seen
    assert path == "/provision"
    assert body == {
        "iss": "https://idp.example.org",
        "sub": "704e",
        "user": "704e",
        "email": "jean@interieur.gouv.fr",
        "email_verified": True,
        "name": "Jean DUPONT",
        "first_name": "Jean",
        "last_name": "",
        "preferred_username": "",
        "groups": ["staff", "beta"],
        "role": "member",
        "provider": "main",
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Request-Id"] == "request-1"
    assert headers["Idempotency-Key"] == idempotency_key(person())
    assert "Cookie" not in headers
    token = headers["Authorization"].removeprefix("Bearer ")
    keys = parse_jwks(public_jwks(stage.runtime.signers))
    claims = verify(token, keys, ["RS256", "ES256"]).claims
    assert (claims["sub"], claims["idp_iss"], claims["aud"]) == ("704e", body["iss"], "api")
    assert claims["exp"] == int(stage.clock()) + 60
    assert token not in stage.written()
    [line] = stage.audited("provisioned")
    assert (line["sub"], line["request_id"], line["tries"]) == ("704e", "request-1", 1)


def test_the_key_of_a_person_is_that_of_nobody_else() -> None:
    jean = idempotency_key(person())
    assert idempotency_key(person(email="other@example.org", groups=())) == jean
    assert idempotency_key(person(subject="704f")) != jean
    assert idempotency_key(person(issuer="https://idp.example.org704", subject="e")) != jean


# What an answer means


@pytest.mark.parametrize(
    ("said", "user"),
    [
        pytest.param(Said(204), "", id="204"),
        pytest.param(Said(200), "", id="200 without a body"),
        pytest.param(Said(201, b'{"id": 5}'), "", id="201 with other things"),
        pytest.param(Said(200, b'{"sub": "42"}'), "42", id="an id"),
        pytest.param(Said(409, b'{"sub": "42"}'), "42", id="already there, with its id"),
        pytest.param(Said(409, b"{}"), "", id="already there"),
        pytest.param(Said(200, b'{"sub": null}'), "", id="no id"),
        pytest.param(Said(200, b"created", "text/plain"), "", id="a text"),
        pytest.param(
            Said(200, b'{"sub": "42"}', "application/hal+json"), "42", id="another kind of JSON"
        ),
    ],
)
async def test_good_answers(stage: Stage, said: Said, user: str) -> None:
    stage.upstream.script = [said]
    assert await stage.admit() == user
    assert await stage.admit() == user
    assert stage.calls == 1


BAD = [
    pytest.param(Said(200, b'{"sub": 42}'), "sub", id="an id that is a number"),
    pytest.param(Said(200, b'{"sub": ""}'), "sub", id="an empty id"),
    pytest.param(Said(200, b'{"sub": " 42"}'), "sub", id="an id with a space"),
    pytest.param(Said(200, b'{"sub": "a\\nb"}'), "sub", id="an id of two lines"),
    pytest.param(Said(200, b'{"sub": "1", "sub": "2"}'), "twice", id="two ids"),
    pytest.param(Said(200, b"[]"), "array", id="a list"),
    pytest.param(Said(200, b"{"), "not JSON", id="half an answer"),
    pytest.param(Said(200, b" " * 65537), "more than 65536", id="a large answer"),
    pytest.param(Said(401), "answered 401", id="401"),
    pytest.param(Said(404), "answered 404", id="404"),
    pytest.param(Said(422), "answered 422", id="422"),
    pytest.param(Said(202), "answered 202", id="not done yet"),
    pytest.param(Said(307, headers={"Location": "/else"}), "answered 307", id="a redirect"),
]


@pytest.mark.parametrize(("said", "words"), BAD)
async def test_mistakes_refuse_at_once(stage: Stage, said: Said, words: str) -> None:
    stage.upstream.script = [said]
    with pytest.raises(ProxyError) as failed:
        await stage.admit()
    assert (failed.value.reason, failed.value.status) == (Reason.PROVISIONING_FAILED, 502)
    assert words in failed.value.detail
    assert (stage.calls, stage.pauses) == (1, [])
    [line] = stage.audited("provisioning_failed")
    assert (line["reason"], line["goes_on"], line["tries"]) == ("provisioning_failed", False, 1)
    assert words in line["detail"]
    assert await stage.admit() == "", "nothing was remembered"


async def test_mistakes_are_passed_over_where_that_is_allowed() -> None:
    async with Stage(failure="allow") as stage:
        stage.upstream.script = [Said(401)]
        assert await stage.admit() == ""
        [line] = stage.audited("provisioning_failed")
        assert line["goes_on"] is True
        stage.upstream.script = [Said(200, b'{"sub": "42"}')]
        assert await stage.admit() == "42", "it is tried again at the next sign-in"


@pytest.mark.parametrize("failure", ["refuse", "allow"])
@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param(Said(403), "", id="without words"),
        pytest.param(
            Said(403, b'{"message": "No seat\\n<b>left</b>."}'), "No seat <b>left</b>.", id="words"
        ),
        pytest.param(Said(403, b'{"message": 7}'), "", id="no text"),
        pytest.param(Said(403, b"<html>"), "", id="a page"),
        pytest.param(
            Said(403, json.dumps({"message": "x" * 999}).encode()), "x" * 300, id="a long text"
        ),
    ],
)
async def test_the_upstream_may_say_no(failure: str, said: Said, message: str) -> None:
    async with Stage(failure=failure) as stage:
        stage.upstream.script = [said, said]
        for _ in range(2):
            with pytest.raises(AccessDenied) as denied:
                await stage.admit()
        assert (denied.value.reason, denied.value.status) == (Reason.DENIED_BY_UPSTREAM, 403)
        assert denied.value.message == message
        assert stage.calls == 2
        assert [line["reason"] for line in stage.audited("provisioning_failed")] == [
            "denied_by_upstream"
        ] * 2


# Trying again


PASSING = [
    pytest.param(Said(500), id="500"),
    pytest.param(Said(503), id="503"),
    pytest.param(Said(429), id="429"),
]


@pytest.mark.parametrize("said", PASSING)
async def test_what_may_pass_is_tried_again(stage: Stage, said: Said) -> None:
    stage.upstream.script = [said, said, Said(200, b'{"sub": "42"}')]
    assert await stage.admit() == "42"
    assert stage.pauses == [0.2, 0.4]
    first, *others = [headers for _, headers, _ in stage.upstream.seen]
    assert {headers["Idempotency-Key"] for headers in others} == {first["Idempotency-Key"]}
    [line] = stage.audited("provisioned")
    assert (line["tries"], line["user"]) == (3, "42")


@pytest.mark.parametrize("said", PASSING)
async def test_but_not_for_ever(stage: Stage, said: Said) -> None:
    stage.upstream.script = [said] * 4
    with pytest.raises(ProxyError, match=f"answered {said.status}"):
        await stage.admit()
    assert stage.calls == 3


@pytest.mark.parametrize(
    ("asked", "pause"),
    [
        pytest.param("1", 1.0, id="longer than ours"),
        pytest.param("0", 0.2, id="shorter"),
        pytest.param("3600", 2.0, id="too long for whoever waits"),
        pytest.param("9" * 400, 2.0, id="absurd"),
        pytest.param("Fri, 31 Dec 2027 23:59:59 GMT", 0.2, id="a date"),
        pytest.param("-1", 0.2, id="no number"),
    ],
)
async def test_a_pause_is_as_long_as_asked_for_within_reason(
    stage: Stage, asked: str, pause: float
) -> None:
    stage.upstream.script = [Said(503, headers={"Retry-After": asked})]
    assert await stage.admit() == ""
    assert stage.pauses == [pause]


async def test_pauses_grow_no_longer_than_two_seconds() -> None:
    async with Stage(retries=5) as stage:
        stage.upstream.script = [Said(500)] * 6
        with pytest.raises(ProxyError):
            await stage.admit()
        assert stage.pauses == [0.2, 0.4, 0.8, 1.6, 2.0]


async def test_silence_is_tried_again() -> None:
    async with Stage(timeout=0.05, retries=1) as stage:
        stage.upstream.script = [Said(wait=asyncio.Event())]
        assert await stage.admit() == ""
        assert stage.calls == 2


async def test_nobody_listens(free_ports: list[int]) -> None:
    async with Stage(url=f"http://127.0.0.1:{free_ports[0]}/p", retries=1) as stage:
        with pytest.raises(ProxyError) as failed:
            await stage.admit()
        assert failed.value.reason is Reason.PROVISIONING_FAILED
        assert "Connect" in failed.value.detail
        assert len(stage.pauses) == 1


# Once


async def test_a_person_is_provisioned_once_for_all_replicas(stage: Stage) -> None:
    stage.upstream.script = [Said(200, b'{"sub": "42"}')]
    assert await stage.admit() == "42"
    other = stage.another()
    assert await other.admit(stage.session(), stage.clock()) == "42"
    assert stage.calls == 1
    stage.clock.advance(30 * 86400)
    assert await stage.admit() == ""
    assert stage.calls == 2


async def test_two_sign_ins_at_once_provision_once(stage: Stage) -> None:
    go_on = asyncio.Event()
    stage.upstream.script = [Said(200, b'{"sub": "42"}', wait=go_on)]
    both = [asyncio.ensure_future(stage.admit()) for _ in range(2)]
    other = stage.another()
    both.append(asyncio.ensure_future(other.admit(stage.session(), stage.clock())))
    await asyncio.wait_for(stage.upstream.arrived.wait(), 5)
    go_on.set()
    assert await asyncio.gather(*both) == ["42"] * 3
    assert stage.calls == 1


async def test_each_sign_in_where_that_is_wanted() -> None:
    async with Stage(when="always") as stage:
        stage.upstream.script = [Said(200, b'{"sub": "1"}'), Said(200, b'{"sub": "2"}')]
        assert [await stage.admit(), await stage.admit(groups=())] == ["1", "2"]
        assert [body["groups"] for _, _, body in stage.upstream.seen] == [["staff", "beta"], []]
        assert stage.shelf.left() == []


async def test_a_shelf_that_is_away_lets_nobody_in(stage: Stage) -> None:
    stage.shelf.down = True
    with pytest.raises(StoreError):
        await stage.admit()
    assert stage.calls == 0


async def test_a_session_without_a_second_left_is_signed_for_nobody(stage: Stage) -> None:
    session = stage.session()
    session = replace(session, expires_at=stage.clock())
    with pytest.raises(ProxyError) as failed:
        await stage.provisioner.admit(session, stage.clock())
    assert failed.value.reason is Reason.NO_SESSION
    assert stage.calls == 0


# Where to


@pytest.mark.parametrize(
    ("url", "upstream", "expected"),
    [
        pytest.param("https://hr.example/p", "unix:/run/app.sock", ("https://hr.example/p",),
                     id="a whole URL"),
        pytest.param("/p", "http://app:8000", ("http://app:8000/p",), id="a path"),
        pytest.param("/p", "http://app:8000/base/", ("http://app:8000/base/p",), id="below a base"),
        pytest.param("/p", ["http://a:1", "http://b:2"], ("http://a:1/p", "http://b:2/p"),
                     id="several addresses"),
        pytest.param("", "http://app:8000", (), id="nowhere"),
    ],
)  # fmt: skip
def test_where_the_call_goes(url: str, upstream: Any, expected: tuple[str, ...]) -> None:
    assert provisioning_urls(settings({"url": url}, upstream)) == expected


@pytest.mark.parametrize(
    ("upstream", "words"),
    [
        pytest.param("unix:/run/app.sock", "on a unix socket", id="a unix socket"),
        pytest.param([], "not set", id="no upstream"),
    ],
)
def test_a_path_needs_an_upstream_that_calls_reach(upstream: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=f"provisioning.url: needs a whole URL: .*{words}"):
        provisioning_urls(settings({"url": "/p"}, upstream))


async def test_a_path_of_the_upstream_is_called_there(stage: Stage) -> None:
    given = settings({"url": "/provision"}, f"http://127.0.0.1:{stage.port}/base")
    provisioner = stage.another(compile_runtime(given, os.urandom))
    assert await provisioner.admit(stage.session(), stage.clock()) == ""
    assert [path for path, _, _ in stage.upstream.seen] == ["/base/provision"]


async def test_the_next_try_goes_to_the_next_address(stage: Stage, free_ports: list[int]) -> None:
    dead = f"http://127.0.0.1:{free_ports[0]}/base"
    given = settings({"url": "/provision"}, [dead, f"http://127.0.0.1:{stage.port}/base"])
    provisioner = stage.another(compile_runtime(given, os.urandom))
    assert await provisioner.admit(stage.session(), stage.clock()) == ""
    assert (stage.calls, stage.pauses) == (1, [0.2])


@pytest.mark.parametrize(
    ("verify", "whole", "trusted", "reached"),
    [
        pytest.param(True, True, True, True, id="trusted"),
        pytest.param(True, True, False, False, id="not trusted"),
        pytest.param(False, True, False, False, id="a whole URL is always verified"),
        pytest.param(False, False, False, True, id="an upstream as the settings say"),
    ],
)
async def test_tls(tmp_path: Path, verify: bool, whole: bool, trusted: bool, reached: bool) -> None:
    authority = Authority(tmp_path)
    context = authority.server("localhost")
    async with Stage(retries=0) as stage, AsyncExitStack() as stack:
        secure = f"https://localhost:{await stage.upstream.start(stack, ssl_context=context)}"
        given = settings({"url": f"{secure}/p" if whole else "/p", "retries": 0}, secure)
        forwarding = given.forwarding.model_copy(
            update={"verify": verify, "ca_file": str(authority.file) if trusted else ""}
        )
        given = given.model_copy(update={"forwarding": forwarding})
        provisioner = stage.another(compile_runtime(given, os.urandom))
        if reached:
            assert await provisioner.admit(stage.session(), stage.clock()) == ""
        else:
            with pytest.raises(ProxyError, match="Certificate"):
                await provisioner.admit(stage.session(), stage.clock())
        assert stage.calls == int(reached)
