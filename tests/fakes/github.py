"""GitHub as docs.github.com describes it: its sign-in and the parts of its API about a person."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import MultiDict

from tests.fakes.provider import Recorded

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Account:
    """A person; a profile shows ``public_email``, which proves nothing."""

    number: int
    login: str
    name: str | None = None
    public_email: str | None = None
    emails: Sequence[tuple[str, bool, bool]] = ()
    """address, primary, verified"""
    organisations: Sequence[str] = ()
    teams: Sequence[tuple[str, str]] = ()
    """organisation, slug"""


MONA = Account(
    583231,
    "mona",
    "Mona Lisa",
    "for-show@example.org",
    (("old@example.org", False, True), ("mona@example.org", True, True)),
    ("acme", "octo-org"),
    (("acme", "admins"), ("octo-org", "all-staff")),
)
EVE = Account(
    99, "eve", None, "ceo@example.org", (("ceo@example.org", True, False),), ("evil-corp",)
)
"""Her primary address is one that she has not verified."""


@dataclass
class _Grant:
    account: Account
    redirect_uri: str
    scope: str
    challenge: str
    refresh_token: str = ""


@dataclass
class FakeGitHub:
    """``async with FakeGitHub(redirect_uri) as github``: an Enterprise Server at ``github.url``.

    ``app`` makes the client a GitHub App with tokens that expire; ``granted`` is the scope that
    people leave when they are asked (None: all); ``forbidden`` are paths of the API that answer
    403, ``broken`` such that answer 500, ``changed`` such whose whole answer is another.
    """

    redirect_uri: str
    accounts: Sequence[Account] = (MONA, EVE)
    client_id: str = "proxy"
    secret: str = "proxy-secret"
    app: bool = False
    granted: str | None = None
    limited: bool = False
    forbidden: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    changed: dict[str, Any] = field(default_factory=dict)
    links_to: str = ""
    form_encoded: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[Recorded] = field(default_factory=list)
    tokens: dict[str, _Grant] = field(default_factory=dict)
    _codes: dict[str, _Grant] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._record])
        app.router.add_get("/login/oauth/authorize", self._authorize)
        app.router.add_post("/login/oauth/access_token", self._token)
        app.router.add_get("/api/v3/rate_limit", self._rate_limit)
        app.router.add_get("/api/v3/user", self._user)
        for name in ("emails", "orgs", "teams"):
            app.router.add_get(f"/api/v3/user/{name}", self._listed)
        app.router.add_delete("/api/v3/applications/{client_id}/token", self._delete)
        self._server = TestServer(app)
        await self._server.start_server()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/login/oauth"

    def account(self, login: str) -> Account:
        return next(one for one in self.accounts if one.login == login)

    def replace(self, account: Account) -> None:
        """The person of that number is another from now on, also for tokens that are out."""
        self.accounts = [one if one.number != account.number else account for one in self.accounts]
        for grant in self.tokens.values():
            if grant.account.number == account.number:
                grant.account = account

    async def sign_in(self, url: str, user: str = "mona") -> str:
        """Where the browser of ``user``, who is signed in here, is led to."""
        async with (
            aiohttp.ClientSession() as browser,
            browser.get(url, allow_redirects=False, headers={"Cookie": f"user={user}"}) as answer,
        ):
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]

    def forget(self) -> None:
        """Every browser of ``sign_in`` is a fresh one."""

    def last(self, endpoint: str) -> Recorded:
        return next(r for r in reversed(self.requests) if r.endpoint == endpoint)

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        endpoint = request.path.removeprefix("/api/v3").removeprefix("/login/oauth")
        endpoint = {"/access_token": "token"}.get(endpoint, endpoint)
        self.calls[endpoint] += 1
        fields: MultiDict[str] = MultiDict(request.query)
        fields.extend((name, str(value)) for name, value in (await request.post()).items())
        self.requests.append(Recorded(endpoint, request.method, request.headers, fields))
        if request.path.startswith("/api/"):
            return self._fault(endpoint) or await handler(request)
        return await handler(request)

    def _fault(self, path: str) -> web.StreamResponse | None:
        if self.limited:
            headers = {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0"}
            body = {"message": "API rate limit exceeded for 192.0.2.7."}
            return web.json_response(body, status=403, headers=headers)
        if path in self.broken:
            return web.Response(status=500, text="<h1>Unicorn!</h1>", content_type="text/html")
        if path in self.forbidden:
            return web.json_response({"message": "Forbidden"}, status=403)
        if path in self.changed:
            return web.json_response(self.changed[path])
        return None

    async def _authorize(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        if asked.get("client_id") != self.client_id or asked["redirect_uri"] != self.redirect_uri:
            return web.Response(status=404)
        if "code_challenge" in asked and asked.get("code_challenge_method") != "S256":
            return web.Response(status=400, text="only S256 is accepted")
        account = self.account(request.cookies["user"])
        scope = asked.get("scope", "") if self.granted is None else self.granted
        code = secrets.token_hex(10)
        challenge = asked.get("code_challenge", "")
        self._codes[code] = _Grant(account, asked["redirect_uri"], scope, challenge)
        answer = {"code": code, "state": asked.get("state", ""), "iss": self.issuer}
        raise web.HTTPFound(f"{self.redirect_uri}?{urlencode(answer)}")

    async def _token(self, request: web.Request) -> web.StreamResponse:
        answer = self._answer(dict(await request.post()))
        if request.headers.get("Accept") != "application/json" or self.form_encoded:
            return web.Response(
                text=urlencode(answer), content_type="application/x-www-form-urlencoded"
            )
        return web.json_response(answer)

    def _answer(self, form: dict[str, Any]) -> dict[str, Any]:
        """Errors come with status 200, too."""
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.secret):
            return {"error": "incorrect_client_credentials"}
        if form.get("grant_type") == "refresh_token":
            found = [t for t, g in self.tokens.items() if g.refresh_token == form["refresh_token"]]
            if not found:
                return {"error": "bad_refresh_token"}
            return self._issue(self.tokens.pop(found[0]))
        grant = self._codes.pop(form.get("code", ""), None)
        if grant is None or not _proves(form.get("code_verifier", ""), grant.challenge):
            return {"error": "bad_verification_code"}
        if form.get("redirect_uri") != grant.redirect_uri:
            return {"error": "redirect_uri_mismatch"}
        return self._issue(grant)

    def _issue(self, grant: _Grant) -> dict[str, Any]:
        token = f"{'ghu' if self.app else 'gho'}_{next(self._numbers):036d}"
        self.tokens[token] = grant
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer"}
        if not self.app:
            return answer | {"scope": ",".join(sorted(grant.scope.split()))}
        grant.refresh_token = f"ghr_{next(self._numbers):036d}"
        life = {"expires_in": 28800, "refresh_token_expires_in": 15897600}
        return answer | {"scope": "", "refresh_token": grant.refresh_token} | life

    def _grant(self, request: web.Request) -> _Grant:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme not in ("Bearer", "token") or token not in self.tokens:
            text = json.dumps({"message": "Bad credentials"})
            raise web.HTTPUnauthorized(text=text, content_type="application/json")
        return self.tokens[token]

    async def _rate_limit(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"resources": {}, "rate": {"limit": 60, "remaining": 60}})

    async def _user(self, request: web.Request) -> web.StreamResponse:
        account = self._grant(request).account
        return web.json_response(
            {
                "login": account.login,
                "id": account.number,
                "name": account.name,
                "email": account.public_email,
                "avatar_url": f"https://avatars.example/u/{account.number}",
                "type": "User",
                "site_admin": False,
                "company": None,
            }
        )

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        grant, name = self._grant(request), request.path.rpartition("/")[2]
        account, needed = grant.account, "user:email" if name == "emails" else "read:org"
        if not self.app and needed not in grant.scope.split():
            return web.json_response({"message": "Not Found"}, status=404)
        lists: dict[str, list[Any]] = {
            "emails": [
                {"email": a, "primary": p, "verified": v, "visibility": None}
                for a, p, v in account.emails
            ],
            "orgs": [{"login": o, "id": i} for i, o in enumerate(account.organisations)],
            "teams": [
                {"slug": slug, "name": slug.title(), "organization": {"login": organisation}}
                for organisation, slug in account.teams
            ],
        }
        return self._paged(request, lists[name])

    def _paged(self, request: web.Request, whole: list[Any]) -> web.StreamResponse:
        size = min(int(request.query.get("per_page", "30")), 100)
        page = int(request.query.get("page", "1"))
        headers = {"X-RateLimit-Remaining": "4999"}
        if len(whole) > page * size:
            base = self.links_to or str(request.url.with_query(None))
            links = (
                f"<{base}?per_page={size}&page={n}>" for n in (page + 1, -(-len(whole) // size))
            )
            following, last = links
            headers["Link"] = f'{following}; rel="next", {last}; rel="last"'
        return web.json_response(whole[(page - 1) * size : page * size], headers=headers)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return web.json_response({"message": "Not Found"}, status=404)
        token = (await request.json()).get("access_token")
        if self.tokens.pop(token, None) is None:
            return web.json_response({"message": "Validation Failed"}, status=422)
        return web.Response(status=204)


def _proves(verifier: str, challenge: str) -> bool:
    digest = hashlib.sha256(verifier.encode()).digest()
    return not challenge or base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge
