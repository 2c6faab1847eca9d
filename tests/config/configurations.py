"""A small valid configuration, and ways to load a variation of it."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.config.load import Sources, load
from proxy.config.settings import Settings
from proxy.errors import ConfigError

SECRET = "m8Qy0fW2kZrP5tXn7uVbA1cD3eF6gH9jKlMoNpQrStU="

MINIMAL = f"""\
public_url: https://app.example.org
upstream: http://app:8501
provider:
  issuer_url: https://idp.example.org/
  client_id: playground
  client_secret: tiger-in-the-tank
cookie:
  secret: {SECRET}
"""

SEVERAL = f"""\
public_url: https://app.example.org
upstream: http://app:8501
providers:
  - name: google
    preset: google
    client_id: app
    client_secret: tiger-in-the-tank
  - name: partners
    label: Partners
    issuer_url: https://idp.example.org/
    client_id: playground
    client_secret: zebra-in-the-zoo
cookie:
  secret: {SECRET}
"""
"""Two providers; the second one's entry begins on line 8."""

MINIMAL_ENVIRONMENT: Mapping[str, str] = {
    "AUTH_PROXY_PUBLIC_URL": "https://app.example.org",
    "AUTH_PROXY_UPSTREAM": "http://app:8501",
    "AUTH_PROXY_PROVIDER_ISSUER_URL": "https://idp.example.org/",
    "AUTH_PROXY_PROVIDER_CLIENT_ID": "playground",
    "AUTH_PROXY_PROVIDER_CLIENT_SECRET": "tiger-in-the-tank",
    "AUTH_PROXY_COOKIE_SECRET": SECRET,
}


def load_text(
    text: str | None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Settings:
    """Load ``text`` as proxy.cfg; ``files`` are the files that exist, by path."""

    def read_file(path: str) -> str:
        if path not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory", path)
        return (files or {})[path]

    path = None if text is None else "proxy.cfg"
    return load(Sources(path, text, environ or {}, flags or {}), read_file)


def problems_of(
    text: str | None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> list[str]:
    """The problems of a configuration; an empty list when it is valid."""
    try:
        load_text(text, environ, flags, files)
    except ConfigError as exc:
        return list(exc.problems)
    return []
