"""The options of keeping people signed in: how long, where, and the cookie."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.

from typing import Literal

from proxy.config.section import Section, option
from proxy.config.types import Duration, Secret, Secrets


class SessionSettings(Section):
    store: Literal["cookie", "redis", "file"] = option(
        "cookie",
        "where a session is: sealed in the cookie itself; or in redis or in session.file, and only "
        "a ticket in the cookie",
    )
    file: str = option(
        "",
        "SQLite file that remembers, without a Redis and for one machine, who is signed in and "
        "who no more; empty keeps that until the proxy stops",
    )
    lifetime: Duration = option("12h", "absolute end of a session after sign-in", ge=1)
    idle_timeout: Duration = option("4h", "end of a session that nobody uses; 0 sets none")
    refresh_every: Duration = option(
        0, "how often tokens are refreshed and the access rules judged again; 0 means never"
    )

    end_claim: str = option(
        "", "claim with the time (Unix seconds) at which the provider ends the session, if sooner"
    )
    max_per_person: int = option(
        100,
        "sessions of one person at once; the oldest one ends for one more; 0 sets no limit",
        ge=0,
    )
    cache: Duration = option(
        "1s", "how long a session from redis is taken as read, without asking again", le=5
    )


class Cookie(Section):
    secret: Secrets = option(
        (),
        "32 random bytes, or a list of such: the first seals, all open; make one: auth-proxy keys "
        "secret",
    )
    name: str = option(
        "",
        "base name; empty means __Host-auth_proxy on https, auth_proxy on http",
        pattern=r"^[\w-]*$",
    )
    domain: str = option("", "cookie domain, to share sessions between subdomains")
    same_site: Literal["Lax", "None"] = option(
        "Lax", "the SameSite attribute; Strict would be withheld on the way back from the provider"
    )
    secure: bool | None = option(None, "the Secure attribute; by default it follows public_url")


class Redis(Section):
    url: Secrets = option(
        (),
        "redis://host:6379/0, rediss:// for TLS or unix:///path; a list of them for Sentinel or "
        "Cluster",
    )
    username: str = option("", "ACL user, if the URL names none")
    password: Secret = option(Secret(""), "its password")
    sentinel_master: str = option("", "name of the master; then the URLs are those of Sentinels")
    sentinel_username: str = option("", "ACL user at the Sentinels themselves")
    sentinel_password: Secret = option(Secret(""), "its password")
    cluster: bool = option(False, "the URLs are those of nodes of a Redis Cluster")
    ca_file: str = option("", "PEM file of certificate authorities to trust for rediss")
    certificate_file: str = option("", "PEM file of the certificate that Redis is shown")
    key_file: str = option("", "PEM file of its private key; empty if it is in the same file")
    prefix: str = option(
        "auth-proxy:",
        "how our keys begin; another for each proxy on one Redis",
        pattern=r"^[!-z]+$",
    )
    timeout: Duration = option("1s", "limit on each command, connecting included", gt=0, le=30)
    connections: int = option(64, "connections to Redis at once, of each process", ge=1)
