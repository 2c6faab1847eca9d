"""What the redis.* options say about whom to ask, and that no password is ever shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.keeping import Redis
from proxy.config.types import Secret
from proxy.errors import ConfigError
from proxy.session.redis_address import Address, Kind, Login, Servers, read_servers


def read(*urls: str, **options: Any) -> Servers:
    for name in ("password", "sentinel_password"):
        if name in options:
            options[name] = Secret(options[name])
    return read_servers(Redis(url=tuple(map(Secret, urls)), **options))


@pytest.mark.parametrize(
    ("url", "address", "login"),
    [
        pytest.param("redis://host", Address("host", 6379), Login(), id="host"),
        pytest.param("redis://host:1/", Address("host", 1), Login(), id="port"),
        pytest.param("redis://host/2", Address("host", 6379), Login(db=2), id="database"),
        pytest.param("redis://[::1]:7", Address("::1", 7), Login(), id="IPv6"),
        pytest.param("redis://:p@host", Address("host", 6379), Login("", "p"), id="password"),
        pytest.param("redis://u:p@host", Address("host", 6379), Login("u", "p"), id="user"),
        pytest.param(
            "redis://u%40x:p%2F%3A%23%3F%40@host", Address("host", 6379), Login("u@x", "p/:#?@"),
            id="percent-encoded",
        ),
        pytest.param("redis://u:p@q@host", Address("host", 6379), Login("u", "p@q"), id="two @"),
        pytest.param("unix:///run/redis.sock", Address(path="/run/redis.sock"), Login(), id="unix"),
        pytest.param("unix:///a%20b?db=3", Address(path="/a b"), Login(db=3), id="unix, database"),
        pytest.param(
            "unix://u:p@/s?db=1", Address(path="/s"), Login("u", "p", 1), id="unix, user"
        ),
        pytest.param("unix:///s?password=p", Address(path="/s"), Login("", "p"), id="as redis-py"),
    ],
)  # fmt: skip
def test_what_a_url_says(url: str, address: Address, login: Login) -> None:
    servers = read(url)
    assert servers.kind is Kind.SINGLE
    assert servers.addresses == (address,)
    assert servers.login == login
    assert not servers.tls


def test_tls_is_by_scheme() -> None:
    assert read("rediss://host").tls


def test_the_options_fill_what_the_url_leaves_out() -> None:
    assert read("redis://host/1", username="u", password="p").login == Login("u", "p", 1)
    assert read("redis://x:y@host", username="u", password="p").login == Login("x", "y")
    assert read("redis://x@host", password="p").login == Login("x", "p")


def test_sentinels_have_a_login_of_their_own() -> None:
    servers = read(
        "redis://a/2",
        "redis://b:1/2",
        sentinel_master="main",
        username="u",
        password="p",
        sentinel_username="su",
        sentinel_password="sp",
    )
    assert servers.kind is Kind.SENTINEL
    assert servers.master == "main"
    assert servers.addresses == (Address("a", 26379), Address("b", 1))
    assert servers.login == Login("u", "p", 2)
    assert servers.gate == Login("su", "sp")


def test_a_sentinel_url_names_the_login_of_the_sentinel() -> None:
    servers = read("redis://su:sp@a", sentinel_master="main", password="p")
    assert servers.login == Login("", "p")
    assert servers.gate == Login("su", "sp")


def test_a_cluster() -> None:
    servers = read("redis://:p@a", "redis://:p@b:2", "redis://:p@a", cluster=True)
    assert servers.kind is Kind.CLUSTER
    assert servers.addresses == (Address("a", 6379), Address("b", 2))
    assert servers.login == Login("", "p")


def test_addresses_as_people_write_them() -> None:
    shown = [str(read(url).addresses[0]) for url in ("redis://h:1", "redis://[::1]", "unix:///s")]
    assert shown == ["h:1", "[::1]:6379", "/s"]


WRONG = [
    pytest.param(["http://S3CRET@host"], {}, "redis.url: expected redis://", id="scheme"),
    pytest.param(["S3CRET"], {}, "redis.url: expected redis://", id="no URL"),
    pytest.param(["redis://:S3CRET#x@host"], {}, "written %23", id="# in password"),
    pytest.param(["redis://:S3CRET?x@host"], {}, "redis.url: ", id="? in password"),
    pytest.param(["redis://:S3/CRET@host"], {}, "cannot be read", id="/ in password"),
    pytest.param(["redis://:S3CRET@h:port"], {}, "cannot be read", id="port"),
    pytest.param(["redis://:S3CRET@h:99999"], {}, "cannot be read", id="large port"),
    pytest.param(["redis://:S3CRET@h:0"], {}, "port 0", id="port 0"),
    pytest.param(["redis://:S3CRET@[::1"], {}, "cannot be read", id="bracket"),
    pytest.param(["redis://:S3CRET@"], {}, "names no host", id="no host"),
    pytest.param(["redis://:S3CRET@h/x"], {}, "is no number", id="database"),
    pytest.param(["redis://:S3CRET@h/-1"], {}, "is no number", id="database below 0"),
    pytest.param(["redis://:S3CRET@h ost"], {}, "a space", id="space"),
    pytest.param(["redis://:S3CRET@h\n"], {}, "a space", id="line end"),
    pytest.param(["redis://h?ssl_cert_reqs=none"], {}, "holds a ?", id="query"),
    pytest.param(["unix://S3CRET/s"], {}, "three slashes", id="unix with a host"),
    pytest.param(["unix://"], {}, "three slashes", id="unix without a path"),
    pytest.param(["unix:///s?S3CRET=1"], {}, "only db=number", id="unix query"),
    pytest.param([], {}, "redis.url: is not set", id="none"),
    pytest.param(["redis://a", "redis://b"], {}, "is for Sentinel or Cluster", id="list"),
    pytest.param(["redis://a", "rediss://b"], {"cluster": True}, "the same redis", id="schemes"),
    pytest.param(["redis://a/1", "redis://b"], {"sentinel_master": "m"}, "same database", id="dbs"),
    pytest.param(
        ["redis://:S3CRET@a", "redis://:b@b"], {"cluster": True}, "same user", id="passwords"
    ),
    pytest.param(["unix:///s"], {"cluster": True}, "unix socket", id="unix Cluster"),
    pytest.param(["redis://a/1"], {"cluster": True}, "no database but 0", id="Cluster database"),
    pytest.param(
        ["redis://a"], {"cluster": True, "sentinel_master": "m"}, "cannot be together", id="both"
    ),
    pytest.param(["redis://a"], {"username": "u"}, "no password", id="user only"),
    pytest.param(["redis://u@a"], {}, "no password", id="user in URL only"),
    pytest.param(["redis://a"], {"ca_file": "/ca"}, "for rediss:// only", id="CA without TLS"),
    pytest.param(["rediss://a"], {"key_file": "/k"}, "no redis.certificate_file", id="key only"),
]


@pytest.mark.parametrize(("urls", "options", "words"), WRONG)
def test_what_cannot_be_meant(urls: list[str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(*urls, **options)
    assert words in str(caught.value)
    assert "S3" not in str(caught.value)
    assert "CRET" not in repr(caught.value)


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("http://a", "redis://b:x", key_file="/k")
    assert [line.split(": ")[:2] for line in caught.value.problems] == [
        ["redis.url", "a list is for Sentinel or Cluster"],
        ["redis.key_file", "is set, but no redis.certificate_file"],
        ["redis.url", "number 1"],
        ["redis.url", "number 2"],
    ]


def test_no_password_in_what_is_printed() -> None:
    servers = read("redis://:S3CRET@a", sentinel_master="m", password="T0PS3CRET")
    assert "S3CRET" not in repr(servers)


@given(st.text(max_size=40), st.text(max_size=20))
def test_whatever_stands_there_is_read_or_named(before: str, after: str) -> None:
    said = ""
    try:
        read(f"redis://{before}S3CRET{after}")
    except ConfigError as error:
        said = str(error)
    assert "S3CRET" not in said
