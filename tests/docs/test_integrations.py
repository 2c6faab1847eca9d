"""The sign-in handler of docs/integrations.md, run with the identity that it asks for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType

import pytest

from tests.docs.pages import ROOT, blocks


@dataclass(frozen=True)
class OpenID:
    """As fastapi-sso has it, in the fields that the handler fills."""

    id: str | None = None
    email: str | None = None
    display_name: str | None = None
    provider: str | None = None


class Headers:
    """As Starlette has them: several values to a name."""

    def __init__(self, *identities: str) -> None:
        self._identities = list(identities)

    def getlist(self, name: str) -> list[str]:
        assert name == "X-Forwarded-Identity"
        return self._identities


@dataclass(frozen=True)
class Request:
    headers: Headers


def identity(values: list[str]) -> dict[str, object]:
    """In the place of the Python example, which has tests of its own."""
    [token] = values
    if token != "good":
        raise ValueError("not signed by the proxy")
    return {"sub": "alice", "email": "alice@example.org"}


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Request], Awaitable[OpenID]]:
    def module(name: str, **members: object) -> None:
        made = ModuleType(name)
        made.__dict__.update(members)
        monkeypatch.setitem(sys.modules, name, made)

    module("fastapi", Request=Request)
    module("fastapi_sso")
    module("fastapi_sso.sso")
    module("fastapi_sso.sso.base", OpenID=OpenID)
    module("identity", identity=identity)
    page = blocks(ROOT / "docs" / "integrations.md", "python")
    [source] = [text for mark, text in page if mark == "snippet: sso.py"]
    names: dict[str, Callable[[Request], Awaitable[OpenID]]] = {}
    exec(compile(source, "sso.py", "exec"), names)  # noqa: S102 - the page's own code
    return names["sign_in"]


async def test_the_person_is_the_one_the_proxy_vouches_for(
    sign_in: Callable[[Request], Awaitable[OpenID]],
) -> None:
    expected = OpenID("alice", "alice@example.org", None, "auth-proxy")
    assert await sign_in(Request(Headers("good"))) == expected


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="no identity"),
        pytest.param(("good", "good"), id="two"),
        pytest.param(("forged",), id="forged"),
    ],
)
async def test_nobody_else_signs_in(
    sign_in: Callable[[Request], Awaitable[OpenID]], values: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match=r"unpack|not signed"):
        await asyncio.wait_for(sign_in(Request(Headers(*values))), 5)
