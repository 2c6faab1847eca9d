"""The rules about limits."""

from __future__ import annotations

import pytest

from tests.config.configurations import MINIMAL, problems_of

PUBLIC = "a public route knows no"


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        pytest.param("[{requests: 10}]", "", id="requests of a person in a minute"),
        pytest.param("[{requests: 10, window: 1h, concurrent: 2}]", "", id="both"),
        pytest.param("[{requests: 10}, {requests: 100, window: 1h}]", "", id="two windows"),
        pytest.param("[{requests: 10}, {requests: 9, per: address}]", "", id="two kinds"),
        pytest.param("[{requests: 10}, {concurrent: 1}]", "", id="a rate, and places"),
        pytest.param("[{requests: 10}, {requests: 9}]", "limits.1: limits the same as", id="twice"),
        pytest.param("[{concurrent: 1}, {concurrent: 2}]", "1: limits the same as", id="at once"),
        pytest.param("[{concurrent: 1, window: 1h}]", "0.window: says nothing", id="no requests"),
        pytest.param("[{per: route}]", "a limit needs requests or concurrent", id="nothing"),
        pytest.param("[{requests: -1}]", "limits.0.requests", id="fewer than none"),
        pytest.param("[{requests: 1, window: 500ms}]", "limits.0.window", id="too short"),
        pytest.param("[{requests: 1, per: planet}]", "limits.0.per", id="of whom"),
    ],
)
@pytest.mark.parametrize("place", ["limits", "routes"])
def test_limits(limits: str, expected: str, place: str) -> None:
    given = limits if place == "limits" else f"[{{path: /api/*, limits: {limits}}}]"
    found = "\n".join(problems_of(MINIMAL, flags={place: given}))
    assert expected in found
    assert len(found.splitlines()) == bool(expected)
    assert not expected or f"{'' if place == 'limits' else 'routes.0.'}limits" in found


@pytest.mark.parametrize(
    ("access", "per", "expected"),
    [
        ("public", "person", PUBLIC),
        ("public", "token", PUBLIC),
        ("public", "address", ""),
        ("public", "route", ""),
        ("optional", "person", ""),
        ("required", "token", ""),
    ],
)
def test_nobody_has_a_name_on_a_public_route(access: str, per: str, expected: str) -> None:
    limits = f"[{{requests: 1, per: {per}}}]"
    routes = f"[{{path: /api/*, access: {access}, limits: {limits}}}]"
    found = "\n".join(problems_of(MINIMAL, flags={"routes": routes}))
    assert expected in found
    assert len(found.splitlines()) == bool(expected)
    assert not problems_of(MINIMAL, flags={"limits": limits})
