"""Rules about limits: each says something, and something else than the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from proxy.config.access import Access
from proxy.config.programs import Limit
from proxy.config.settings import Settings

Found = Iterator[tuple[str, str]]


def _limits(settings: Settings) -> Found:
    yield from _each("limits", settings.limits)
    for number, route in enumerate(settings.routes):
        yield from _each(f"routes.{number}.limits", route.limits)


def _each(place: str, limits: Sequence[Limit]) -> Found:
    """No limit says nothing, nor what another one beside it says."""
    seen: dict[tuple[str, float], int] = {}
    for number, limit in enumerate(limits):
        if "window" in limit.model_fields_set and not limit.requests:
            yield f"{place}.{number}.window", "says nothing without requests"
        rates = [(limit.per, limit.window)] if limit.requests else []
        for kind in (*rates, *([(limit.per, 0.0)] if limit.concurrent else [])):
            first = seen.setdefault(kind, number)
            if first != number:
                yield f"{place}.{number}", f"limits the same as {place}.{first}"


def _limits_of_public_routes(settings: Settings) -> Found:
    """Nobody has a name there."""
    for number, route in enumerate(settings.routes):
        for which, limit in enumerate(route.limits):
            if route.access is Access.PUBLIC and limit.per in ("person", "token"):
                yield (
                    f"routes.{number}.limits.{which}.per",
                    f"a public route knows no {limit.per}: count per address",
                )


LIMITS: tuple[tuple[tuple[str, ...], Callable[[Settings], Found]], ...] = (
    (("limits", "routes.*.limits"), _limits),
    (("routes.*.limits", "routes.*.access"), _limits_of_public_routes),
)
