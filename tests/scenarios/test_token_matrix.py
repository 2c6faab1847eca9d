"""Every kind of token × every place: who gets in, who is told what, and what upstreams see."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from proxy.crypto.token import Letter, make
from proxy.model import Identity
from proxy.session.tokens import Token, TokenKind
from tests.web.place import Answer, Browser, Place

ROUTES: Final[list[dict[str, Any]]] = [
    {"path": "/api/*"},
    {"path": "/maybe/*", "access": "optional"},
    {"path": "/open/*", "access": "public"},
    {"path": "/cookies/*", "bearer": False},
    {"path": "/keys/*", "passthrough_prefixes": ["sk-"]},
]
_LETTERS: Final[dict[TokenKind, Letter]] = {
    "personal": "p", "terminal": "t", "service": "s", "refresh": "r",
}  # fmt: skip
OURS: Final = frozenset({"personal", "terminal", "service"})
"""Good tokens of our own."""
GOOD: Final = OURS | {"cookie", "issuer"}
BAD: Final = frozenset(
    {"expired", "revoked", "unknown", "slip", "refresh", "owner gone", "basic unknown"}
    | {"issuer wrong aud", "issuer expired", "issuer bad signature"}
)
NOTHING: Final = frozenset({"nothing", "foreign JWT", "opaque", "basic of the app", "passthrough"})
"""What is none of ours to judge."""
KINDS: Final = sorted(GOOD | BAD | NOTHING)


@dataclass(frozen=True, slots=True)
class Stage:
    place: Place
    headers: dict[str, dict[str, str]]
    browser: Browser
    numbers: Iterator[int] = field(default_factory=itertools.count)

    async def ask(self, kind: str, path: str, method: str = "GET", *, page: bool = False) -> Answer:
        browser = self.browser if kind == "cookie" else self.place.browser()
        self.place.upstream.seen.clear()
        headers = self.headers[kind] | self.elsewhere()
        return await browser.request(method, path, page=page, headers=headers)

    def elsewhere(self) -> dict[str, str]:
        """From another address each time: who sends many bad tokens must wait."""
        number = next(self.numbers)
        return {"X-Forwarded-For": f"198.51.{number // 250}.{number % 250}"}

    def reached(self) -> bool:
        return bool(self.place.upstream.seen)


def _bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="stage")
async def _stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("matrix")
    settings: dict[str, Any] = {
        "session": {"file": str(folder / "kept.db")},
        "tokens": {"personal": True, "terminal": True},
        "bearer": {"audiences": ["api"]},
        "routes": ROUTES,
        "server": {"trusted_proxies": ["127.0.0.1"]},
    }
    async with Place(**settings) as place:
        browser = place.browser()
        await browser.sign_in("/")
        await browser.get("/")
        yield Stage(place, await _headers(place), browser)


async def _headers(place: Place) -> dict[str, dict[str, str]]:
    kept, now = place.app.parts.keeping, place.clock()
    owner = (place.provider.issuer, "alice-5f0c3b1e")

    async def made(kind: TokenKind, **changes: Any) -> tuple[str, Token]:
        text = make("apx", _LETTERS[kind], place.world.random)
        token = Token(kind, "t", *owner, created_at=now, expires_at=now + 3600)
        return text, await kept.tokens.create(text, replace(token, **changes), now)

    service = Identity("urn:auth-proxy:service", "service:ci", "service:ci", groups=("ci",))
    own: dict[str, dict[str, Any]] = {
        "personal": {"kind": "personal"},
        "terminal": {"kind": "terminal"},
        "service": {
            "kind": "service", "identity": service, "routes": ("/api/*",),
            "issuer": service.issuer, "subject": service.subject,
        },
        "expired": {"kind": "personal", "expires_at": now + 1},
        "refresh": {"kind": "refresh"},
        "owner gone": {"kind": "personal", "subject": "nobody"},
    }  # fmt: skip
    found = {name: _bearer((await made(**options))[0]) for name, options in own.items()}
    text, token = await made("personal")
    await kept.tokens.revoke(token, now)
    good = found["personal"]["Authorization"]
    keys, claims = place.provider.provider.keys, {
        "iss": place.provider.issuer, "aud": "api", "sub": "alice-5f0c3b1e",
        "iat": int(now), "exp": int(now) + 600, "email": "alice@example.org",
    }  # fmt: skip
    head, _, signature = keys.sign(claims).rpartition(".")
    place.clock.advance(2)  # "expired" has expired
    return found | {
        "nothing": {},
        "cookie": {},
        "revoked": _bearer(text),
        "unknown": _bearer(make("apx", "p", place.world.random)),
        "slip": {"Authorization": good[:-1] + ("a" if good[-1] != "a" else "b")},
        "basic unknown": {"Authorization": "Basic Z2l0OmFweF9ub3RoaW5n"},
        "basic of the app": {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
        "issuer": _bearer(keys.sign(claims)),
        "issuer wrong aud": _bearer(keys.sign(claims | {"aud": "another"})),
        "issuer expired": _bearer(keys.sign(claims | {"exp": int(now) - 600})),
        "issuer bad signature": _bearer(f"{head}.{signature[::-1]}"),
        "foreign JWT": _bearer(keys.sign(claims | {"iss": "https://elsewhere.example"})),
        "opaque": _bearer("an-opaque-token"),
        "passthrough": _bearer("sk-abc"),
    }


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["/api/x", "/maybe/x", "/open/x", "/cookies/x", "/keys/x", "/x"])
async def test_on_routes(stage: Stage, kind: str, place: str) -> None:
    answer = await stage.ask(kind, place)
    assert answer.status == _status(kind, place), answer.text
    assert stage.reached() == (answer.status == 200)
    if answer.status == 200:
        upstream = stage.place.upstream
        assert bool(upstream.header("X-Forwarded-Identity")) == _is_somebody(kind, place)
        sent = [value for value in upstream.header("Authorization") if "apx_" in value]
        assert not sent, "a token of ours reached the upstream"
    elif answer.status == 401:
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer")
        assert ("invalid_token" in challenge) == (kind in BAD and place != "/cookies/x")
    assert "Location" not in answer.headers


def _status(kind: str, place: str) -> int:
    if place == "/open/x":
        return 200
    if place == "/cookies/x":
        return 200 if kind == "cookie" else 401
    if kind in BAD:
        return 401
    if kind == "service" and place != "/api/x":
        return 403
    if kind in GOOD or place == "/maybe/x":
        return 200
    return 200 if kind == "passthrough" and place == "/keys/x" else 401


def _is_somebody(kind: str, place: str) -> bool:
    return kind in GOOD and place != "/open/x"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("endpoint", ["auth", "userinfo", "identity"])
async def test_at_endpoints_about_a_person(stage: Stage, kind: str, endpoint: str) -> None:
    answer = await stage.ask(kind, f"/oauth2/{endpoint}")
    good = {"auth": 202}.get(endpoint, 200)
    expected = {"service": 403}.get(kind, good if kind in GOOD else 401)
    assert answer.status == expected, answer.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"cookie"}))
@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("GET", "/oauth2/tokens", {401}),
        ("POST", "/oauth2/tokens", {400, 401, 403}),
        ("GET", "/oauth2/sessions", {401}),
        ("POST", "/oauth2/sessions", {400, 401, 403}),
        ("GET", "/oauth2/debug", {404}),
        ("GET", "/oauth2/device", {401}),
        ("POST", "/oauth2/device", {400, 401, 403}),
    ],
)
async def test_pages_of_ours_are_for_browsers(
    stage: Stage, kind: str, method: str, path: str, statuses: set[int]
) -> None:
    answer = await stage.ask(kind, path, method)
    assert answer.status in statuses, answer.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", sorted(BAD))
async def test_a_bad_token_is_refused_whatever_the_cookies_say(stage: Stage, kind: str) -> None:
    headers = stage.headers[kind] | stage.elsewhere()
    answer = await stage.browser.request("GET", "/api/x", page=True, headers=headers)
    assert answer.status == 401
    assert "Location" not in answer.headers


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_of_any_token_is_in_the_log(stage: Stage) -> None:
    logged = stage.place.logged()
    for header in stage.headers.values():
        for value in header.values():
            assert value.partition(" ")[2] not in logged or value == "Bearer sk-abc"
    assert "apx_" not in logged
