"""Rules about keeping sessions: where, the addresses of Redis, and the administrators' token.

No message shows any part of a URL: it may hold a password, in any place if it is misspelt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from proxy.config.keeping import Redis
from proxy.config.settings import Settings

Found = Iterator[tuple[str, str]]

_SCHEMES = frozenset({"redis", "rediss", "unix"})
_SHORTEST_TOKEN = 32


def _stores(settings: Settings) -> Found:
    session = settings.session
    if session.store == "redis" and not settings.redis.url:
        yield "session.store", "redis needs redis.url"
    if session.store == "file" and not session.file:
        yield "session.store", "file needs session.file"
    if session.file and settings.redis.url:
        yield "session.file", "has no use beside redis.url: leave one of the two out"


class _Target(NamedTuple):
    """What matters here of a URL; ``number`` is that of the database."""

    scheme: str
    number: int
    user: str
    password: str


def _urls(settings: Settings) -> Found:
    redis = settings.redis
    targets: list[_Target] = []
    for index, url in enumerate(redis.url, start=1):
        which = f"URL {index} of the list " if len(redis.url) > 1 else "the URL "
        try:
            targets.append(_target(url.reveal()))
        except ValueError as exc:
            yield "redis.url", f"{which}{exc}"
    if len(redis.url) > 1 and not redis.sentinel_master and not redis.cluster:
        yield "redis.url", "several URLs need redis.sentinel_master or redis.cluster"
    if redis.sentinel_master and redis.cluster:
        yield "redis.cluster", "does not go with redis.sentinel_master: it is one or the other"
    if not redis.url:
        for name in ("sentinel_master", "cluster"):
            if getattr(redis, name):
                yield f"redis.{name}", "needs redis.url"
    if targets and len(targets) == len(redis.url):
        yield from _together(settings.redis, targets)


def _together(redis: Redis, targets: list[_Target]) -> Found:
    """What all of the URLs must have in common, once each is good."""
    if len({target[:2] for target in targets}) > 1:
        yield "redis.url", "the URLs must have the same scheme and the same database number"
    if len({target[2:] for target in targets}) > 1:
        yield "redis.url", "the URLs must have the same user and password, or none"
    if (redis.sentinel_master or redis.cluster) and any(t.scheme == "unix" for t in targets):
        yield "redis.url", "Sentinel and Cluster are not on unix sockets"
    if redis.cluster and any(target.number for target in targets):
        yield "redis.url", "a Cluster has one database only: leave out its number"
    # A URL's user and password are for whoever is there: the Sentinel, if it is one.
    option = "redis.sentinel_password" if redis.sentinel_master else "redis.password"
    name = redis.sentinel_username if redis.sentinel_master else redis.username
    word = redis.sentinel_password if redis.sentinel_master else redis.password
    if (targets[0].user or name) and not (targets[0].password or word):
        yield option, "is needed: a user is named"
    elif redis.sentinel_master and redis.username and not redis.password:
        yield "redis.password", "is needed: a user is named"


def _target(url: str) -> _Target:
    """Raises ValueError in words that follow "the URL"."""
    if re.search(r"[^!-~]", url):
        raise ValueError("holds spaces, control or non-ASCII characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("has a host that cannot be read") from None
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if parts.fragment or url.endswith("#"):
        raise ValueError("holds a #; in a password it is written %23")
    if parts.scheme == "unix":
        number = _socket_number(parts.netloc, parts.path, parts.query)
        return _Target("unix", number, parts.username or "", parts.password or "")
    if parts.query or url.endswith("?"):
        raise ValueError("holds a ?; in a password it is written %3F")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has a port that is none; in a password / is %2F and : is %3A")
    if not parts.hostname:
        raise ValueError("has no host, as in redis://host:6379/0")
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        raise ValueError("ends with something else than the number of a database, as in /0")
    number = int(parts.path.strip("/") or 0)
    return _Target(parts.scheme, number, parts.username or "", parts.password or "")


def _socket_number(netloc: str, path: str, query: str) -> int:
    """The database that ``?db=`` names. Raises ValueError."""
    if netloc and not netloc.endswith("@"):
        raise ValueError("needs an absolute path: three slashes, as in unix:///run/redis.sock")
    if not path.strip("/"):
        raise ValueError("has no path, as in unix:///run/redis.sock")
    if not re.fullmatch(r"|db=[0-9]{1,5}", query):
        raise ValueError("may have ?db= and a number behind the path, and nothing else")
    return int(query.removeprefix("db=") or 0)


def _certificates(settings: Settings) -> Found:
    redis = settings.redis
    secured = any(url.reveal().startswith("rediss://") for url in redis.url)
    for name in ("ca_file", "certificate_file", "key_file"):
        if getattr(redis, name) and not secured:
            yield f"redis.{name}", "needs a redis.url that begins with rediss://"
    if redis.key_file and not redis.certificate_file:
        yield "redis.key_file", "needs redis.certificate_file as well"


def _admin_token(settings: Settings) -> Found:
    token = settings.server.admin_token.reveal()
    if token and len(token) < _SHORTEST_TOKEN:
        yield (
            "server.admin_token",
            f"needs {_SHORTEST_TOKEN} characters or more; make one with: auth-proxy keys secret",
        )
    elif token and token in {secret.reveal() for secret in settings.cookie.secret}:
        yield "server.admin_token", "must differ from cookie.secret: administrators know this one"


KEEPING: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("session.store", "session.file", "redis.url"), _stores),
    (
        (
            *("redis.url", "redis.sentinel_master", "redis.cluster", "redis.username"),
            *("redis.password", "redis.sentinel_username", "redis.sentinel_password"),
        ),
        _urls,
    ),
    (("redis.url", "redis.ca_file", "redis.certificate_file", "redis.key_file"), _certificates),
    (("server.admin_token", "cookie.secret"), _admin_token),
)
