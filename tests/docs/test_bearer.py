"""docs/bearer.md: each token of its table is judged by the example above it."""

from __future__ import annotations

import re

import pytest
import yaml

from proxy.config.paths import RESOURCE
from proxy.errors import BearerRefused
from proxy.web.challenge import bearer_challenge
from proxy.web.issuers import Issuers
from tests.crypto.forge import token
from tests.docs.pages import ROOT, blocks
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import FakeIssuer
from tests.web.trusting import PUBLIC, trusting

PAGE = ROOT / "docs" / "bearer.md"
ROWS = re.findall(r"^\| `(\{.*\})` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize(("said", "answer"), ROWS)
async def test_each_token_is_judged_as_the_page_says(said: str, answer: str) -> None:
    clock = FakeClock()
    ((_, example),) = blocks(PAGE, "yaml")
    async with FakeIssuer(clock) as ci:
        written = yaml.safe_load(example.replace("https://ci.example.org", ci.url))
        claims = ci.claims(**{"aud": None, "scope": None, **yaml.safe_load(said)})
        text = token(claims, ci.keys[0], "RS256")  # with a typ that says little: JWT
        async with trusting(clock, bearer=written["bearer"]) as issuers:
            assert await judged(issuers, text, clock()) == answer.strip("`")


async def judged(issuers: Issuers, text: str, now: float) -> str:
    try:
        found = await issuers.identity(text, now)
    except BearerRefused as exc:
        return exc.error
    assert found.identity.user == "shop"
    return "accepted"


def test_there_is_a_table() -> None:
    assert len(ROWS) == 10


def test_the_challenge_is_that_of_the_page() -> None:
    ((_, shown),) = blocks(PAGE, "")
    where = PUBLIC + RESOURCE
    assert shown == bearer_challenge("invalid_token", "", where) + "\n"
