"""Provisioning: the upstream is told of a person before the first request of theirs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from proxy.config.settings import Settings
from proxy.config.upstreams import base_path, unix_parts
from proxy.crypto.strict_json import read_object
from proxy.errors import AccessDenied, ConfigError, ProxyError, Reason
from proxy.model import Identity, Session
from proxy.session.keeping import Keeping
from proxy.web.client_tls import client_tls
from proxy.web.hook_result import is_id, public_words
from proxy.web.log import Log
from proxy.web.mint import Mint
from proxy.web.redactor import redact
from proxy.web.runtime import Runtime

_LARGEST_ANSWER: Final = 64 * 1024
_AT_ONCE: Final = 10
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 2.0
_TOKEN_LIFE: Final = 60.0
"""Seconds that the JWT of a call is good for, at most."""
_KNOWN: Final = frozenset({200, 201, 204, 409})
_MAY_PASS: Final = frozenset({429, *range(500, 600)})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Reply:
    status: int
    is_json: bool
    retry_after: float
    body: bytes


class _Failed(Exception):
    """A try in vain; ``passing``: another one may do better, after so many seconds at least."""

    def __init__(self, detail: str, *, passing: bool = False, after: float = 0.0) -> None:
        super().__init__(detail)
        self.passing = passing
        self.after = after


class Provisioner:
    """Calls ``provisioning.url`` for people who sign in, as ``provisioning`` says.

    ``token``: () → a random text, for calls without the id of a request. ``pause`` waits so many
    seconds. Raises ConfigError for a path where there is no upstream that calls can go to.
    """

    def __init__(
        self,
        runtime: Runtime,
        keeping: Keeping,
        http: aiohttp.ClientSession,
        mint: Mint,
        log: Log,
        clock: Callable[[], float],
        token: Callable[[], str],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._runtime = runtime
        self._settings = runtime.settings.provisioning
        self._urls = provisioning_urls(runtime.settings)
        self._is_apart = not self._settings.url.startswith("/")
        self._known = keeping.provisioned
        self._locks = keeping.locks
        self._http = http
        self._mint = mint
        self._log = log
        self._clock = clock
        self._token = token
        self._pause = pause
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._tls: ssl.SSLContext | None = None
        self._loading = asyncio.Lock()

    async def admit(self, session: Session, now: float, request_id: str = "") -> str:
        """The id that the upstream knows the person by, "" where it named none.

        For a session that is about to begin, once the rules have let the person in. Raises
        AccessDenied(DENIED_BY_UPSTREAM), StoreError, ProxyError(NO_SESSION) for a session without
        a second left, and, unless ``provisioning.failure`` allows to go on,
        ProxyError(PROVISIONING_FAILED, 502).
        """
        settings, who = self._settings, session.identity
        request_id = request_id or self._token()
        if settings.when == "always":
            return await self._told(session, request_id) or ""
        whose = (self._urls[0], who.issuer, who.subject)
        known = await self._known.known(*whose, now)
        if known is not None:
            return known
        async with self._locks.hold(self._known.lock(*whose)):
            known = await self._known.known(*whose, self._clock())
            if known is None:  # nobody was quicker
                known = await self._told(session, request_id)
                if known is not None:
                    done = self._clock()
                    await self._known.remember(*whose, known, done, done + settings.remember)
        return known or ""

    async def _told(self, session: Session, request_id: str) -> str | None:
        """As ``admit``; None where it failed and that is allowed."""
        who, tries = session.identity, 0
        fields: dict[str, object] = {
            "request_id": request_id,
            "iss": who.issuer,
            "sub": who.subject,
            "email": who.email,
        }
        while True:
            try:
                user = await self._try(session, request_id, tries)
                given = {"user": user} if user else {}
                self._log.audit("provisioned", {**fields, "tries": tries + 1, **given})
                return user
            except AccessDenied:
                failed, reason = "answered 403", Reason.DENIED_BY_UPSTREAM
                self._log.audit("provisioning_failed", _line(fields, reason, tries + 1, failed))
                raise
            except _Failed as exc:
                tries += 1
                if exc.passing and tries <= self._settings.retries:
                    own = _FIRST_PAUSE * 2 ** (tries - 1)
                    await self._pause(min(_LONGEST_PAUSE, max(own, exc.after)))
                    continue
                reason, goes_on = Reason.PROVISIONING_FAILED, self._settings.failure == "allow"
                line = _line(fields, reason, tries, str(exc))
                self._log.audit("provisioning_failed", line | {"goes_on": goes_on})
                if goes_on:
                    return None
                raise ProxyError(reason, str(exc), status=502) from exc

    async def _try(self, session: Session, request_id: str, tries: int) -> str:
        """One call, and what its answer means. Raises _Failed and AccessDenied."""
        url = self._urls[tries % len(self._urls)]
        audience = self._runtime.settings.identity.audience
        jwt = self._mint.alone(session, audience, self._clock(), _TOKEN_LIFE)
        headers = {
            "Authorization": f"Bearer {jwt}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Idempotency-Key": idempotency_key(session.identity),
            "X-Request-Id": request_id,
        }
        body = json.dumps(told(session.identity)).encode()
        try:
            async with asyncio.timeout(self._settings.timeout), self._slots:
                reply = await self._exchange(url, headers, body)
        except TimeoutError as exc:
            raise _Failed("no answer in time", passing=True) from exc
        except ConfigError as exc:
            raise _Failed(str(exc)) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise _Failed(f"{type(exc).__name__}: {exc}", passing=True) from exc
        if reply.status == 403:
            raise AccessDenied(_message(reply), Reason.DENIED_BY_UPSTREAM)
        if reply.status not in _KNOWN:
            passing = reply.status in _MAY_PASS
            raise _Failed(f"answered {reply.status}", passing=passing, after=reply.retry_after)
        return _user(reply)

    async def _exchange(self, url: str, headers: dict[str, str], body: bytes) -> _Reply:
        name = self._runtime.settings.forwarding.server_name
        async with self._http.post(
            URL(url, encoded=True),
            data=body,
            headers=headers,
            allow_redirects=False,  # the JWT never follows a redirect
            ssl=await self._authorities() if url.lower().startswith("https:") else True,
            server_hostname=None if self._is_apart or not name else name,
        ) as response:
            chunks, size = [], 0
            async for chunk in response.content.iter_any():
                size += len(chunk)
                if size > _LARGEST_ANSWER:
                    raise _Failed(f"an answer of more than {_LARGEST_ANSWER} bytes")
                chunks.append(chunk)
            kind, after = response.content_type or "", response.headers.get("Retry-After", "")
            is_json = kind == "application/json" or kind.endswith("+json")
            seconds = float(after) if after.isascii() and after.isdigit() else 0.0
            return _Reply(response.status, is_json, seconds, b"".join(chunks))

    async def _authorities(self) -> ssl.SSLContext:
        """As for upstreams, but a whole URL is always verified. Read in a thread, once."""
        async with self._loading:
            if self._tls is None:
                forwarding = self._runtime.settings.forwarding
                if self._is_apart:
                    forwarding = forwarding.model_copy(update={"verify": True})
                self._tls = await asyncio.to_thread(client_tls, forwarding)
        return self._tls


def provisioning_urls(settings: Settings) -> tuple[str, ...]:
    """Where to call, one address for each of the upstream's. Raises ConfigError."""
    url = settings.provisioning.url
    if not url.startswith("/"):
        return (url,) if url else ()
    if not settings.upstream or any(unix_parts(upstream) for upstream in settings.upstream):
        where = "on a unix socket" if settings.upstream else "not set"
        raise ConfigError([f"provisioning.url: needs a whole URL: upstream is {where}"])
    return tuple(f"{_origin(upstream)}{base_path(upstream)}{url}" for upstream in settings.upstream)


