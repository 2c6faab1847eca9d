"""What is measured: auth-proxy, and what stands beside it; each a command and a configuration."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import version_of

CONFIGS = Path(__file__).with_name("configs")
_APACHE_MODULES = Path("/usr/lib/apache2/modules")

AUTH_PROXY = "auth-proxy"
TWO_WORKERS = "auth-proxy with 2 workers"
WITH_REDIS = "auth-proxy with Redis"
WITH_BEARER = "auth-proxy with a bearer JWT"
NGINX = "nginx"
NGINX_STREAMING = "nginx without buffering"
NGINX_RETURN = "nginx return"
OAUTH2_PROXY = "oauth2-proxy"
APACHE = "mod_auth_openidc"
DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Contender:
    """``name`` is how it is called everywhere; ``key`` is its client id and file name.

    ``command`` makes the command line from the configuration file's path.
    """

    name: str
    key: str
    template: str
    command: Callable[[Path], tuple[str, ...]]
    program: str
    version: Callable[[], str]
    signs_in: bool = False
    values: Mapping[str, str] | None = None
    has_token: bool = False
    """Its person comes with a bearer JWT instead of a cookie."""

    @property
    def is_here(self) -> bool:
        return bool(find(self.program))


def find(program: str) -> str:
    """The program's path, also where only root usually looks; empty when it is missing."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


def fill(template: str, values: Mapping[str, str]) -> str:
    """The configuration with ``{{name}}`` replaced. Raises KeyError for an unknown name."""
    first, *rest = (CONFIGS / template).read_text(encoding="utf-8").split("{{")
    pieces = [piece.partition("}}") for piece in rest]
    return first + "".join(values[name] + text for name, _, text in pieces)


def _auth_proxy(config: Path) -> tuple[str, ...]:
    return sys.executable, "-m", "proxy", "serve", "--config", str(config)


def _nginx(config: Path) -> tuple[str, ...]:
    return find("nginx"), "-p", str(config.parent), "-e", "stderr", "-c", str(config)


def _oauth2_proxy(config: Path) -> tuple[str, ...]:
    return find("oauth2-proxy"), f"--config={config}"


def _apache(config: Path) -> tuple[str, ...]:
    return find("apache2"), "-f", str(config), "-DFOREGROUND"


def _nginx_version() -> str:
    return version_of(find("nginx"), "-v")


def _apache_version() -> str:
    """That of the module, where Debian's package manager knows it."""
    return version_of("dpkg-query", "-W", "libapache2-mod-auth-openidc") or "unknown"


def _nginx_as(name: str, template: str, **values: str) -> Contender:
    key = name.replace(" ", "-")
    return Contender(name, key, template, _nginx, "nginx", _nginx_version, values=values)


def _ours(name: str, key: str, server: str = "", session: str = "") -> Contender:
    def version() -> str:
        return version_of(sys.executable, "-m", "proxy", "--version")

    command, program = _auth_proxy, sys.executable
    values = {"server": server, "session": session}
    return Contender(name, key, "auth-proxy.yml", command, program, version, True, values)


STREAMING = "proxy_buffering off; proxy_request_buffering off;"
# "{redis}" becomes the port of the Redis that runs meanwhile.
IN_REDIS = "session: {store: redis}\nredis: {url: redis://127.0.0.1:{redis}/0}"

# "{port}" becomes its own port: what signs identity JWTs signs the tokens, too.
TRUSTED = """\
bearer:
  issuers:
    - name: bench
      issuer_url: http://127.0.0.1:{port}/bench
      jwks_uri: http://127.0.0.1:{port}/oauth2/.well-known/jwks.json
      audiences: [bench]
"""

CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender
    for contender in (
        _ours(AUTH_PROXY, "auth-proxy"),
        _ours(WITH_REDIS, "auth-proxy-redis", session=IN_REDIS),
        replace(_ours(WITH_BEARER, "auth-proxy-bearer", session=TRUSTED), has_token=True),
        _ours(TWO_WORKERS, "auth-proxy-two", "workers: 2"),
        _nginx_as(NGINX, "nginx.conf", buffering=""),
        _nginx_as(NGINX_STREAMING, "nginx.conf", buffering=STREAMING),
        _nginx_as(NGINX_RETURN, "nginx-return.conf"),
        Contender(
            OAUTH2_PROXY,
            "oauth2-proxy",
            "oauth2-proxy.cfg",
            _oauth2_proxy,
            "oauth2-proxy",
            lambda: version_of(find("oauth2-proxy"), "--version"),
            True,
        ),
        Contender(
            APACHE,
            "mod_auth_openidc",
            "apache.conf",
            _apache,
            "apache2",
            _apache_version,
            True,
            {"modules": str(_APACHE_MODULES)},
        ),
    )
}


def versions(contenders: Iterable[Contender]) -> dict[str, str]:
    """Program → version; what runs in several roles is named once."""
    found = {
        one.key.partition("-")[0] if one.program == "nginx" else one.key: one for one in contenders
    }
    return {name: one.version() for name, one in found.items() if one.name != TWO_WORKERS}


def present() -> list[Contender]:
    """Those whose program is on this machine."""
    return [
        contender
        for contender in CONTENDERS.values()
        if contender.is_here
        and (contender.name != APACHE or (_APACHE_MODULES / "mod_auth_openidc.so").exists())
    ]
