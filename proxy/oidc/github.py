"""GitHub, which speaks OAuth 2.0 without OpenID Connect: what its API says of a person.

docs.github.com: "Authorizing OAuth apps", "Scopes for OAuth apps", REST API "users", "emails",
"organizations", "teams".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit

from proxy.config.provider import Provider
from proxy.crypto.strict_json import read_list, read_object
from proxy.errors import LoginError, ProviderError, Reason
from proxy.oidc.metadata import Metadata, static_metadata
from proxy.oidc.tokens import LARGEST_ANSWER, TokenRequest

LARGEST_PAGE: Final = 2**20
PER_PAGE: Final = 100
_LINK: Final = re.compile(r"<([^<>]*)>([^<>]*)")
_NEXT: Final = re.compile(r';\s*rel="?next"?\s*(?:[;,]|$)')
_KEPT: Final = ("login", "name", "company", "location", "html_url", "type", "site_admin")
_BROADER: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "user": ("read:user", "user:email", "user:follow"),
        "admin:org": ("write:org", "read:org"),
        "write:org": ("read:org",),
    }
)
"""Scope → what it includes."""


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a list, and where the next page is; empty at the last."""

    entries: tuple[Mapping[str, object], ...]
    next: str


def api_url(provider: Provider) -> str:
    """Where the API is, without a slash at its end."""
    if provider.github.api_url:
        return provider.github.api_url.rstrip("/")
    parts = urlsplit(provider.github.url)
    host = (parts.hostname or "").lower()
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"{parts.scheme}://api.{parts.netloc}"
    return provider.github.url.rstrip("/") + "/api/v3"


def github_metadata(provider: Provider) -> Metadata:
    """What a discovery document would say; ``userinfo_endpoint`` is the API's ``/user``.

    Endpoints in the settings win. Raises ProviderError for a URL that cannot be used.
    """
    base = f"{provider.github.url.rstrip('/')}/login/oauth"
    known = {
        "authorization_endpoint": provider.authorization_endpoint or f"{base}/authorize",
        "token_endpoint": provider.token_endpoint or f"{base}/access_token",
        "userinfo_endpoint": f"{api_url(provider)}/user",
        "id_token_algorithms": (),
    }
    return static_metadata(provider.model_copy(update=known))


def wants_groups(provider: Provider) -> bool:
    """Was GitHub asked for permission to see organisations?"""
    return "read:org" in _closed(provider.scope.split())


def check_granted(body: bytes, provider: Provider) -> None:
    """All that was asked for was granted; people may have edited it (RFC 6749 section 3.3).

    Raises ProviderError: GROUPS_UNAVAILABLE where organisations cannot be seen, else
    TOKEN_RESPONSE_INVALID.
    """
    answer = read_object(body, LARGEST_ANSWER)
    granted, token = answer.get("scope"), answer.get("access_token")
    if granted is None or (isinstance(token, str) and token.startswith("ghu_")):
        return  # as asked for (section 5.1); a GitHub App has permissions instead of scopes
    if not isinstance(granted, str):
        raise ProviderError(Reason.TOKEN_RESPONSE_INVALID, "scope is not a text")
    missing = _closed(provider.scope.split()) - _closed(re.split(r"[,\s]+", granted))
    if "read:org" in missing:
        raise ProviderError(Reason.GROUPS_UNAVAILABLE, "the scope read:org was not granted")
    if missing:
        detail = f"not granted: {ascii(sorted(missing))[:200]}"
        raise ProviderError(Reason.TOKEN_RESPONSE_INVALID, detail)


def _closed(scopes: Iterable[str]) -> set[str]:
    found = set(scopes) - {""}
    return found.union(*(_BROADER.get(scope, ()) for scope in found))


def refresh_refused(body: bytes) -> bool:
    """Did GitHub say that this refresh token is no good? It does so with status 200."""
    try:
        return read_object(body, LARGEST_ANSWER).get("error") in (
            "bad_refresh_token",
            "invalid_grant",
        )
    except ValueError:
        return False


def read_person(body: bytes) -> dict[str, object]:
    """Claims from ``/user``: sub is the number of the account, which a new name leaves as it is.

    Nothing of the address: the one in a profile is for show. Raises LoginError.
    """
    try:
        user = read_object(body, LARGEST_PAGE)
    except ValueError as exc:
        raise LoginError(Reason.USERINFO_INVALID, f"/user is {exc}") from None
    number, login = user.get("id"), user.get("login")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**53:
        raise LoginError(Reason.USERINFO_INVALID, "/user: id is not a number")
    if not isinstance(login, str) or not login:
        raise LoginError(Reason.USERINFO_INVALID, "/user: login is not a text")
    claims: dict[str, object] = {"sub": str(number), "preferred_username": login}
    kept = {name: user[name] for name in _KEPT if isinstance(user.get(name), str | bool)}
    if isinstance(user.get("avatar_url"), str):
        kept["picture"] = user["avatar_url"]
    return claims | kept


def read_email(entries: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """The primary address, if it is verified, as claims; nothing else is believed."""
    for entry in entries:
        address = entry.get("email")
        if entry.get("primary") is True and entry.get("verified") is True:
            if isinstance(address, str) and address:
                return {"email": address, "email_verified": True}
            raise LoginError(Reason.USERINFO_INVALID, "/user/emails: email is not a text")
    return {}


def read_organisations(entries: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Organisations as groups. Raises ProviderError."""
    return tuple(_name(entry, "login") for entry in entries)


def read_teams(entries: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Teams as groups: ``organisation:team``. Raises ProviderError."""
    found = []
    for entry in entries:
        organisation = entry.get("organization")
        if not isinstance(organisation, dict):
            raise _unavailable("a team has no organization")
        found.append(f"{_name(organisation, 'login')}:{_name(entry, 'slug')}")
    return tuple(found)


def _name(entry: Mapping[str, object], member: str) -> str:
    value = entry.get(member)
    # a colon would make a team of one organisation look like that of another
    if not isinstance(value, str) or not value or ":" in value:
        raise _unavailable(f"{member} is not a name")
    return value


def read_page(body: bytes, links: str, url: str) -> Page:
    """A page of a list; ``links`` is its Link header (RFC 8288), ``url`` what was asked.

    Raises ValueError, whose text quotes nothing.
    """
    entries = read_list(body, LARGEST_PAGE)
    if not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("not a list of objects")
    return Page(tuple(entry for entry in entries if isinstance(entry, dict)), _next(links, url))


def _next(links: str, url: str) -> str:
    """The token is shown to nobody but the API. Raises ValueError for another origin."""
    for target, rest in _LINK.findall(links):
        if not _NEXT.search(rest):
            continue
        if not all(" " < char < "\x7f" for char in target):
            raise ValueError("a Link that is no URL")
        there, here = urlsplit(target), urlsplit(url)
        if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
            raise ValueError("a Link to another origin")
        return str(target)
    return ""


def revocation(provider: Provider, token: str) -> TokenRequest:
    """The request, a DELETE, that ends an access token and its refresh token."""
    pair = f"{provider.client_id}:{provider.client_secret.reveal()}".encode()
    headers = (
        ("Authorization", "Basic " + base64.b64encode(pair).decode("ascii")),
        ("Content-Type", "application/json"),
    )
    url = f"{api_url(provider)}/applications/{quote(provider.client_id, safe='')}/token"
    return TokenRequest(url, headers, json.dumps({"access_token": token}).encode("ascii"))


def _unavailable(detail: str) -> ProviderError:
    return ProviderError(Reason.GROUPS_UNAVAILABLE, detail)
