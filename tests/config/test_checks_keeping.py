"""The rules about where sessions are kept, the addresses of Redis, and the API's token."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.config.configurations import MINIMAL, SECRET, problems_of

PASSWORD = "zebra-in-the-zoo"
URL = f"redis://:{PASSWORD}@redis:6379/0"
TLS = f"rediss://app:{PASSWORD}@redis:6380"


def reported(flags: Mapping[str, str]) -> str:
    """All problems in one text, and never a part of a URL's password."""
    text = "\n".join(problems_of(MINIMAL, flags=flags))
    assert not any(part in text for part in PASSWORD.split("-") if len(part) > 3), text
    return text


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(
            {"session.store": "redis"}, "session.store: redis needs redis.url", id="no Redis"
        ),
        pytest.param(
            {"session.store": "file"}, "session.store: file needs session.file", id="no file"
        ),
        pytest.param(
            {"session.file": "/s.db", "redis.url": URL},
            "session.file: has no use beside redis.url",
            id="a file and a Redis",
        ),
        pytest.param(
            {"redis.url": f"{URL},{URL}"},
            "redis.url: several URLs need redis.sentinel_master or redis.cluster",
            id="several servers that are neither",
        ),
        pytest.param(
            {"redis.url": URL, "redis.sentinel_master": "m", "redis.cluster": "true"},
            "redis.cluster: does not go with redis.sentinel_master",
            id="Sentinel and Cluster",
        ),
        pytest.param(
            {"redis.sentinel_master": "m"},
            "redis.sentinel_master: needs redis.url",
            id="a master without Sentinels",
        ),
        pytest.param(
            {"redis.cluster": "true"}, "redis.cluster: needs redis.url", id="an empty cluster"
        ),
        pytest.param(
            {"redis.url": "redis://a:1/2", "redis.cluster": "true"},
            "redis.url: a Cluster has one database only",
            id="a database of a Cluster",
        ),
        pytest.param(
            {"redis.url": "unix:///run/redis.sock", "redis.cluster": "true"},
            "redis.url: Sentinel and Cluster are not on unix sockets",
            id="a Cluster on a socket",
        ),
        pytest.param(
            {"redis.url": "unix:///run/redis.sock", "redis.sentinel_master": "m"},
            "redis.url: Sentinel and Cluster are not on unix sockets",
            id="a Sentinel on a socket",
        ),
        pytest.param(
            {"redis.url": "redis://a,rediss://b", "redis.cluster": "true"},
            "the URLs must have the same scheme",
            id="half of it with TLS",
        ),
        pytest.param(
            {"redis.url": "redis://a/1,redis://b/2", "redis.sentinel_master": "m"},
            "and the same database number",
            id="two databases",
        ),
        pytest.param(
            {"redis.url": f"redis://:{PASSWORD}@a,redis://b", "redis.cluster": "true"},
            "redis.url: the URLs must have the same user and password",
            id="a password for one node",
        ),
        pytest.param(
            {"redis.url": "redis://app@a"},
            "redis.password: is needed: a user is named",
            id="a user without a password",
        ),
        pytest.param(
            {
                "redis.url": "redis://a",
                "redis.sentinel_master": "m",
                "redis.sentinel_username": "app",
                "redis.password": PASSWORD,
            },
            "redis.sentinel_password: is needed",
            id="a user of the Sentinel without a password",
        ),
        pytest.param(
            {
                "redis.url": f"redis://:{PASSWORD}@a",
                "redis.sentinel_master": "m",
                "redis.username": "app",
            },
            "redis.password: is needed",
            id="a user of the master without a password",
        ),
        pytest.param(
            {"redis.url": f"redis://a,http://{PASSWORD}", "redis.cluster": "true"},
            "redis.url: URL 2 of the list must begin with redis://",
            id="the second is none",
        ),
        *(
            pytest.param(
                {"redis.url": URL, f"redis.{name}": "/x.pem"},
                f"redis.{name}: needs a redis.url that begins with rediss://",
                id=f"{name} without TLS",
            )
            for name in ("ca_file", "certificate_file", "key_file")
        ),
        pytest.param(
            {"redis.url": TLS, "redis.key_file": "/x.pem"},
            "redis.key_file: needs redis.certificate_file",
            id="a key without its certificate",
        ),
        pytest.param(
            {"server.admin_token": PASSWORD},
            "server.admin_token: needs 32 characters",
            id="a token that can be guessed",
        ),
        pytest.param(
            {"server.admin_token": SECRET},
            "server.admin_token: must differ from cookie.secret",
            id="the cookie secret given away",
        ),
    ],
)
def test_what_does_not_fit_together(flags: Mapping[str, str], expected: str) -> None:
    assert expected in reported(flags)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(f"redis:{PASSWORD}@h", "must begin with", id="no slashes"),
        pytest.param(f"app:{PASSWORD}@h:6379", "must begin with", id="no scheme"),
        pytest.param(f"http://:{PASSWORD}@h", "must begin with", id="another scheme"),
        pytest.param(f"REDIS://:{PASSWORD}@h", "must begin with", id="a scheme in capitals"),
        pytest.param(f"redis://:{PASSWORD}@", "has no host", id="no host"),
        pytest.param(f"redis://h:{PASSWORD}", "has a port that is none", id="a port"),
        pytest.param(f"redis://:{PASSWORD}/x@h", "has a port", id="a slash in the password"),
        pytest.param(f"redis://:{PASSWORD}#x@h", "holds a #", id="a # in the password"),
        pytest.param(f"redis://:{PASSWORD}?x@h", "holds a ?", id="a ? in the password"),
        pytest.param(f"redis://:{PASSWORD}[@h", "cannot be read", id="a bracket in it"),
        pytest.param(f"redis://:{PASSWORD}\t@h", "control", id="a tab"),
        pytest.param(f"redis://h/0/{PASSWORD}", "number of a database", id="a longer path"),
        pytest.param("redis://h/sessions", "number of a database", id="a name of a database"),
        pytest.param("redis://h?db=1", "holds a ?", id="an option of the library's"),
        pytest.param("unix://run/redis.sock", "three slashes", id="a relative socket"),
        pytest.param("unix://", "has no path", id="no socket"),
        pytest.param(f"unix:///s?password={PASSWORD}", "?db= and a number", id="an option"),
    ],
)
def test_urls_that_are_none(url: str, expected: str) -> None:
    problem = reported({"redis.url": url})
    assert problem.startswith("--redis-url: redis.url: the URL ")
    assert expected in problem


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param({"redis.url": URL, "session.store": "redis"}, id="one server"),
        pytest.param({"redis.url": URL}, id="sessions in cookies, the rest in Redis"),
        pytest.param({"redis.url": "redis://[::1]/15"}, id="IPv6 and no port"),
        pytest.param({"redis.url": f"unix://app:{PASSWORD}@/run/r.sock?db=3"}, id="a socket"),
        pytest.param(
            {"redis.url": TLS, "redis.ca_file": "/a", "redis.certificate_file": "/b"}, id="TLS"
        ),
        pytest.param(
            {"redis.url": "redis://a:26379,redis://b:26379", "redis.sentinel_master": "m"},
            id="Sentinels",
        ),
        pytest.param(
            {"redis.url": "redis://a/3", "redis.sentinel_master": "m"},
            id="one Sentinel, and a database of its master",
        ),
        pytest.param({"redis.url": "redis://a\nredis://b", "redis.cluster": "true"}, id="Cluster"),
        pytest.param({"redis.password": PASSWORD}, id="a password for a Redis that is not used"),
        pytest.param({"session.store": "file", "session.file": "/s.db"}, id="a file"),
        pytest.param({"session.refresh_every": "5m", "server.workers": "4"}, id="workers refresh"),
        pytest.param({"server.admin_token": "n" * 32}, id="a token"),
    ],
)
def test_what_fits(flags: Mapping[str, str]) -> None:
    assert reported(flags) == ""
