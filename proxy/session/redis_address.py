"""The ``redis.*`` options → who is asked, and as whom; every mistake at once, no password shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from proxy.config.keeping import Redis
from proxy.errors import ConfigError

_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
_FORMS: Final = "redis://host:6379/0, rediss://host:6379/0 or unix:///path?db=0"
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")
_NUMBER: Final = re.compile(r"\d{1,9}")


class Kind(Enum):
    """How several servers belong together."""

    SINGLE = "one server"
    SENTINEL = "Sentinels, which know the master"
    CLUSTER = "nodes of a Cluster"


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Login:
    """What a connection begins with; an empty ``user`` with a password is Redis' own default."""

    user: str = ""
    password: str = field(default="", repr=False)
    db: int = 0


@dataclass(frozen=True, slots=True)
class Servers:
    """Who is asked. ``addresses`` are those of Sentinels where ``kind`` says so.

    ``login`` is for Redis itself, ``gate`` for the Sentinels.
    """

    kind: Kind
    addresses: tuple[Address, ...]
    tls: bool
    login: Login
    gate: Login
    master: str


@dataclass(frozen=True, slots=True)
class _Place:
    """One URL, taken apart."""

    scheme: str
    address: Address
    user: str
    password: str = field(repr=False)
    db: int


def read_servers(settings: Redis) -> Servers:
    """What the options say. Raises ConfigError with all that is wrong."""
    kind = _kind(settings)
    problems = _misfits(settings, kind)
    places = []
    for number, url in enumerate(settings.url, 1):
        name = f"redis.url: number {number}" if len(settings.url) > 1 else "redis.url"
        try:
            places.append(_place(url.reveal(), kind))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if len(places) == len(settings.url):
        problems += _differences(settings, kind, places)
    if problems:
        raise ConfigError(problems)
    first = places[0]
    there = Login(first.user, first.password)
    login = _login(there, settings.username, settings.password.reveal())
    gate = Login()
    if kind is Kind.SENTINEL:
        # A URL's user and password are for whoever is at that URL: the Sentinel.
        gate = _login(there, settings.sentinel_username, settings.sentinel_password.reveal())
        login = Login(settings.username, settings.password.reveal())
    if (login.user and not login.password) or (gate.user and not gate.password):
        raise ConfigError(["redis.url: a user is named, but no password for it"])
    return Servers(
        kind=kind,
        addresses=tuple(dict.fromkeys(place.address for place in places)),
        tls=first.scheme == "rediss",
        login=replace(login, db=first.db),
        gate=gate,
        master=settings.sentinel_master,
    )


def _login(there: Login, user: str, password: str) -> Login:
    """What the URL says, and what it leaves out from the options."""
    return Login(there.user or user, there.password or password)


def _kind(settings: Redis) -> Kind:
    if settings.sentinel_master:
        return Kind.SENTINEL
    return Kind.CLUSTER if settings.cluster else Kind.SINGLE


def _place(url: str, kind: Kind) -> _Place:
    """Raises ValueError in words that hold nothing of the URL: a password may be anywhere in it."""
    if _UNSEEN.search(url):
        raise ValueError("holds a space or a control character")
    if "#" in url:
        raise ValueError("holds a #; in a password it is written %23")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            f"cannot be read; expected {_FORMS}, / ? # @ : of a password percent-encoded"
        ) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"expected {_FORMS}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "unix":
        return _unix_place(parts, user, password)
    if parts.query:
        raise ValueError("holds a ?; nothing is set there, and in a password it is written %3F")
    if not parts.hostname:
        raise ValueError(f"names no host; expected {_FORMS}")
    if port == 0:
        raise ValueError("port 0 is none")
    usual = _SENTINEL_PORT if kind is Kind.SENTINEL else _PORT
    address = Address(parts.hostname, port or usual)
    return _Place(parts.scheme, address, user, password, _db(parts.path.strip("/")))


def _unix_place(parts: SplitResult, user: str, password: str) -> _Place:
    if parts.hostname or not parts.path.strip("/"):
        raise ValueError("expected a path with three slashes before it: unix:///path?db=0")
    db = 0
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "password" and not password:
            password = value
        elif name == "db":
            db = _db(value)
        else:
            raise ValueError("after the ? only db=number is understood")
    return _Place("unix", Address(path=unquote(parts.path)), user, password, db)


def _db(text: str) -> int:
    if text and not _NUMBER.fullmatch(text):
        raise ValueError("the database after the host is no number")
    return int(text or 0)


def _misfits(settings: Redis, kind: Kind) -> list[str]:
    """Options that cannot be together, whatever the URLs say."""
    said = {
        "redis.url: is not set": not settings.url,
        "redis.cluster: cannot be together with redis.sentinel_master": (
            settings.cluster and kind is Kind.SENTINEL
        ),
        "redis.url: a list is for Sentinel or Cluster: set redis.sentinel_master or "
        "redis.cluster": kind is Kind.SINGLE and len(settings.url) > 1,
        "redis.key_file: is set, but no redis.certificate_file": (
            bool(settings.key_file) and not settings.certificate_file
        ),
    }
    return [words for words, wrong in said.items() if wrong]


def _differences(settings: Redis, kind: Kind, places: list[_Place]) -> list[str]:
    """What the URLs say that does not fit the options, or one another."""
    schemes = {place.scheme for place in places}
    dbs = {place.db for place in places}
    files = settings.ca_file, settings.certificate_file, settings.key_file
    said = {
        "redis.url: all of a list begin with the same redis:// or rediss://": len(schemes) > 1,
        "redis.url: all of a list name the same database": len(dbs) > 1,
        "redis.url: all of a list name the same user and password": (
            len({(place.user, place.password) for place in places}) > 1
        ),
        "redis.url: a unix socket is neither of a Sentinel nor of a Cluster": (
            kind is not Kind.SINGLE and "unix" in schemes
        ),
        "redis.url: a Cluster has no database but 0": kind is Kind.CLUSTER and any(dbs),
        "redis.ca_file, redis.certificate_file: are for rediss:// only": (
            bool(schemes) and "rediss" not in schemes and any(files)
        ),
    }
    return [words for words, wrong in said.items() if wrong]
