"""Rules between options: a table of rows, each naming the options it reads.

A row is left out when an option that it reads is broken: its verdict would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy.config.checks_access import ACCESS
from proxy.config.checks_issuers import ISSUERS
from proxy.config.checks_keeping import KEEPING
from proxy.config.checks_limits import LIMITS
from proxy.config.checks_listening import LISTENING
from proxy.config.checks_provider import WHY, missing, provider_problems
from proxy.config.checks_routing import ROUTING
from proxy.config.checks_sign_in import SIGN_IN
from proxy.config.checks_tokens import TOKENS
from proxy.config.declaration import options
from proxy.config.listening import parse_address
from proxy.config.settings import Settings
from proxy.config.types import decode_cookie_secret, is_loopback

_NOTHING: frozenset[str] = frozenset()


class Problem(NamedTuple):
    """Where, as a dotted path (empty for the whole), and what is wrong."""

    path: str
    message: str


class Row(NamedTuple):
    """One rule: it reads ``reads`` and yields (dotted path, message) pairs.

    What is read of entries is written ``routes``, or ``routes.*.path`` for one key of them.
    """

    reads: tuple[str, ...]
    problems: Callable[[Settings], Iterator[tuple[str, str]]]


def check(
    settings: Settings, broken: frozenset[str] = _NOTHING, absent: frozenset[str] = _NOTHING
) -> list[Problem]:
    """What does not fit together in ``settings``; opens nothing.

    ``broken`` are keys of options, and of entries, whose value could not be used, ``absent``
    those of required options that were not given at all; both hold a stand-in.
    """
    found = [Problem(*pair) for pair in _missing(settings, broken - absent, absent)]
    for row in ROWS:
        if not _touched(row.reads, broken):
            found += [Problem(*pair) for pair in row.problems(settings)]
    found += [Problem(*pair) for pair in provider_problems(settings, broken)]
    return found


def _missing(
    settings: Settings, broken: frozenset[str], absent: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Everything that a minimal configuration lacks, named in one message."""
    names = [name for name in (*absent, *_needed(settings, broken)) if name not in broken]
    variables = {option.key: option.variable for option in options()}
    if alone := [name for name in names if name in variables]:
        shown = ", ".join(f"{name} ({variables[name]})" for name in alone)
        yield "", f"these options are needed and not set: {shown}"
    for name in names:
        if name not in variables:  # in an entry
            why = WHY.get(name.split(".", 2)[-1])
            yield name, f"is needed ({why})" if why else "is needed"


def _needed(settings: Settings, broken: frozenset[str]) -> Iterator[str]:
    everywhere = [route for route in settings.routes if route.path == "/*" and not route.methods]
    somewhere = any(route.upstream for route in everywhere) or _touched(("routes",), broken)
    if not settings.upstream and not somewhere:
        yield "upstream"
    if settings.auth.disabled:
        return
    yield from missing(settings, broken)
    if not settings.cookie.secret:
        yield "cookie.secret"


def _touched(reads: Iterable[str], broken: frozenset[str]) -> bool:
    """Is one of these broken, something in an entry of one, or the list that an entry is in?

    ``routes.*.path`` reads that key of each entry.
    """
    names = [re.sub(r"\.\d+\b", ".*", name) for name in broken]
    return any(f"{read}.".startswith(f"{it}.") or it.startswith(f"{read}.")
               for read in reads for it in names)  # fmt: skip


def _cookie_secret(settings: Settings) -> Iterator[tuple[str, str]]:
    for number, secret in enumerate(settings.cookie.secret, start=1):
        try:
            decode_cookie_secret(secret.reveal())
        except ValueError as exc:
            which = f"secret {number} of the list " if len(settings.cookie.secret) > 1 else ""
            yield "cookie.secret", f"{which}{exc}"


def _shared_secret(settings: Settings) -> Iterator[tuple[str, str]]:
    identity = settings.identity
    if identity.algorithm != "HS256":
        return
    shared = identity.shared_secret.reveal()
    if len(shared.encode()) < 32:
        yield "identity.shared_secret", "HS256 needs a shared secret of 32 bytes or more"
    elif shared in {secret.reveal() for secret in settings.cookie.secret}:
        yield "identity.shared_secret", "must differ from cookie.secret: upstreams know this one"


def _cookie(settings: Settings) -> Iterator[tuple[str, str]]:
    cookie, url = settings.cookie, urlsplit(settings.public_url)
    secure = url.scheme == "https" if cookie.secure is None else cookie.secure
    if cookie.same_site == "None" and not secure:
        yield "cookie.same_site", "None needs the Secure attribute, and so an https public_url"
    if cookie.name.startswith(("__Host-", "__Secure-")) and not secure:
        yield "cookie.name", "a name with this prefix needs the Secure attribute"
    if cookie.name.startswith("__Host-") and cookie.domain:
        yield "cookie.name", "a __Host- cookie cannot have a domain"
    domain, host = cookie.domain.lstrip(".").lower(), url.hostname or ""
    if domain and host != domain and not host.endswith(f".{domain}"):
        yield "cookie.domain", f"the host of public_url, {host}, is not below {domain}"


def _public_url(settings: Settings) -> Iterator[tuple[str, str]]:
    url = urlsplit(settings.public_url)
    local = is_loopback(url.hostname or "")
    if url.scheme == "http" and not local and settings.cookie.secure is not False:
        yield "public_url", "must be https (or set cookie.secure to false, on a test network)"


def _session(settings: Settings) -> Iterator[tuple[str, str]]:
    session = settings.session
    if session.lifetime <= 0:
        yield "session.lifetime", "must be longer than 0"
    elif "idle_timeout" in session.model_fields_set and session.idle_timeout > session.lifetime:
        yield "session.idle_timeout", "must not be longer than session.lifetime"


def _auth_disabled(settings: Settings) -> Iterator[tuple[str, str]]:
    server = settings.server
    if not settings.auth.disabled or settings.auth.disabled_on_public_address:
        return
    for name in (*server.listen, *server.tls_listen):
        if not parse_address(name).local:
            yield (
                "auth.disabled",
                f"would let anyone in through {name}; "
                "auth.disabled_on_public_address allows even that",
            )


ROWS: tuple[Row, ...] = (
    Row(("public_url", "cookie.secure"), _public_url),
    Row(("cookie.secret",), _cookie_secret),
    Row(("identity.algorithm", "identity.shared_secret", "cookie.secret"), _shared_secret),
    Row(
        ("public_url", "cookie.secure", "cookie.same_site", "cookie.name", "cookie.domain"),
        _cookie,
    ),
    Row(("session.lifetime", "session.idle_timeout"), _session),
    Row(
        ("server.listen", "server.tls_listen", "auth.disabled", "auth.disabled_on_public_address"),
        _auth_disabled,
    ),
    *(
        Row(reads, problems)
        for reads, problems in (
            *ACCESS,
            *ROUTING,
            *SIGN_IN,
            *LISTENING,
            *KEEPING,
            *TOKENS,
            *LIMITS,
            *ISSUERS,
        )
    ),
)
