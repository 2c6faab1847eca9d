"""What happens around a sign-in: the flow, hooks, provisioning, and the page for debugging."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from typing import Literal

from proxy.config.section import Section, option
from proxy.config.types import Duration, Strings


class Login(Section):
    enabled: bool = option(True, "false answers 503 to sign-ins; sessions go on")
    attempt_ttl: Duration = option("10m", "how long a begun sign-in may take", ge=1)
    max_attempts: int = option(5, "sign-ins begun at once in one browser (tabs)", ge=1, le=7)
    redirect_hosts: Strings = option(
        (), "further hosts that rd may name: host, host:port or .domain for its subdomains"
    )
    max_bounces: int = option(3, "sign-ins in a row before a page explains the loop", ge=1, le=20)


class Hooks(Section):
    post_login: str = option(
        "", "module:function beside the configuration, asked at each sign-in and refresh",
        pattern=r"^([A-Za-z_][\w.]*[.:][A-Za-z_]\w*)?$",
    )  # fmt: skip
    folder: str = option(
        "", "directory of that module; empty means the directory of the configuration file"
    )
    timeout: Duration = option("5s", "limit on each call of a hook", gt=0)


class Provisioning(Section):
    url: str = option(
        "", "called with POST and our JWT at a person's first sign-in: a URL, or a path of the "
        "upstream",
        pattern=r"^(https?://[^\s?#]+|/[^\s?#]*)?$",
    )  # fmt: skip
    when: Literal["first", "always"] = option("first", "at the first sign-in, or at each")
    failure: Literal["refuse", "allow"] = option(
        "refuse", "what to do when it does not work: refuse the sign-in, or go on without"
    )
    retries: int = option(2, "further tries after a failure that may pass", ge=0, le=5)
    timeout: Duration = option("5s", "limit on each try", gt=0)
    remember: Duration = option("30d", "how long a person counts as provisioned", ge=60)


class Debug(Section):
    enabled: bool = option(
        False, "a page for administrators that shows what a sign-in brings and how it is judged"
    )
    roles: Strings = option((), "who may see it: one of these roles is needed")