def _origin(upstream: str) -> str:
    return str(URL(upstream).origin())


def idempotency_key(who: Identity) -> str:
    """The same for the same person, at every call."""
    text = json.dumps([who.issuer, who.subject]).encode()
    return hashlib.sha256(b"auth-proxy/provisioning/" + text).hexdigest()[:32]


def told(who: Identity) -> dict[str, object]:
    """What the upstream is told of a person: the whole, so that what is gone goes there, too."""
    return {
        "iss": who.issuer,
        "sub": who.subject,
        "user": who.user,
        "email": who.email,
        "email_verified": who.email_verified,
        "name": who.name,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "preferred_username": who.preferred_username,
        "groups": list(who.groups),
        "role": who.role,
        "provider": who.provider,
    }


def _line(fields: dict[str, object], reason: Reason, tries: int, detail: str) -> dict[str, object]:
    more: dict[str, object] = {"reason": str(reason), "tries": tries}
    return {**more, **fields, "detail": redact(detail)[:300]}


def _message(reply: _Reply) -> str:
    """What a refusal says to people; the page escapes it."""
    try:
        return public_words(read_object(reply.body, _LARGEST_ANSWER).get("message"))
    except ValueError:
        return ""


def _user(reply: _Reply) -> str:
    """The id in an answer, "" where it has none; one that is there but unusable is a failure."""
    if not reply.is_json or not reply.body.strip():
        return ""
    try:
        user = read_object(reply.body, _LARGEST_ANSWER).get("sub")
    except ValueError as exc:
        raise _Failed(f"the answer: {exc}") from exc
    if user is None:
        return ""
    if not is_id(user):
        raise _Failed("the answer's sub is not 1 to 255 printable characters")
    return str(user)
