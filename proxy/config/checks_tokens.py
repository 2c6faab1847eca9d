"""Rules about tokens of our own: where they are kept, and what they may look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from proxy.config.settings import Settings
from proxy.config.types import show_duration

Found = Iterator[tuple[str, str]]

_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")
"""One scope (RFC 6749 section 3.3)."""


def _kept(settings: Settings) -> Found:
    if settings.redis.url or settings.session.file:
        return
    for name in ("personal", "terminal"):
        if getattr(settings.tokens, name):
            yield f"tokens.{name}", "needs redis.url or session.file: tokens are kept there"


def _prefix(settings: Settings) -> Found:
    """A token of ours never leaves for an upstream, whatever the order of reading is."""
    if not settings.redis.url and not settings.session.file:
        return
    ours = f"{settings.tokens.prefix}_"
    for number, route in enumerate(settings.routes):
        for prefix in route.passthrough_prefixes:
            if ours.startswith(prefix) or prefix.startswith(ours):
                yield (
                    f"routes.{number}.passthrough_prefixes",
                    f"{prefix!r} would hand on tokens of ours, which begin with {ours}: "
                    "choose another tokens.prefix",
                )


def _ages(settings: Settings) -> Found:
    tokens, lifetime = settings.tokens, settings.session.lifetime
    if (tokens.personal or tokens.terminal) and tokens.identity_max_age < lifetime:
        yield (
            "tokens.identity_max_age",
            f"must not be shorter than session.lifetime ({show_duration(lifetime)}): "
            "tokens of people who are signed in would be refused",
        )


def _scopes(settings: Settings) -> Found:
    for scope in settings.tokens.scopes:
        if not _SCOPE.fullmatch(scope):
            yield "tokens.scopes", f"{scope!r} is no scope"


TOKENS: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("tokens.personal", "tokens.terminal", "redis.url", "session.file"), _kept),
    (("tokens.prefix", "redis.url", "session.file", "routes.*.passthrough_prefixes"), _prefix),
    (
        ("tokens.personal", "tokens.terminal", "tokens.identity_max_age", "session.lifetime"),
        _ages,
    ),
    (("tokens.scopes",), _scopes),
)
