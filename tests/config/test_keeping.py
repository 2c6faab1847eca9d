"""The options of keeping people signed in."""

from __future__ import annotations

import pytest

from proxy.config.keeping import Redis, SessionSettings
from tests.config.configurations import MINIMAL, load_text, problems_of

PASSWORD = "zebra-in-the-zoo"


def test_sessions_are_in_cookies_and_nothing_else_is_needed() -> None:
    settings = load_text(MINIMAL)
    session = settings.session
    assert (session.store, session.file, settings.redis.url) == ("cookie", "", ())
    assert (session.lifetime, session.idle_timeout, session.refresh_every) == (43200, 14400, 0)
    assert (session.max_per_person, session.cache, session.end_claim) == (100, 1, "")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("redis://a:1,redis://b:2", id="commas"),
        pytest.param("redis://a:1\nredis://b:2\n", id="lines"),
        pytest.param("# Sentinels, both\nredis://a:1\n\n redis://b:2 \r\n", id="remarks"),
    ],
)
def test_addresses_of_redis_are_a_list(written: str) -> None:
    environ = {"AUTH_PROXY_REDIS_URL": written, "AUTH_PROXY_REDIS_SENTINEL_MASTER": "main"}
    redis = load_text(MINIMAL, environ).redis
    assert [url.reveal() for url in redis.url] == ["redis://a:1", "redis://b:2"]


def test_addresses_of_redis_can_come_from_a_file() -> None:
    environ = {"AUTH_PROXY_REDIS_URL_FILE": "/run/redis", "AUTH_PROXY_REDIS_CLUSTER": "true"}
    files = {"/run/redis": "redis://a:1\nredis://b:2\n"}
    assert len(load_text(MINIMAL, environ, files=files).redis.url) == 2


def test_nothing_shows_a_password_of_redis() -> None:
    environ = {
        "AUTH_PROXY_REDIS_URL": f"redis://:{PASSWORD}@redis:6379/0",
        "AUTH_PROXY_REDIS_PASSWORD": PASSWORD,
        "AUTH_PROXY_REDIS_SENTINEL_PASSWORD": PASSWORD,
        "AUTH_PROXY_SERVER_ADMIN_TOKEN": f"{PASSWORD}-{PASSWORD}",
    }
    settings = load_text(MINIMAL, environ)
    assert PASSWORD not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param({"session.store": "memory"}, "session.store: ", id="an unknown store"),
        pytest.param({"session.max_per_person": "-1"}, "session.max_per_person: ", id="limit"),
        pytest.param({"session.cache": "6s"}, "session.cache: ", id="relied on for too long"),
        pytest.param({"redis.timeout": "0"}, "redis.timeout: ", id="no time at all"),
        pytest.param({"redis.timeout": "31s"}, "redis.timeout: ", id="too much time"),
        pytest.param({"redis.prefix": ""}, "redis.prefix: ", id="no prefix"),
        pytest.param({"redis.prefix": "a {b}:"}, "redis.prefix: ", id="a prefix with a hash tag"),
        pytest.param({"redis.connections": "0"}, "redis.connections: ", id="no connection"),
    ],
)
def test_what_cannot_be_meant(flags: dict[str, str], expected: str) -> None:
    (problem,) = problems_of(MINIMAL, flags=flags)
    assert expected in problem


def test_every_default_is_one_that_could_be_written() -> None:
    assert SessionSettings.model_validate({}).lifetime == 43200
    assert Redis.model_validate({}).prefix == "auth-proxy:"
