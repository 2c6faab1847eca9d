"""Rules about what happens around a sign-in: hooks, provisioning, the page for debugging."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from proxy.config.settings import Settings
from proxy.config.types import parse_http_url
from proxy.config.upstreams import unix_parts

Found = Iterator[tuple[str, str]]


def _hooks(settings: Settings) -> Found:
    name = settings.hooks.post_login
    if name and not all(word.isidentifier() for word in re.split("[.:]", name)):
        yield "hooks.post_login", f"{name!r} is not module:function, such as people:admit"


def _provisioning(settings: Settings) -> Found:
    url, upstream = settings.provisioning.url, settings.upstream
    if url.startswith("/"):
        if not upstream:
            yield "provisioning.url", "a path needs a global upstream; or write a whole URL"
        elif any(unix_parts(each) for each in upstream):
            yield "provisioning.url", "a path needs an http upstream, and no socket"
    elif url:
        try:
            parse_http_url(url)
        except ValueError as exc:
            # not the URL itself: somebody may have written a password into it
            words = str(exc) if "@" not in url else "a URL holds no user name or password here"
            yield "provisioning.url", words


def _debug(settings: Settings) -> Found:
    if settings.debug.enabled and not settings.debug.roles:
        yield "debug.roles", "is needed: it says who may see the page of debug.enabled"


SIGN_IN: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("hooks.post_login",), _hooks),
    (("provisioning.url", "upstream"), _provisioning),
    (("debug.enabled", "debug.roles"), _debug),
)
